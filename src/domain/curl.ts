/** A request as a command line. */

interface CurlRequest {
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** Null where it is not known any more. */
  readonly body: string | null;
}

/** Characters of a body that fit into one argument, whatever they are: Linux takes 128 KiB. */
const MAX_INLINE = 25_000;
/** curl makes these itself. */
const OWN = new Set(['host', 'content-length', 'connection', 'transfer-encoding']);

/** What a POSIX shell takes to send `request` again. */
export function curlOf({ url, headers, body }: CurlRequest): string {
  const isLong = body !== null && body.length > MAX_INLINE;
  const lines = [
    // Globbing off: `{a,b}` and `[1-3]` in a URL are several requests to curl.
    `curl -g -i ${quote(url)}`,
    ...headers.filter(({ name }) => !OWN.has(name)).map(headerOption),
    // What it would add.
    ...(headers.some(({ name }) => name === 'accept') ? [] : ["-H 'accept:'"]),
    ...(body === null ? ['-X POST'] : isLong ? ['--data-binary @-'] : [`--data-raw ${quote(body)}`]),
  ];
  const command = lines.join(' \\\n  ');
  // A shell's own printf is not held to the length of arguments.
  return isLong ? `printf %s ${quote(body)} | ${command}` : command;
}

/** `name;` is how curl is told of an empty value. */
function headerOption({ name, value }: { readonly name: string; readonly value: string }): string {
  return `-H ${quote(value === '' ? `${name};` : `${name}: ${value}`)}`;
}

/** Inside single quotes a shell reads everything as it is, but the quote. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
