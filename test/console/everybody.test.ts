/**
 * For everybody who may see it, and nobody else: by keyboard, for screen readers, in the dark, on a phone, whoever wrote
 * what is shown, and whatever becomes of the server.
 */
import axe from 'axe-core';
import { describe, expect, test } from 'vitest';
import { createTrigger, queueEvent, startTestApp, TOKEN } from '../support/app.ts';
import { ok, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { goTo, seen, visit } from './browser.ts';
import { openHouse } from './house.ts';

const house = openHouse();

test('everything can be done by keyboard', async () => {
  house.receiver.answer = ok;
  await using visited = await house.open('/');
  const { page } = visited;
  const { keyboard } = page;
  await keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
  await keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('main');
  // Before the next key can come: who types fast loses none.
  const found = await page.evaluate(`new Promise((resolve) => {
    dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true }));
    setTimeout(() => resolve(document.activeElement.getAttribute('aria-label')));
  })`);
  expect(found).toBe('Page, trigger or id');
  await keyboard.press('Escape');
  await until(() => page.evaluate('document.querySelector("dialog") === null'), 'the end of the palette');
  await keyboard.press('Control+k');
  await keyboard.type('trigg');
  await keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Triggers', exact: true }).waitFor();
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
  await keyboard.type(house.receiver.url);
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
  house.receiver.answer = status(500, `${HOSTILE}</pre>`, { 'content-type': 'text/html', 'x-evil': HOSTILE });
  await createTrigger(house.app, {
    type: HOSTILE,
    url: house.receiver.url,
    retries: 0,
    description: HOSTILE,
    name: 'evil',
  });
  const { id } = await queueEvent(house.app, {
    type: HOSTILE,
    dataText: JSON.stringify({ [HOSTILE]: HOSTILE }),
  });
  await using visited = await house.open(`/events/${id}`);
  const { page, complaints } = visited;
  await seen(page, /Not delivered to “evil”/);
  await page.getByText('response header').click();
  await seen(page, HOSTILE);
  for (const path of ['/', '/events', '/invocations', '/triggers', '/live']) {
    await goTo(page, path);
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
    house.receiver.answer = status(500, '{"error": "down"}', { 'content-type': 'application/json' });
    await createTrigger(house.app, {
      type: 'axe',
      url: house.receiver.url,
      retries: 1,
      retrySchedule: [600],
    });
    const [failing, unmatched] = [
      await queueEvent(house.app, { type: 'axe' }),
      await queueEvent(house.app, { type: 'none' }),
    ];
    await using visited = await house.open(`/events/${failing.id}`, options);
    await seen(visited.page, /Not delivered yet to/);
    const { page, complaints } = visited;
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url()));
    const dark = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    expect(dark).toBe('dark' in options ? 'rgb(13, 14, 17)' : 'rgb(247, 247, 249)');
    await page.evaluate(axe.source);
    for (const path of [
      ...SCREENS,
      ...[failing, unmatched].map(({ id }) => `/events/${id}`),
      '/triggers?add=',
    ]) {
      await goTo(page, path);
      await until(async () => (await page.locator('.loading').count()) === 0, 'the content');
      const { violations } = await page.evaluate<axe.AxeResults>("axe.run({ resultTypes: ['violations'] })");
      const found = violations.map(({ id: rule, nodes }) => `${path} ${rule}: ${nodes[0]?.html}`);
      expect(found).toEqual([]);
      expect(await page.evaluate('document.querySelector("main").scrollWidth')).toBeLessThanOrEqual(
        options.width,
      );
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(options.width);
    }
    expect(requests.filter((url) => !url.startsWith(house.app.url) && !url.startsWith('data:'))).toEqual([]);
    expect(complaints).toEqual([]);
  }, 90_000);
});

test('lists fit the window, whatever its width', async () => {
  await createTrigger(house.app, { name: 'as-wide-as-others', type: 'fits', url: house.receiver.url });
  await queueEvent(house.app, { type: 'fits' });
  await using visited = await house.open('/');
  const { page } = visited;
  for (const width of [360, 900, 901, 1024, 1101, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ['/triggers', '/events', '/invocations']) {
      await goTo(page, path);
      await page.locator('.table-body [role=row]').first().waitFor();
      const misfits = await page.evaluate(`(() => {
        const { right } = document.querySelector('.table').getBoundingClientRect();
        const cells = Array.from(document.querySelectorAll('.table-row > span'));
        const names = cells.filter((cell) => cell.querySelector('.row-link') !== null);
        return [
          ...cells.filter((cell) => cell.getBoundingClientRect().right > right),
          ...names.filter((cell) => cell.clientWidth < 90),
        ].map((cell) => cell.textContent);
      })()`);
      expect(misfits, `${path} at ${width} px`).toEqual([]);
    }
  }
});

test('the colours can be switched, and stay', async () => {
  await using visited = await house.open('/settings', { width: 1024 });
  const { page } = visited;
  const background = (): Promise<unknown> => page.evaluate('getComputedStyle(document.body).backgroundColor');
  await page.getByRole('button', { name: 'Dark' }).click();
  await until(async () => (await background()) === 'rgb(13, 14, 17)', 'the dark');
  await page.reload();
  await page.locator('main h1').waitFor();
  expect(await background()).toBe('rgb(13, 14, 17)');
});

describe('who and where', () => {
  test('without a token there is a login; a wrong one is refused, a right one enters', async () => {
    const context = await house.browser.newContext();
    const page = await context.newPage();
    await page.goto(`${house.app.url}/events`);
    await page.getByLabel('Token').fill('wrong-token-0123456789');
    await page.keyboard.press('Enter');
    await seen(page, 'This token is unknown, or works no more.');
    await page.getByLabel('Token').fill(TOKEN);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Events', exact: true }).waitFor();
    // Another tab of the same browser needs no second login, and nothing of the token stays in the address.
    const second = await context.newPage();
    await second.goto(`${house.app.url}/settings`);
    await second.getByRole('heading', { name: 'Settings', exact: true }).waitFor();
    expect(second.url()).not.toContain(TOKEN);
    await context.close();
  });

  test('an API key is made, shown once, and revoked', async () => {
    await using visited = await house.open('/settings?tab=keys');
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
    await using visited = await house.open('/');
    const [graphiql] = await Promise.all([
      visited.context.waitForEvent('page'),
      visited.page.getByRole('link', { name: 'GraphiQL' }).click(),
    ]);
    await until(() =>
      graphiql.evaluate('sessionStorage.getItem("herald-token")').then((token) => token === TOKEN),
    );
    await graphiql.close();
  });
});

test('a restart of the server is survived: it says so, comes back, and goes on', async () => {
  await using first = await startTestApp();
  const { port } = new URL(first.url);
  await using visited = await visit(house.browser, { url: first.url, token: TOKEN }, '/events');
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
  const { headers } = await fetch(house.app.url, { headers: { accept: 'text/html' } });
  const policy = String(headers.get('content-security-policy'));
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
});
