/** Request bodies: read to a limit before anything is parsed, decoded strictly. */
import type { IncomingMessage } from 'node:http';
import { AppError } from './domain/errors.ts';

/**
 * What is read and dropped of a body that is too long, as a multiple of the limit: a client that is still sending
 * would hear a reset instead of the answer. Beyond it the connection is closed.
 */
const DROPPED_MULTIPLE = 8;

/** A byte order mark before the text is left out, as the Fetch standard does (RFC 8259 section 8.1 lets parsers). */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The body as text. Errors: AppError TOO_LARGE beyond `maxBytes`, INVALID where it is not UTF-8; ECONNRESET where the
 * client hangs up. Listens to events: iterating the stream costs a call a twentieth of its time.
 */
export function readBody(req: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let ended = false;
    const tooLarge = () => reject(new AppError('TOO_LARGE', `expected a body of at most ${maxBytes} bytes`));
    const gone = () => reject(Object.assign(new Error('the client hung up'), { code: 'ECONNRESET' }));
    if (req.destroyed) return gone();
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) return chunks.push(chunk);
      chunks.length = 0;
      if (bytes <= maxBytes * DROPPED_MULTIPLE) return;
      tooLarge();
      req.destroy();
    });
    req.on('end', () => {
      ended = true;
      if (bytes > maxBytes) return tooLarge();
      // The request, and with it what listens to it, may live as long as a subscription.
      const body = Buffer.concat(chunks.splice(0));
      try {
        resolve(UTF8.decode(body));
      } catch {
        reject(new AppError('INVALID', 'expected a body in UTF-8'));
      }
    });
    req.on('error', reject);
    req.on('close', () => {
      if (!ended) gone();
    });
  });
}
