/**
 * One real Postgres for the run, with a migrated template database that each test file copies. It gives up
 * durability (fsync off): what durability needs is tested on servers that the tests start themselves.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbedded } from '../../src/store/embedded.ts';
import { migrate } from '../../src/store/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    server: { readonly host: string; readonly port: number; readonly user: string };
  }
}

/** The database `startEmbedded` makes; migrated once, it is the template. */
export const TEMPLATE = 'herald';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-test-'));
  const server = await startEmbedded({
    dataDir: directory,
    settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' },
  });
  await migrate(server.connection);
  const { host, port, user } = server.connection;
  project.provide('server', { host, port, user });
  return async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
}
