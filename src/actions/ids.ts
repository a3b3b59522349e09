/** Ids made in the process, thousands a second: random bytes are drawn by the page (one by one each costs 2.5 µs). */
import { randomFillSync } from 'node:crypto';

const page = Buffer.alloc(4096);
let next = page.length;

/** Id of a span (W3C Trace Context section 3.2.2.4): 8 random bytes as 16 hex digits. */
export function newSpanId(): string {
  return randomHex(8);
}

/** A UUID of version 7 (RFC 9562 section 5.7): milliseconds, then random bits. */
export function newUuid(nowMs: number): string {
  const time = nowMs.toString(16).padStart(12, '0');
  const random = randomHex(10);
  const variant = '89ab'[Number.parseInt(random.charAt(3), 16) & 3];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

function randomHex(bytes: number): string {
  if (next + bytes > page.length) {
    randomFillSync(page);
    next = 0;
  }
  next += bytes;
  return page.toString('hex', next - bytes, next);
}
