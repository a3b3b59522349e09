/** Request bodies: read to a limit, decoded strictly. */
import type { IncomingMessage } from 'node:http';
import { AppError } from '../domain/errors.ts';

/** The body as text. Errors: AppError TOO_LARGE beyond `maxBytes`, INVALID where it is not UTF-8. */
export async function readText(req: IncomingMessage, maxBytes: number): Promise<string> {
  const tooLarge = () => new AppError('TOO_LARGE', `expected a body of at most ${maxBytes} bytes`);
  if (Number(req.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new AppError('INVALID', 'expected a body in UTF-8');
  }
}
