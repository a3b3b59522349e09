/** Request bodies, read to a limit before anything is parsed. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AppError } from '../domain/errors.ts';

/**
 * What is read and dropped of a body that is too long, as a multiple of the limit: a client that is still sending
 * would hear a reset instead of the answer. Beyond it the connection is closed.
 */
const DROPPED_MULTIPLE = 8;

/** The body as text. Errors: AppError TOO_LARGE beyond `maxBytes`, INVALID where it is not UTF-8. */
export async function readBody(req: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else if (bytes > maxBytes * DROPPED_MULTIPLE) break;
  }
  if (bytes > maxBytes) throw new AppError('TOO_LARGE', `expected a body of at most ${maxBytes} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new AppError('INVALID', 'expected a body in UTF-8');
  }
}

/** Answers in place of GraphQL, in GraphQL's form. */
export function sendError(res: ServerResponse, status: number, code: string, message: string): void {
  if (res.destroyed) return;
  const body = JSON.stringify({ errors: [{ message, extensions: { code } }] });
  // The rest of the request, if any, is not waited for.
  const headers = { 'content-type': 'application/json; charset=utf-8', connection: 'close' };
  res.writeHead(status, headers).end(body);
}
