/** Who may see the console, and what becomes of it when the server goes away. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { launchBrowser, seen, type Visit, type VisitOptions, visit } from './browser.ts';

let app: TestApp;
let receiver: Receiver;
let browser: Browser;
beforeAll(async () => {
  [app, receiver, browser] = await Promise.all([startTestApp(), startReceiver(), launchBrowser()]);
});
afterAll(async () => {
  await browser.close();
  await receiver[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

const open = (path: string, options?: VisitOptions): Promise<Visit> =>
  visit(browser, { url: app.url, token: TOKEN }, path, options);

describe('who and where', () => {
  test('without a token there is a login; a wrong one is refused, a right one enters', async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${app.url}/events`);
    await page.getByLabel('Token').fill('wrong-token-0123456789');
    await page.keyboard.press('Enter');
    await seen(page, 'This token is unknown, or works no more.');
    await page.getByLabel('Token').fill(TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Events' }).waitFor();
    // Another tab of the same browser needs no second login, and nothing of the token stays in the address.
    const second = await context.newPage();
    await second.goto(`${app.url}/settings`);
    await second.getByRole('heading', { name: 'Settings' }).waitFor();
    expect(second.url()).not.toContain(TOKEN);
    await context.close();
  });

  test('an API key is made, shown once, and revoked', async () => {
    await using visited = await open('/settings?tab=keys');
    const { page, complaints } = visited;
    await page.getByRole('button', { name: 'Create API key' }).click();
    await page.getByLabel('Name').fill('warehouse');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = await page.getByRole('dialog').locator('code').innerText();
    await page.getByLabel('I have stored it safely').check();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('button', { name: 'Revoke warehouse' }).click();
    await page.getByRole('button', { name: 'Revoke key' }).click();
    await seen(page, /Revoked/);
    expect(await page.content()).not.toContain(key);
    await page.getByRole('button', { name: 'Audit log' }).click();
    await seen(page, 'API key revoked');
    expect(complaints).toEqual([]);
  });

  test('GraphiQL is one click away, with the token', async () => {
    await using visited = await open('/');
    const [graphiql] = await Promise.all([
      visited.context.waitForEvent('page'),
      visited.page.getByRole('link', { name: 'GraphiQL' }).click(),
    ]);
    await until(() =>
      graphiql.evaluate('sessionStorage.getItem("herald-token")').then((token) => token === TOKEN),
    );
  });
});

test('a restart of the server is survived: it says so, comes back, and goes on', async () => {
  await using first = await startTestApp();
  const { port } = new URL(first.url);
  await using visited = await visit(browser, { url: first.url, token: TOKEN }, '/events');
  const { page } = visited;
  await page.getByText('Live', { exact: true }).waitFor();
  await first.close();
  await seen(page, /The connection to Herald is lost/);
  await using second = await startTestApp({ env: { PORT: port }, database: first.database });
  await page.getByText('Live', { exact: true }).waitFor();
  await queueEvent(second, { type: 'after.restart' });
  await page.getByRole('link', { name: 'after.restart' }).waitFor();
});

test('the page is held to its own files by its content security policy', async () => {
  const { headers } = await fetch(app.url, { headers: { accept: 'text/html' } });
  const policy = String(headers.get('content-security-policy'));
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
});
