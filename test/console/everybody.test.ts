/** For everybody: by keyboard, for screen readers, in the dark, on a phone, whoever wrote what is shown. */
import axe from 'axe-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { ok, type Receiver, startReceiver, status } from '../support/receiver.ts';
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

test('everything can be done by keyboard', async () => {
  receiver.answer = ok;
  await using visited = await open('/');
  const { page } = visited;
  const { keyboard } = page;
  await keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
  await keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('main');
  await keyboard.press('Control+k');
  await keyboard.type('trigg');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Triggers' }).waitFor();
  await until(() => page.evaluate('document.activeElement.tagName === "H1"'), 'the focus on the new page');
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Add trigger' }).waitFor();
  await until(
    () => page.evaluate('document.activeElement.placeholder === "orders-to-warehouse"'),
    'the focus',
  );
  await keyboard.type('by-keyboard');
  await keyboard.press('Tab');
  await keyboard.press('Tab');
  await keyboard.type('keys');
  await keyboard.press('Tab');
  await keyboard.type(receiver.url);
  await keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Your signing secret' }).waitFor();
  await keyboard.press('Escape');
  await until(() => page.evaluate('document.querySelector("dialog") === null'), 'the end of the dialog');
  await page.getByRole('link', { name: 'by-keyboard' }).focus();
  await keyboard.press('ArrowDown');
  await keyboard.press('ArrowUp');
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await page.getByRole('textbox', { name: 'Event data' }).waitFor();
  await page.getByRole('textbox', { name: 'Event data' }).focus();
  await keyboard.press('Tab');
  await keyboard.press('Enter');
  await seen(page, /Delivered to “by-keyboard”/);
});

const HOSTILE = '<img src=x onerror="document.title=1;alert(1)"><script>alert(2)</script>';

test('what others wrote is text, whatever they wrote', async () => {
  receiver.answer = status(500, `${HOSTILE}</pre>`, { 'content-type': 'text/html', 'x-evil': HOSTILE });
  await createTrigger(app, {
    type: HOSTILE,
    url: receiver.url,
    retries: 0,
    description: HOSTILE,
    name: 'evil',
  });
  const { id } = await queueEvent(app, { type: HOSTILE, dataText: JSON.stringify({ [HOSTILE]: HOSTILE }) });
  await using visited = await open(`/events/${id}`);
  const { page, complaints } = visited;
  await seen(page, /Not delivered to “evil”/);
  await page.getByText('response header').click();
  await seen(page, HOSTILE);
  for (const path of ['/', '/events', '/invocations', '/triggers', '/live']) {
    await page.goto(app.url + path);
    await page.locator('main h1').waitFor();
    await seen(page, path === '/live' ? 'Listening…' : /evil|<img/);
  }
  expect(await page.locator('img, main script').count()).toBe(0);
  expect(complaints).toEqual([]);
});

const SCREENS = ['/', '/triggers', '/events', '/invocations', '/live', '/settings', '/settings?tab=keys'];

describe.each([
  ['light, wide', { width: 1280 }],
  ['dark, on a phone', { width: 390, height: 844, dark: true }],
] as const)('%s', (_name, options) => {
  test('axe finds nothing, nothing sticks out, no complaints', async () => {
    receiver.answer = status(500, '{"error": "down"}', { 'content-type': 'application/json' });
    await createTrigger(app, {
      type: 'axe',
      url: receiver.url,
      retries: 1,
      retrySchedule: [600],
    });
    const [failing, unmatched] = [
      await queueEvent(app, { type: 'axe' }),
      await queueEvent(app, { type: 'none' }),
    ];
    await using visited = await open(`/events/${failing.id}`, options);
    await seen(visited.page, /Not delivered yet to/);
    const { page, complaints } = visited;
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    const dark = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(dark).toBe('dark' in options ? 'rgb(13, 14, 17)' : 'rgb(247, 247, 249)');
    for (const path of [
      ...SCREENS,
      ...[failing, unmatched].map(({ id }) => `/events/${id}`),
      '/triggers?add=',
    ]) {
      await page.goto(app.url + path);
      await page.locator('main h1').waitFor();
      await until(async () => (await page.locator('.loading').count()) === 0, 'the content');
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
      const found = violations.map(({ id: rule, nodes }) => `${path} ${rule}: ${nodes[0]?.html}`);
      expect(found).toEqual([]);
      expect(await page.evaluate('document.querySelector("main").scrollWidth')).toBeLessThanOrEqual(
        options.width,
      );
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(options.width);
    }
    expect(requests.filter((url) => !url.startsWith(app.url) && !url.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
  }, 90_000);
});

test('the colours can be switched, and stay', async () => {
  await using visited = await open('/settings');
  const { page } = visited;
  const background = (): Promise<unknown> => page.evaluate('getComputedStyle(document.body).backgroundColor');
  await page.getByRole('button', { name: 'Dark' }).click();
  await until(async () => (await background()) === 'rgb(13, 14, 17)', 'the dark');
  await page.reload();
  await page.locator('main h1').waitFor();
  expect(await background()).toBe('rgb(13, 14, 17)');
});
