/** What people do all day, in a real browser, on a whole Herald with a real receiver. */
import { describe, expect, test } from 'vitest';
import { createTrigger, queueEvent } from '../support/app.ts';
import { ok, status } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { goTo, seen } from './browser.ts';
import { openHouse } from './house.ts';

const house = openHouse();

describe('the way of an event', () => {
  test('a trigger is added through the form, fired, and watched while it fails, retries and succeeds', async () => {
    await using visited = await house.open('/triggers');
    const { page, complaints } = visited;
    await page.getByRole('button', { name: 'Add trigger' }).first().click();
    await page.getByLabel('Trigger name').fill('orders');
    await page.getByLabel('Type', { exact: true }).fill('order.paid');
    await page.getByLabel('Webhook URL').fill(house.receiver.url);
    await page.getByText('Advanced').click();
    expect(await page.getByLabel('Retries').inputValue()).toBe('3');
    expect(await page.getByLabel('Timeout').inputValue()).toBe('5000');
    await page.getByLabel('Retry schedule').fill('2, 0');
    await page.getByRole('dialog').getByRole('button', { name: 'Add trigger' }).click();

    const secret = page.getByRole('dialog', { name: 'Your signing secret' });
    expect(await secret.locator('code').innerText()).toMatch(/^whsec_/);
    expect(await secret.getByRole('button', { name: 'Done' }).isDisabled()).toBe(true);
    await secret.getByRole('button', { name: 'Copy' }).click();
    expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^whsec_/);
    await secret.getByLabel('I have stored it safely').check();
    await secret.getByRole('button', { name: 'Done' }).click();

    let calls = 0;
    house.receiver.answer = (delivery, res) => (++calls === 1 ? status(503, 'busy') : ok)(delivery, res);
    await page.getByRole('button', { name: 'Trigger orders' }).click();
    // Typed over text that has colours: the browser would keep them in a style attribute, which the policy forbids.
    await page.getByRole('textbox', { name: 'Event data' }).fill('"n", 12345678901234567890');
    await page.locator('.editor span').getByText('"n"').waitFor();
    await page.keyboard.press('Control+a');
    await page.keyboard.type('{"n": 12345678901234567890, }');
    await seen(page, /Not valid JSON/);
    expect(await page.getByRole('button', { name: 'Trigger', exact: true }).isDisabled()).toBe(true);
    await page.getByRole('textbox', { name: 'Event data' }).fill('{"n": 12345678901234567890}');
    await page.getByRole('dialog').getByRole('button', { name: 'Trigger', exact: true }).click();

    // Straight to the event, which moves by itself.
    await page.getByRole('heading', { name: /order\.paid/ }).waitFor();
    await seen(page, /Not delivered yet to “orders”\. The receiver answered 503/);
    await seen(page, /Next attempt/);
    await seen(page, /Delivered to “orders”.*at attempt 2/);
    expect(house.receiver.deliveries.at(-1)?.text).toContain('"data":{"n": 12345678901234567890}');
    await seen(page, '12345678901234567890');
    await page.getByRole('button', { name: 'Copy as curl' }).click();
    expect(await page.evaluate('navigator.clipboard.readText()')).toContain("-H 'webhook-id: ");
    expect(complaints).toEqual([]);
  });

  test('one that failed says why, and what to do', async () => {
    house.receiver.answer = status(404, 'no such hook');
    await createTrigger(house.app, { name: 'lost', type: 'lost', url: house.receiver.url, retries: 0 });
    const { id } = await queueEvent(house.app, { type: 'lost' });
    await using visited = await house.open('/invocations?status=FAILED');
    const { page } = visited;
    await page.getByRole('link', { name: 'lost' }).first().click();
    await seen(page, /Not delivered to “lost”\. The receiver answered 404 Not Found/);
    await seen(page, /Check the path in the trigger’s URL/);
    await seen(page, 'no such hook');
    await seen(page, 'All attempts were used up.');
    expect(page.url()).toContain(`/events/${id}`);

    await goTo(page, '/');
    const attention = page.getByRole('region', { name: 'Needs attention' });
    await attention.getByText('lost delivery given up').waitFor();
    await attention.getByText('The receiver answered 404 Not Found').waitFor();
    await page.getByRole('figure', { name: /^Retries over time: \d/ }).waitFor();
    await page.getByRole('figure', { name: /^Latency over time.*median [\d.]+ m?s/ }).waitFor();
  });

  test('one that failed is retried by hand, and all that failed at once', async () => {
    house.receiver.answer = status(500);
    await createTrigger(house.app, { name: 'again', type: 'again', url: house.receiver.url, retries: 0 });
    const { id } = await queueEvent(house.app, { type: 'again' });
    for (let n = 0; n < 3; n++) await queueEvent(house.app, { type: 'again' });
    await using visited = await house.open(`/events/${id}`);
    const { page } = visited;
    await seen(page, /Not delivered to “again”/);
    house.receiver.answer = ok;
    await page.getByRole('button', { name: 'Retry', exact: true }).click();
    await seen(page, 'again is called now.');
    await seen(page, /Delivered to “again”.*at attempt 2/);
    await seen(page, 'by hand');

    await goTo(page, '/invocations?status=FAILED&type=again');
    await seen(page, '3 deliveries to triggers');
    await page.getByRole('button', { name: 'Retry all' }).click();
    const dialog = page.getByRole('dialog', { name: 'Retry 3 failed deliveries?' });
    await dialog.getByRole('button', { name: 'Retry all' }).click();
    await seen(page, '3 deliveries retried.');
    await seen(page, '0 deliveries to triggers');
  });

  test('what nobody took is replayed once there is a trigger; what goes on is stopped', async () => {
    for (let n = 0; n < 3; n++) await queueEvent(house.app, { type: 'early' });
    await createTrigger(house.app, { name: 'late', type: 'early', url: house.receiver.url });
    house.receiver.answer = ok;
    await using visited = await house.open('/events?type=early');
    const { page, complaints } = visited;
    await page.getByRole('cell', { name: 'no trigger' }).first().waitFor();
    await page.getByRole('button', { name: 'Replay all' }).click();
    const dialog = page.getByRole('dialog', { name: 'Replay 3 events?' });
    await dialog.getByLabel('For').selectOption({ label: 'Only late' });
    await dialog.getByRole('button', { name: 'Replay all' }).click();
    await seen(page, '3 events replayed.');
    await page.getByRole('cell', { name: '1 delivered' }).nth(2).waitFor();

    await house.app.graphql(
      `mutation { replayEvents(input: {filter: {type: ["early"]}, maxPerMinute: 1}) { userErrors { message } } }`,
    );
    await goTo(page, '/');
    const background = page.getByRole('region', { name: 'In the background' });
    await background.getByText('1 of 3').waitFor();
    await background.getByRole('button', { name: 'Stop' }).click();
    await seen(page, '1 event replayed, then stopped.');
    await background.waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
  });

  test('one that waits is rescheduled, delivered now, or cancelled', async () => {
    house.receiver.answer = ok;
    await createTrigger(house.app, { name: 'wait', type: 'wait', url: house.receiver.url });
    const now = await queueEvent(house.app, { type: 'wait', delay: 3600 });
    await using visited = await house.open(`/events/${now.id}`);
    const { page } = visited;
    await page.getByRole('button', { name: 'Reschedule' }).click();
    const moving = page.getByRole('dialog', { name: 'Reschedule this wait' });
    await moving.getByLabel('Due').fill('2030-01-02T03:04');
    await moving.getByRole('button', { name: 'Reschedule' }).click();
    await seen(page, 'It is moved.');
    await page.locator('time[datetime^="2030-01-02"]').first().waitFor();
    await page.getByRole('button', { name: 'Deliver now' }).click();
    await seen(page, /Delivered to “wait”/);

    const later = await queueEvent(house.app, { type: 'wait', delay: 3600 });
    await goTo(page, `/events/${later.id}`);
    await page.getByRole('button', { name: 'Cancel event' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel event' }).click();
    await seen(page, '1 delivery cancelled.');
    await seen(page, 'Cancelled before it was delivered.');
    expect(await page.getByRole('button', { name: /Deliver now|^Cancel/ }).count()).toBe(0);
  });

  test('fired synchronously, the receiver’s answer is shown', async () => {
    house.receiver.answer = status(200, '{"accepted": true}', { 'content-type': 'application/json' });
    await createTrigger(house.app, { name: 'sync', type: 'sync', url: house.receiver.url });
    await using visited = await house.open('/triggers?q=sync');
    const { page } = visited;
    await page.getByRole('button', { name: 'Trigger sync' }).click();
    await page.getByRole('textbox', { name: 'Event data' }).waitFor();
    await page.getByLabel('Synchronously').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Trigger', exact: true }).click();
    await seen(page, /Answered after/);
    await page.getByRole('region', { name: 'Answer of the receiver' }).getByText('"accepted"').waitFor();
  });

  test('a trigger is tested: what would be sent, then what came back', async () => {
    const { id } = await createTrigger(house.app, {
      name: 'tested',
      type: 'tested',
      url: house.receiver.url,
    });
    await using visited = await house.open(`/triggers/${id}`);
    const { page, complaints } = visited;
    await page.getByRole('button', { name: 'More for this trigger' }).click();
    await page.getByRole('menuitem', { name: 'Test' }).click();
    const dialog = page.getByRole('dialog', { name: 'Test tested' });
    await dialog.getByRole('textbox', { name: 'Event data' }).fill('{"n": 12345678901234567890}');
    const before = house.receiver.deliveries.length;
    await dialog.getByRole('button', { name: 'Preview' }).click();
    await dialog.getByText('12345678901234567890').nth(1).waitFor();
    await dialog.getByRole('button', { name: 'Copy as curl' }).click();
    expect(await page.evaluate('navigator.clipboard.readText()')).toContain(house.receiver.url);
    expect(house.receiver.deliveries).toHaveLength(before);

    house.receiver.answer = status(503, 'not today');
    await dialog.getByRole('button', { name: 'Send test' }).click();
    await seen(page, 'It was not taken');
    await seen(page, 'not today');
    house.receiver.answer = status(200, 'welcome');
    await dialog.getByRole('button', { name: 'Send test' }).click();
    await seen(page, 'The receiver took it');
    await seen(page, 'welcome');
    expect(house.receiver.deliveries.at(-1)?.text).toContain('"data":{"n": 12345678901234567890}');
    house.receiver.answer = ok;
    expect(complaints).toEqual([]);
  });

  test('what the server refuses is said beside its field, which gets the focus', async () => {
    await using visited = await house.open('/triggers?add=');
    const { page } = visited;
    await page.getByLabel('Trigger name').fill('fine');
    await page.getByLabel('Type', { exact: true }).fill('x');
    await page.getByLabel('Webhook URL').fill('ftp://example.com');
    await page.getByText('Advanced').click();
    await page.getByLabel('Retries').fill('51');
    await page.getByRole('dialog').getByRole('button', { name: 'Add trigger' }).click();
    const url = page.getByLabel('Webhook URL');
    await until(async () => (await url.getAttribute('aria-invalid')) === 'true', 'the mark');
    const describedBy = (await url.getAttribute('aria-describedby'))?.split(' ')[0];
    expect(await page.locator(`[id="${describedBy}"]`).innerText()).toMatch(/http/);
    expect(await page.getByLabel('Retries').getAttribute('aria-invalid')).toBe('true');
    await until(() => page.evaluate('document.activeElement.type === "url"'), 'the focus');
  });

  test('a trigger is paused, resumed and deleted from its row, its pending work let finish or cancelled', async () => {
    house.receiver.answer = ok;
    const { id } = await createTrigger(house.app, { name: 'row', type: 'row', url: house.receiver.url });
    await queueEvent(house.app, { type: 'row', delay: 3600 });
    await using visited = await house.open('/triggers?q=row');
    const { page } = visited;
    const choose = async (item: string): Promise<void> => {
      await page.getByRole('button', { name: 'More for row' }).click();
      await page.getByRole('menuitem', { name: item }).click();
    };
    await choose('Pause');
    await seen(page, 'Waiting now: 1.');
    await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('cell', { name: 'Paused' }).waitFor();
    await choose('Resume');
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('cell', { name: 'Active' }).waitFor();
    await choose('Delete');
    await page.getByLabel('Cancel them').check();
    await page.getByRole('button', { name: 'Delete trigger' }).click();
    await seen(page, 'No trigger matches');
    expect(await house.app.graphql(`{ trigger(id: "${id}") { id } }`)).toEqual({ trigger: null });
  });
});

describe('lists', () => {
  test('new rows come by themselves, and do not move what is being read', async () => {
    house.receiver.answer = ok;
    await createTrigger(house.app, { type: 'list', url: house.receiver.url });
    const events = Array.from({ length: 300 }, () => ({ type: 'list' }));
    await house.app.graphql(
      'mutation ($input: QueueEventsInput!) { queueEvents(input: $input) { userErrors { message } } }',
      { input: { events } },
    );
    await using visited = await house.open('/events?type=list');
    const { page } = visited;
    const rows = page.locator('.table-body [role=row]');
    await rows.first().waitFor();
    const first = (): Promise<string | null> => rows.first().getByRole('link').getAttribute('href');
    const before = await first();
    await queueEvent(house.app, { type: 'list' });
    await until(async () => (await first()) !== before, 'the new row on top');

    // At once: a row that came a frame late would leave the view empty while it is scrolled.
    const top: number = await page.evaluate(`new Promise((resolve) => {
      const main = document.querySelector('main');
      const topRow = () => document.querySelector('.table-body [role=row]').getBoundingClientRect().top;
      main.addEventListener('scroll', () => setTimeout(() => resolve(topRow())), { once: true });
      main.scrollTo(0, 1e6);
    })`);
    expect(top).toBeGreaterThan(-1000);
    expect(Number(await rows.first().getAttribute('aria-rowindex'))).toBeGreaterThan(20);
    const place = `(() => {
      const row = document.querySelectorAll('.table-body [role=row]')[12];
      return row.getBoundingClientRect().top + row.querySelector('a').href;
    })()`;
    const there = await page.evaluate(place);
    const { id } = await queueEvent(house.app, { type: 'list' });
    await page.getByRole('button', { name: '1 new event' }).waitFor();
    expect(await page.evaluate(place)).toEqual(there);
    expect(await rows.count()).toBeLessThan(60);
    await page.getByRole('button', { name: '1 new event' }).click();
    await until(async () => (await first())?.endsWith(id), 'the waiting row');
  });

  test('more new rows than are read at once leave no gap in the list', async () => {
    const queue = (count: number): Promise<unknown> =>
      house.app.graphql(
        'mutation ($input: QueueEventsInput!) { queueEvents(input: $input) { userErrors { message } } }',
        { input: { events: Array.from({ length: count }, () => ({ type: 'flood' })) } },
      );
    await queue(100);
    await using visited = await house.open('/events?type=flood');
    const { page } = visited;
    await page.locator('.table-body [role=row]').first().waitFor();
    await page.evaluate('document.querySelector("main").scrollTo(0, 1000)');
    await queue(200);
    await page.getByRole('button', { name: '50+ new events' }).click();
    const { events } = await house.app.graphql<{ events: { nodes: readonly { readonly id: string }[] } }>(
      '{ events(filter: {type: ["flood"]}, first: 100) { nodes { id } } }',
    );
    // Again and again: as long as the second page has not come, the list ends before it.
    await until(async () => {
      await page.evaluate('document.querySelector("main").scrollTo(0, 80 * 44)');
      const href = await page.evaluate(
        'document.querySelector("[aria-rowindex=\'82\'] a")?.getAttribute("href")',
      );
      return href === `/events/${events.nodes[80]?.id}`;
    }, 'the row that is the 81st newest');
  });

  test('the live tail goes on where it was paused, without a gap', async () => {
    house.receiver.answer = ok;
    await createTrigger(house.app, { type: 'tail', url: house.receiver.url });
    await using visited = await house.open('/live?type=tail&kind=EVENT_QUEUED');
    const { page } = visited;
    const lines = page.locator('.tail li');
    await seen(page, 'Listening…');
    await until(async () => {
      await queueEvent(house.app, { type: 'tail' });
      return (await lines.count()) > 0;
    }, 'a first line');
    await page.getByRole('button', { name: 'Pause' }).click();
    const before = await lines.count();
    for (let index = 0; index < 5; index++) await queueEvent(house.app, { type: 'tail' });
    await page.getByRole('button', { name: 'Resume' }).click();
    await until(async () => (await lines.count()) >= before + 5, 'what came while it was paused');
    const hrefs: readonly string[] = await page.evaluate(
      'Array.from(document.querySelectorAll(".tail li a"), (link) => link.href)',
    );
    expect(new Set(hrefs).size).toBe(hrefs.length);
  });
});
