/** As much of Postgres' wire protocol (version 3) as a proxy needs to know where one message ends. */

/** One message as it stands on the wire. `type` is empty for a connection's first one, which has none. */
export interface Message {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface Framer {
  /** The messages that `chunk` completes. */
  push(chunk: Buffer): readonly Message[];
}

/** `client` says which side's messages come: a client's first one carries no type. */
export function createFramer(side: 'client' | 'server'): Framer {
  let rest: Buffer = Buffer.alloc(0);
  let started = side === 'server';
  const take = (length: number): Buffer => {
    const bytes = rest.subarray(0, length);
    rest = rest.subarray(length);
    return bytes;
  };
  function* complete(): Generator<Message> {
    for (;;) {
      const offset = started ? 1 : 0;
      if (rest.length < offset + 4) return;
      const length = offset + rest.readInt32BE(offset);
      if (rest.length < length) return;
      const bytes = take(length);
      yield { type: started ? String.fromCharCode(bytes[0] ?? 0) : '', bytes };
      started = true;
    }
  }
  return {
    push(chunk) {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      return [...complete()];
    },
  };
}

/** A parameter of a client's first message, e.g. `application_name`; empty where it is not there. */
export function startupParameter({ bytes }: Message, name: string): string {
  const fields = bytes.subarray(8).toString().split('\0');
  const position = fields.findIndex((field, index) => index % 2 === 0 && field === name);
  return position < 0 ? '' : (fields[position + 1] ?? '');
}

/** A statement was executed; it may still be rolled back. */
export const isCommandComplete = ({ type }: Message): boolean => type === 'C';

/** The client asks for everything so far to be done: one ReadyForQuery will answer it. */
export const endsRound = ({ type }: Message): boolean => type === 'S' || type === 'Q';

/** ReadyForQuery. One also greets a new connection, which nobody asked for. */
export const isReady = ({ type }: Message): boolean => type === 'Z';

/** The server waits for the next statement and no transaction is open: what was sent before is committed or failed. */
export const isIdle = (message: Message): boolean => isReady(message) && message.bytes[5] === 0x49;

export const isNotification = ({ type }: Message): boolean => type === 'A';
