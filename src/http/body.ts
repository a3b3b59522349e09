/** Request bodies: read to a limit, decoded strictly. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../domain/errors.ts';

/**
 * What is read and dropped of a body that is too long, as a multiple of the limit: a client that is still sending
 * would hear a reset instead of the answer. Beyond it the connection is closed.
 */
const DROPPED_MULTIPLE = 8;

/** The body as text. Errors: AppError TOO_LARGE beyond `maxBytes`, INVALID where it is not UTF-8. */
export async function readText(req: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else if (bytes > maxBytes * DROPPED_MULTIPLE) break;
  }
  if (bytes > maxBytes) throw new AppError('TOO_LARGE', `expected a body of at most ${maxBytes} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new AppError('INVALID', 'expected a body in UTF-8');
  }
}
