/** An HTTP proxy that webhooks leave through: where it is, and what it wants to know. */
export interface EgressProxy {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of `proxy-authorization`; null where the URL has no credentials. Secret. */
  readonly authorization: string | null;
}

/** The proxy of `http://[user:password@]host[:port]`, port 80 by default; null where the text is something else. */
export function parseProxy(text: string): EgressProxy | null {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'http:' || url.hostname === '' || url.port === '0') return null;
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return null;
  const credentials = decode(`${url.username}:${url.password}`);
  if (credentials === null) return null;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    authorization: credentials === ':' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
