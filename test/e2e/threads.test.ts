/** API and worker in one process: each has an event loop of its own, and the process needs both. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { within } from '../../src/deadline.ts';
import { askGraphql } from '../support/app.ts';
import { createTestDatabase } from '../support/database.ts';
import { type HeraldProcess, spawnHerald } from '../support/process.ts';
import { startReceiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const FAULTS = `--import=${fileURLToPath(new URL('../support/threads.mjs', import.meta.url))}`;

let dataDir: string;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'herald-threads-'));
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

/** In less than a test may take, so that a Herald that lives on is killed when the test fails. */
const exitOf = (herald: HeraldProcess) => within(20_000, herald.exited(), 'Herald lives on');

async function start(env: Readonly<Record<string, string>>) {
  const database = await createTestDatabase();
  return spawnHerald({ DATABASE_URL: database.url, DATA_DIR: dataDir, NODE_OPTIONS: FAULTS, ...env });
}

test('while the API is busy, what falls due is delivered', async () => {
  await using receiver = await startReceiver();
  const blockedUntil = join(dataDir, 'blocked-until');
  await using process = await start({ FAULT: 'BLOCK', BLOCKED_UNTIL: blockedUntil });
  const herald = await process.ready();
  await askGraphql(
    herald,
    'mutation ($url: String!) { createTrigger(input: {name: "t", type: "t", url: $url}) { trigger { id } } }',
    { url: receiver.url },
  );
  await askGraphql(herald, 'mutation { queueEvent(input: {type: "t", delay: 2}) { event { id } } }');
  process.child.kill('SIGUSR2');
  await until(() => process.output().includes('blocked'), 'the API to be busy');
  let answered = false;
  const asked = fetch(`${herald.url}/livez`).then(() => {
    answered = true;
  });
  await receiver.received(1);
  expect(answered).toBe(false);
  await writeFile(blockedUntil, '');
  await asked;
});

test('a delivery thread that dies takes its process along, and it says why', async () => {
  await using process = await start({ FAULT: 'DIE' });
  await process.ready();
  process.child.kill('SIGUSR2');
  expect(await exitOf(process)).toEqual({ code: 1, signal: null });
  expect(process.output()).toContain('the delivery thread ended by itself: Error: made to die');
});

test('what delivery cannot start with ends the start, in one sentence', async () => {
  await using process = await start({ EGRESS_CA_FILE: join(dataDir, 'none.pem') });
  expect((await exitOf(process)).code).toBe(1);
  expect(process.output().trim()).toMatch(/^[^\n]*none\.pem[^\n]*$/);
});
