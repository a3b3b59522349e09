/** The console's files as browsers get them. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createConsole, isConsolePath } from '../../src/http/console.ts';

const files = createConsole();
const server = createServer((req, res) => void files.handle(req, res, req.url ?? '/'));
let base = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const page = async (): Promise<string> => (await fetch(base)).text();

describe('the page', () => {
  test('is the same at every screen’s address, and asked for again each time', async () => {
    const [root, deep] = await Promise.all([fetch(base), fetch(`${base}/events/some-id`)]);
    expect(await deep.text()).toBe(await root.text());
    expect(root.headers.get('cache-control')).toBe('no-cache');
    const again = await fetch(base, { headers: { 'if-none-match': String(root.headers.get('etag')) } });
    expect(again.status).toBe(304);
  });

  test('has no script and no style of its own, which its policy would refuse', async () => {
    const html = await page();
    expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=/i);
    expect(html).not.toMatch(/(?:src|href)="(?!\/console\/|data:)/);
  });

  test('answers GET and HEAD only', async () => {
    expect((await fetch(base, { method: 'POST' })).status).toBe(405);
    expect(await (await fetch(base, { method: 'HEAD' })).text()).toBe('');
  });
});

test('what the page asks for is there, kept for ever, and small', async () => {
  const paths = [...(await page()).matchAll(/"(\/console\/[^"]+)"/g)].map(([, path = '']) => path);
  expect(paths).toHaveLength(2);
  for (const path of paths) {
    const { status, headers } = await fetch(base + path);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toContain('immutable');
    expect(headers.get('content-encoding')).toBe('gzip');
    expect(Number(headers.get('content-length'))).toBeLessThan(80_000);
    const plain = await fetch(base + path, { headers: { 'accept-encoding': 'identity' } });
    expect(plain.headers.get('content-encoding')).toBeNull();
  }
});

test('nothing else is, wherever a path points', async () => {
  expect((await fetch(`${base}/console/..%2fpackage.json`)).status).toBe(404);
  expect((await fetch(`${base}/console/nothing.js`)).status).toBe(404);
});

test('its addresses take none of the API’s', () => {
  const others = [
    '/graphql',
    '/queue',
    '/livez',
    '/readyz',
    '/v1/api/default/event-triggers/queue',
    '/eventsource',
  ];
  expect(others.filter(isConsolePath)).toEqual([]);
  expect(['/', '/events', '/events/x', '/console/main.js'].every(isConsolePath)).toBe(true);
});
