/** A request as a command line. */

interface CurlRequest {
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** Null where it is not known any more. */
  readonly body: string | null;
}

/** curl makes these itself. */
const OWN = new Set(['host', 'content-length', 'connection', 'transfer-encoding']);

/** What a POSIX shell takes to send `request` again. */
export function curlOf({ url, headers, body }: CurlRequest): string {
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
