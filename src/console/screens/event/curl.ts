/** A request as a command line: what was sent, for a shell to send again. */
import type { Attempt } from '../../api/invocation.ts';

/** curl makes these itself. */
const OWN = new Set(['host', 'content-length', 'connection', 'transfer-encoding']);

export function curlOf({ url, headers, body }: Attempt['request']): string {
  const lines = [
    `curl -i ${quote(url)}`,
    ...headers
      .filter(({ name }) => !OWN.has(name))
      .map(({ name, value }) => `-H ${quote(`${name}: ${value}`)}`),
    ...(body === null ? [] : [`--data-raw ${quote(body)}`]),
  ];
  return lines.join(' \\\n  ');
}

/** Inside single quotes a shell reads everything as it is, but the quote. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
