/** `npm run screenshots`: the README's pictures, of a Herald that has had a busy day. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import postgres from 'postgres';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startEmbedded } from '../../src/store/embedded.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';
import { launchBrowser, visit } from './browser.ts';
import { giveHistory } from './history.ts';
import { answerLikeShops, liveThroughADay } from './scene.ts';

const PLACE = fileURLToPath(new URL('screenshots', import.meta.url));
const TOKEN = 'screenshots-0123456789';
/** Of a lossy picture; low enough for 60 kB each, high enough for text. */
const QUALITY = 78;

interface Shot {
  readonly name: string;
  readonly path: string;
  readonly dark?: true;
  readonly width?: number;
  readonly height?: number;
  readonly prepare?: (page: Page) => Promise<unknown>;
}

const dataDir = await mkdtemp(join(tmpdir(), 'herald-screenshots-'));
const receiver = await startReceiver(answerLikeShops);
const postgresServer = await startEmbedded({ dataDir: join(dataDir, 'postgres') });
const { host, port, user, database } = postgresServer.connection;
const config = readConfig({
  DATA_DIR: dataDir,
  DATABASE_URL: `postgres://${user}@localhost/${database}?host=${encodeURIComponent(host)}&port=${port}`,
  PORT: '0',
  ADMIN_TOKEN: TOKEN,
  LOG_LEVEL: 'silent',
});
const app = await startApp(config, createLog('silent'));
const browser = await launchBrowser();
try {
  const scene = await liveThroughADay({ url: app.url, token: TOKEN, receiverUrl: receiver.url });
  const sql = postgres({ host, port, user, database, max: 1 });
  await giveHistory(sql, scene.triggers);
  await sql.end();
  await mkdir(PLACE, { recursive: true });
  for (const shot of shotsOf(scene)) await take(shot);
} finally {
  await browser.close();
  await app.close();
  await postgresServer.stop();
  await receiver[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
}

function shotsOf(scene: Awaited<ReturnType<typeof liveThroughADay>>): readonly Shot[] {
  const phone = { width: 390, height: 844 };
  return [
    { name: 'overview', path: '/', height: 860 },
    { name: 'overview-dark', path: '/', dark: true, height: 860 },
    { name: 'triggers', path: '/triggers' },
    { name: 'trigger', path: `/triggers/${scene.triggerId}` },
    { name: 'add-trigger', path: '/triggers?add=order.paid', height: 860, prepare: openAdvanced },
    { name: 'fire', path: '/triggers', prepare: fire },
    { name: 'test', path: `/triggers/${scene.triggerId}`, height: 1000, prepare: tryOut },
    { name: 'events', path: '/events' },
    { name: 'event-retrying', path: `/events/${scene.retryingId}`, height: 940 },
    { name: 'event-dark', path: `/events/${scene.failedId}`, dark: true, height: 940 },
    { name: 'invocations', path: '/invocations' },
    { name: 'live', path: '/live', dark: true, height: 760, prepare: scene.makeNoise },
    { name: 'settings', path: '/settings' },
    { name: 'api-keys', path: '/settings?tab=keys' },
    { name: 'audit-log', path: '/settings?tab=audit' },
    { name: 'phone-overview', path: '/', ...phone },
    { name: 'phone-event', path: `/events/${scene.failedId}`, dark: true, ...phone },
    { name: 'phone-triggers', path: '/triggers', ...phone },
    { name: 'phone-events', path: '/events', ...phone },
  ];
}

async function take({ name, path, prepare, ...options }: Shot): Promise<void> {
  await using visited = await visit(browser, { url: app.url, token: TOKEN }, path, options);
  const { page, context } = visited;
  await until(async () => (await page.locator('.loading').count()) === 0, 'the content');
  await prepare?.(page);
  // What arrives by subscription, and the fonts.
  await page.waitForTimeout(700);
  const session = await context.newCDPSession(page);
  const { data } = await session.send('Page.captureScreenshot', { format: 'webp', quality: QUALITY });
  const picture = Buffer.from(data, 'base64');
  await writeFile(join(PLACE, `${name}.webp`), picture);
  console.log(`${name}.webp ${(picture.length / 1024).toFixed(0)} KiB`, ...visited.complaints);
}

async function openAdvanced(page: Page): Promise<void> {
  await page.getByLabel('Trigger name').fill('orders to the warehouse');
  await page.getByLabel('Webhook URL').fill('https://warehouse.example.com/hooks');
  await page.getByText('Advanced').click();
  await page.getByLabel('Retry schedule').fill('5, 60, 3600');
  await page.getByRole('dialog').getByRole('button', { name: 'Add trigger' }).click();
  await page.locator('[aria-invalid]').first().waitFor();
}

async function tryOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'More for this trigger' }).click();
  await page.getByRole('menuitem', { name: 'Test' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send test' }).click();
  await page.getByText('The receiver took it').waitFor();
}

async function fire(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Trigger orders-to-warehouse' }).click();
  await page.getByRole('textbox', { name: 'Event data' }).waitFor();
  await page.getByLabel('Synchronously').check();
  await page.getByRole('dialog').getByRole('button', { name: 'Trigger', exact: true }).click();
  await page.getByText(/Answered after/).waitFor();
}
