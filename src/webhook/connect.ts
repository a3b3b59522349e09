import type { LookupAddress } from 'node:dns';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { EgressPolicy } from '../domain/address.ts';
import type { EgressProxy } from '../domain/proxy.ts';
import { AttemptFailure, classifyHandshake } from './classify.ts';
import { judgeAddress, type Resolve } from './egress.ts';
import { openTunnel } from './tunnel.ts';

/** Where requests of one URL go, read once from its text. */
export interface Target {
  /** Scheme, host and port: requests with the same origin share connections. */
  readonly origin: string;
  readonly secure: boolean;
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
}

/** How far a request has come: names what was missing when its deadline passes. */
export type Phase = 'queue' | 'lookup' | 'connect' | 'handshake' | 'request';

/** Written while a connection is made for one request; times as `performance.now()` has them. */
export interface ConnectTrace {
  phase: Phase;
  lookedUpAt: number | null;
  connectedAt: number | null;
  securedAt: number | null;
}

export interface ConnectSettings {
  readonly policy: EgressPolicy;
  readonly resolve: Resolve;
  /** Null connects directly. */
  readonly proxy: EgressProxy | null;
  /** Shared by all connections: reading the root certificates takes milliseconds. */
  readonly secureContext: SecureContext;
}

/** Remembers the last TLS session of an origin, so that the next connection skips half of the handshake. */
export interface SessionHolder {
  session: Buffer | undefined;
}

/**
 * One new connection: look up, judge every answer, connect to a judged address and no other, judge where the socket
 * really ended, and only then speak TLS, with the name of the URL. No packet leaves before the verdict. Through a proxy
 * it is the same, but that the proxy connects to the judged address, and where that ended is its affair.
 * There is no timer here: the attempt that needs the connection cancels it at its own deadline.
 */
export class Connecting {
  readonly #target: Target;
  readonly #trace: ConnectTrace;
  readonly #settings: ConnectSettings;
  readonly #sessions: SessionHolder;
  readonly #callback: Connected;
  /** Where the socket, or the proxy's, ends. */
  #remoteAddress: string | null = null;
  #socket: Socket | null = null;
  #ended = false;

  constructor(
    target: Target,
    trace: ConnectTrace,
    settings: ConnectSettings,
    sessions: SessionHolder,
    callback: Connected,
  ) {
    this.#target = target;
    this.#trace = trace;
    this.#settings = settings;
    this.#sessions = sessions;
    this.#callback = callback;
    trace.phase = 'lookup';
    settings.resolve(target.host, (failure, addresses) => {
      if (this.#ended) return;
      if (failure !== null) {
        this.#end(failure);
        return;
      }
      const [first] = addresses;
      if (first?.address !== target.host) trace.lookedUpAt = performance.now();
      trace.phase = 'connect';
      const tried = addresses.slice(0, MAX_ADDRESSES_TRIED);
      if (settings.proxy === null) this.#dial(tried);
      else this.#dialThrough(settings.proxy, tried);
    });
  }

  /** Gives up; the callback is not called any more. */
  cancel(): void {
    this.#ended = true;
    this.#socket?.destroy();
  }

  #dial(pinned: LookupAddress[]): void {
    const socket = connectTcp({
      host: this.#target.host,
      port: this.#target.port,
      noDelay: true,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
      // Answers with what was judged, instead of asking the resolver once more.
      lookup: (_host, options, answer) => {
        const [first] = pinned;
        if (options.all || first === undefined) answer(null, pinned);
        else answer(null, first.address, first.family);
      },
    });
    this.#socket = socket;
    socket.on('error', this.#onError).once('connect', () => this.#connected(socket));
  }

  /** The proxy is asked for one judged address after the other. */
  #dialThrough(proxy: EgressProxy, [first, ...others]: LookupAddress[]): void {
    if (first === undefined) return;
    const { socket } = openTunnel(proxy, first.address, this.#target.port, (failure) => {
      if (this.#ended) return;
      if (failure !== null && others.length > 0) {
        socket.destroy();
        this.#dialThrough(proxy, others);
      } else if (failure !== null) {
        this.#end(failure);
      } else {
        socket.on('error', this.#onError);
        this.#ready(socket, first.address);
      }
    });
    this.#socket = socket;
  }

  #connected(socket: Socket): void {
    if (this.#ended) return;
    const { policy } = this.#settings;
    const address = socket.remoteAddress;
    const failure =
      address === undefined
        ? new AttemptFailure('CONNECTION_RESET', 'the receiver closed the connection at once')
        : judgeAddress(address, this.#target.host, policy);
    if (failure !== null || address === undefined) this.#end(failure);
    else this.#ready(socket, address);
  }

  #ready(socket: Socket, address: string): void {
    this.#remoteAddress = address;
    this.#trace.connectedAt = performance.now();
    if (this.#target.secure) this.#secure(socket);
    else this.#end(null);
  }

  #secure(socket: Socket): void {
    this.#trace.phase = 'handshake';
    const { host } = this.#target;
    const secured: TLSSocket = connectTls({
      socket,
      host, // what the certificate has to name
      ...(isIP(host) === 0 ? { servername: host.replace(/\.$/, '') } : {}), // no addresses, no final dot (RFC 6066)
      secureContext: this.#settings.secureContext,
      session: this.#sessions.session,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true, // said aloud: NODE_TLS_REJECT_UNAUTHORIZED=0 must not reach webhooks
    });
    this.#socket = secured;
    secured.on('session', (session) => {
      this.#sessions.session = session;
    });
    secured.on('error', this.#onError).once('secureConnect', () => {
      this.#trace.securedAt = performance.now();
      this.#end(null);
    });
  }

  readonly #onError = (error: Error): void => {
    this.#end(this.#trace.phase === 'handshake' ? classifyHandshake(error) : error);
  };

  #end(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    const socket = this.#socket;
    if (error === null && socket !== null) {
      socket.off('error', this.#onError);
      this.#callback(null, socket, this.#remoteAddress);
    } else {
      socket?.destroy();
      // undici is not made for a connector that fails before it returned, as a forbidden IP literal would.
      queueMicrotask(() => this.#callback(error, null, null));
    }
  }
}

type Connected = (error: Error | null, socket: Socket | null, remoteAddress: string | null) => void;

/** Addresses of one name that are tried in turn; all are judged. */
const MAX_ADDRESSES_TRIED = 8;

/** Time for an address to accept before the next one is tried beside it, in ms: twice Node's, for far receivers. */
const ADDRESS_ATTEMPT_MS = 500;
