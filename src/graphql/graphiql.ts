/**
 * GraphiQL, in one page that loads nothing from anywhere: made, compressed and kept at the first request (9 MB of
 * HTML). It holds no secret; the token comes in the link's fragment, which is never sent, and stays in the tab.
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { constants, gunzip, gzip } from 'node:zlib';

export interface GraphiqlPage {
  /** Answers GET and HEAD with the page. Never rejects. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
}

interface Page {
  readonly compressed: Buffer;
  readonly etag: string;
  readonly policy: string;
}

export function createGraphiqlPage(): GraphiqlPage {
  let making: Promise<Page> | null = null;
  return {
    async handle(req, res) {
      if (req.method !== 'GET' && req.method !== 'HEAD') {
        res.writeHead(405, { allow: 'GET, HEAD' }).end();
        return;
      }
      making ??= makePage();
      try {
        await send(await making, req, res);
      } catch {
        making = null;
        if (!res.headersSent) res.writeHead(500).end();
      }
    },
  };
}

async function send(page: Page, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const headers = {
    etag: page.etag,
    vary: 'accept-encoding',
    // Asked for again each time, answered with 304 until a release changes it.
    'cache-control': 'no-cache',
    'content-security-policy': page.policy,
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
  if (req.headers['if-none-match']?.includes(page.etag)) {
    res.writeHead(304, headers).end();
    return;
  }
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(
    String(req.headers['accept-encoding'] ?? ''),
  );
  const body = takesGzip ? page.compressed : await promisify(gunzip)(page.compressed);
  res.writeHead(200, {
    ...headers,
    'content-type': 'text/html; charset=utf-8',
    'content-length': body.length,
    ...(takesGzip && { 'content-encoding': 'gzip' }),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

async function makePage(): Promise<Page> {
  const html = await renderPage();
  const compressed = await promisify(gzip)(html, { level: constants.Z_DEFAULT_COMPRESSION });
  return { compressed, etag: `"${digest(html, 'base64url')}"`, policy: contentSecurityPolicy(html) };
}

const OPTIONS = {
  title: 'Herald',
  endpoint: '/graphql',
  subscriptionsProtocol: 'SSE',
  // Subscriptions too: a GET without a token would be taken for one that another site has made the browser send.
  method: 'POST',
  additionalHeaders: { 'x-graphql-yoga-csrf': '1' },
  shouldPersistHeaders: false,
  defaultQuery: `# Herald: queue an event, every trigger registered for its type gets a signed webhook.
{
  triggers {
    nodes { id name type url status }
  }
  events(first: 10) {
    nodes {
      id
      type
      status
      receivedAt
      invocations { nodes { triggerName status attemptCount } }
    }
  }
}
`,
} as const;

/** Runs in the page: takes the token out of the link, and gives it to the headers editor. */
const TAKE_TOKEN = `
function heraldOptions(options) {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem('herald-token', given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  addEventListener('hashchange', () => location.reload());
  const token = sessionStorage.getItem('herald-token');
  const headers = token ? { Authorization: 'Bearer ' + token } : {};
  const asked = new URLSearchParams(location.search).get('query');
  return {
    ...options,
    // Nothing outlives the tab: the history of queries holds their headers.
    storage: sessionStorage,
    initialHeaders: JSON.stringify(headers, null, 2),
    // In place of putting the query into the address: a reload of /graphql?query=… would run it.
    onEditQuery() {},
    // Named, GraphiQL finds the query's tab again; otherwise each reload would add an empty one.
    query: asked || sessionStorage.getItem('graphiql:query') || options.defaultQuery,
  };
}
`;

async function renderPage(): Promise<string> {
  // Only now: the module holds the 9 MB.
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = renderGraphiQL({ ...OPTIONS, favicon: FAVICON });
  const options = JSON.stringify({ ...OPTIONS, favicon: FAVICON });
  const at = html.lastIndexOf(options);
  const head = html.indexOf('<style>');
  if (at === -1 || head === -1) throw new Error('render-graphiql no longer renders its options as JSON');
  const page =
    `${html.slice(0, head)}<script>${TAKE_TOKEN}</script>${html.slice(head, at)}` +
    `heraldOptions(${options})${html.slice(at + options.length)}`;
  // As browsers read it, so that the hashes of the scripts hold.
  return page.replace(/\r\n?/g, '\n').trim();
}

/** A small bell, so that the browser asks for no /favicon.ico. */
const FAVICON =
  'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E%3Cpath d=%22M8 1a4 4 0 0 0-4 4v4l-2 3h12l-2-3V5a4 4 0 0 0-4-4zM6 13a2 2 0 0 0 4 0z%22/%3E%3C/svg%3E';

/** Only the page's own scripts run, and they can reach only this server. */
function contentSecurityPolicy(html: string): string {
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script = '']) =>
    digest(script, 'base64'),
  );
  return [
    "default-src 'none'",
    `script-src ${scripts.map((hash) => `'sha256-${hash}'`).join(' ')}`,
    'worker-src blob:',
    "style-src 'unsafe-inline'",
    'img-src data:',
    'font-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function digest(text: string, encoding: 'base64' | 'base64url'): string {
  return createHash('sha256').update(text).digest(encoding);
}
