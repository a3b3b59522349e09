import { MAX_RESPONSE_BODY_BYTES } from '../domain/attempt.ts';

/** The kept beginning of a response body. Its memory is bounded by bytes, however small the pieces a receiver sends. */
export class BodyHead {
  #bytes: Buffer = NOTHING;
  #length = 0;

  /** Takes what fits, and tells whether everything did. */
  add(chunk: Buffer): boolean {
    const room = MAX_RESPONSE_BODY_BYTES - this.#length;
    const fits = chunk.length <= room;
    if (this.#length === 0 && fits) {
      this.#bytes = chunk; // the common body comes in one piece, and is not copied
      this.#length = chunk.length;
      return true;
    }
    const length = this.#length + Math.min(chunk.length, room);
    this.#reserve(length);
    chunk.copy(this.#bytes, this.#length, 0, length - this.#length);
    this.#length = length;
    return fits;
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    if (this.#bytes.length >= length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(2 * length, MAX_RESPONSE_BODY_BYTES));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

const NOTHING = Buffer.alloc(0);
