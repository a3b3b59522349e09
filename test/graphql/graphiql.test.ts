import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGraphiqlPage } from '../../src/graphql/graphiql.ts';

const page = createGraphiqlPage();
const server = createServer((req, res) => void page.handle(req, res));
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

interface Got {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

const get = (headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Got>((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const sent = request({ port, host: '127.0.0.1', method, headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () =>
        resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });

describe('GraphiQL', () => {
  test('is compressed once, and not sent again to who has it', async () => {
    const first = await get({ 'accept-encoding': 'gzip, deflate, br' });
    expect(first.status).toBe(200);
    expect(first.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-encoding': 'gzip',
    });
    expect(first.body.length).toBeLessThan(3_000_000);
    const again = await get({ 'accept-encoding': 'gzip', 'if-none-match': String(first.headers.etag) });
    expect(again).toMatchObject({ status: 304, body: Buffer.alloc(0) });
    const plain = await get({ 'accept-encoding': 'gzip;q=0' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(plain.body.equals(gunzipSync(first.body))).toBe(true);
    expect((await get({}, 'HEAD')).body).toHaveLength(0);
    expect((await get({}, 'POST')).status).toBe(405);
  });

  test('loads nothing from anywhere', async () => {
    const html = String((await get()).body);
    const markup = html.replace(/<script>[\s\S]*?<\/script>/g, '').replace(/<style>[\s\S]*?<\/style>/g, '');
    expect(markup).not.toMatch(/<script|(?:src|href)\s*=\s*(?!["']?data:)/i);
    const styles = [...html.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, style]) => style).join('\n');
    expect(styles).not.toMatch(/@import|url\(\s*(?!["']?(?:data:|#))/i);
    expect(html).not.toMatch(/import\s*\(\s*["']https?:/);
  });

  test('is held to that by its content security policy, which allows its own scripts', async () => {
    const { headers, body } = await get();
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toMatch(/https?:|unsafe-eval|script-src[^;]*unsafe-inline/);
    const scripts = String(body).match(/<script>[\s\S]*?<\/script>/g) ?? [];
    expect(policy.match(/'sha256-/g)).toHaveLength(scripts.length);
  });

  test('takes the token from the fragment and speaks to /graphql', async () => {
    const html = String((await get()).body);
    expect(html).toContain('history.replaceState');
    expect(html).toMatch(/heraldOptions\(\{"title":"Herald","endpoint":"\/graphql"/);
  });
});
