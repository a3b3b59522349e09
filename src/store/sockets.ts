/**
 * Sockets to the database that notice when the other end is gone without a word. TCP's keep-alive finds that on a quiet
 * connection only; where something was sent and is not acknowledged, the kernel tries for 15 minutes.
 */
import { Socket } from 'node:net';

/** Keep-alive probes begin after this much silence, in ms; ten of them a second apart follow. */
export const KEEP_ALIVE_MS = 10_000;
const TICK_MS = 1000;

/**
 * Notes, with each write, how much had been read until then; and ends in the way that postgres.js can cope with. It loses
 * a query that comes between an error and the close that follows, and tries for ever, without a pause, where connections
 * are accepted and closed: so an established connection just closes, and one that never said a word is an error.
 */
class AskingSocket extends Socket {
  readBefore = 0;

  override _write(...args: Parameters<Socket['_write']>): void {
    this.readBefore = this.bytesRead;
    super._write(...args);
  }

  override _writev(...args: Parameters<NonNullable<Socket['_writev']>>): void {
    this.readBefore = this.bytesRead;
    super._writev?.(...args);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const refused =
      error ?? Object.assign(new Error('the database closed the connection'), { code: 'ECONNRESET' });
    super._destroy(this.bytesRead > 0 ? null : refused, done);
  }
}

interface Watched {
  readonly socket: AskingSocket;
  readonly limitTicks: number;
  read: number;
  written: number;
  /** Ticks since something was sent and nothing came back; null where nothing is outstanding. */
  silentTicks: number | null;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | null = null;

/**
 * A socket, not yet connected, that is destroyed when what was sent has not been answered within `limitMs`. Ticks are
 * counted rather than time, so that a process that was stopped itself does not blame the other end.
 */
export function watchedSocket(limitMs: number): Socket {
  const socket = new AskingSocket();
  const one: Watched = { socket, limitTicks: limitMs / TICK_MS, read: 0, written: 0, silentTicks: null };
  watched.add(one);
  timer ??= setInterval(tick, TICK_MS).unref();
  socket.once('close', () => forget(one));
  return socket;
}

function tick(): void {
  for (const one of watched) {
    // Under TLS another object took the socket over, and its `close` may have been missed.
    if (one.socket.destroyed) forget(one);
    else look(one);
  }
}

function look(one: Watched): void {
  const { bytesRead, bytesWritten, readBefore } = one.socket;
  const sent = bytesWritten !== one.written;
  const heard = bytesRead !== one.read;
  // TLS writes past the socket, so that only what happens in separate ticks has an order there.
  const asks = sent && (bytesRead === readBefore || !heard);
  if (asks && (heard || one.silentTicks === null)) one.silentTicks = 0;
  else if (heard) one.silentTicks = null;
  else if (one.silentTicks !== null) one.silentTicks++;
  one.read = bytesRead;
  one.written = bytesWritten;
  if (one.silentTicks !== null && one.silentTicks >= one.limitTicks) {
    one.socket.destroy();
  }
}

function forget(one: Watched): void {
  watched.delete(one);
  if (watched.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
