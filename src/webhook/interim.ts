import type { Socket } from 'node:net';

/**
 * Takes interim answers (100, 102, 103 …) out of what a receiver sends. undici closes the connection at an unasked
 * `100 Continue`, which RFC 9110 section 15.2 has clients ignore, and with it would be lost the 2xx behind it. 101 is
 * left for undici to refuse: after it the connection speaks something else.
 */
export class InterimFilter {
  readonly #read: (size?: number) => Buffer | null;
  readonly #onInterim: () => void;
  /** The next byte read is the first of an answer's head, or follows `#held`. */
  #atHead = true;
  /** The beginning of what may be an interim answer. */
  #held: Buffer = NOTHING;

  /** Stands between the socket and undici, which takes everything by `socket.read()`. */
  constructor(socket: Socket, onInterim: () => void) {
    this.#read = socket.read.bind(socket);
    this.#onInterim = onInterim;
    socket.read = () => this.#next();
  }

  /** Another request goes out on this connection. */
  expectHead(): void {
    this.#atHead = true;
  }

  #next(): Buffer | null {
    if (!this.#atHead) return this.#read();
    for (;;) {
      const chunk = this.#read();
      if (chunk === null) return null;
      const rest = this.#withoutInterim(this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]));
      if (rest !== null) {
        this.#atHead = false;
        this.#held = NOTHING;
        return rest;
      }
    }
  }

  /** What follows the interim answers; null where that has not come yet. */
  #withoutInterim(bytes: Buffer): Buffer | null {
    let at = 0;
    for (;;) {
      const kind = classify(bytes, at);
      if (kind === 'OTHER') return at === 0 ? bytes : bytes.subarray(at);
      this.#onInterim();
      const end = kind === 'INTERIM' ? bytes.indexOf('\r\n\r\n', at) : -1;
      if (end === -1) {
        this.#held = bytes.subarray(at);
        return this.#held.length > MAX_INTERIM_BYTES ? this.#held : null;
      }
      at = end + 4;
      if (at === bytes.length) {
        this.#held = NOTHING;
        return null;
      }
    }
  }
}

/** What stands at `at`: an interim answer, the beginning of what may be one, or anything else. */
function classify(bytes: Buffer, at: number): 'INTERIM' | 'MAYBE' | 'OTHER' {
  // Nearly always the answer is final, and its first digit says so.
  if (bytes.length - at >= STATUS_AT + 1 && bytes[at + STATUS_AT] !== ONE) return 'OTHER';
  const start = bytes.toString('latin1', at, at + STATUS_AT + 4);
  if (/^HTTP\/1\.\d 1\d\d[ \r]$/.test(start)) return start.startsWith('101', STATUS_AT) ? 'OTHER' : 'INTERIM';
  return start.length < STATUS_AT + 4 && /^H(T(T(P(\/(1(\.(\d( (1\d{0,2})?)?)?)?)?)?)?)?)?$/.test(start)
    ? 'MAYBE'
    : 'OTHER';
}

/** Where the status stands in `HTTP/1.1 200 OK`. */
const STATUS_AT = 9;
const ONE = 0x31;
const NOTHING = Buffer.alloc(0);

/** Longest interim answer, as long as any answer's head may be; a longer one is left for undici to refuse. */
const MAX_INTERIM_BYTES = 16 * 1024;
