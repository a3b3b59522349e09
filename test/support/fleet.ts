/** Several Herald processes on one database, each behind a proxy of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFailed } from 'vitest';
import { askGraphql, TOKEN } from './app.ts';
import type { TestDatabase } from './database.ts';
import { type HeraldProcess, spawnHerald } from './process.ts';
import { type PostgresProxy, startProxy, through } from './proxy.ts';
import { until } from './until.ts';

export interface Member {
  readonly proxy: PostgresProxy;
  /** The one that runs now, or ran last. */
  process: HeraldProcess;
  /** Null until it is ready. */
  url: string | null;
}

export interface Fleet extends AsyncDisposable {
  readonly members: readonly Member[];
  /** Of those that are ready and have the API. */
  urls(): readonly string[];
  /** Prints how each process ended, and its last words, should the test that calls this fail. */
  tellOnFailure(): void;
  /** Runs a GraphQL operation at the first that is ready. */
  graphql<T = Record<string, unknown>>(query: string, variables?: unknown): Promise<T>;
  /** Waits for all to be ready. */
  ready(): Promise<void>;
  /** Ends a member's process by SIGKILL, if it still lives, and waits for its end. */
  kill(member: Member): Promise<void>;
  /** Starts a member's process anew, of another release if `launcher` says so; does not wait for it to be ready. */
  restart(member: Member, launcher?: string): void;
  /** Ends all by SIGTERM, and waits; answers with their exit codes. */
  stop(): Promise<readonly (number | null)[]>;
}

export interface FleetOptions {
  readonly database: TestDatabase;
  /** The settings of each member, on top of what all of a fleet have in common. */
  readonly members: readonly Readonly<Record<string, string>>[];
  /** Of the release they run; default: this one. */
  readonly launcher?: string;
}

/** What all processes on one database must share. */
const COMMON = { ADMIN_TOKEN: TOKEN, ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };

export async function startFleet({
  database,
  members: settings,
  launcher: release,
}: FleetOptions): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), 'herald-fleet-'));
  const members: Member[] = [];
  const started: { readonly slot: number; readonly process: HeraldProcess }[] = [];
  const words = () => started.map(({ slot, process }) => lastWords(slot, process));
  let atTheEnd: readonly string[] | null = null;
  const launch = (slot: number, proxy: PostgresProxy, launcher = release): HeraldProcess => {
    const own = { DATABASE_URL: through(proxy, database), DATA_DIR: join(directory, String(slot)) };
    return spawnHerald({ ...COMMON, ...own, ...settings[slot] }, launcher);
  };
  /** Notes the address once it is known; a process that ends before is somebody else's to notice. */
  const note = (member: Member, process: HeraldProcess): void => {
    started.push({ slot: members.indexOf(member), process });
    process.ready().then(
      ({ url }) => {
        if (member.process === process) member.url = url;
      },
      () => {},
    );
  };
  for (let slot = 0; slot < settings.length; slot++) {
    const proxy = await startProxy(database);
    const member: Member = { proxy, process: launch(slot, proxy), url: null };
    members.push(member);
    note(member, member.process);
  }
  const hasApi = (slot: number) => settings[slot]?.ROLES !== 'worker';
  const urls = () => members.flatMap(({ url }, slot) => (hasApi(slot) ? (url ?? []) : []));
  return {
    members,
    urls,
    tellOnFailure: () => onTestFailed(() => console.error((atTheEnd ?? words()).join('\n'))),
    graphql: (query, variables) => askGraphql({ url: urls()[0] ?? '', token: TOKEN }, query, variables),
    ready: async () => {
      // Throws, with what it printed, where one has ended.
      await Promise.all(members.map(({ process }) => process.ready()));
      await until(() => members.every(({ url }) => url !== null), 'every address');
    },
    async kill(member) {
      member.url = null;
      member.process.child.kill('SIGKILL');
      await member.process.exited();
    },
    restart(member, launcher) {
      const { exitCode, signalCode } = member.process.child;
      if (exitCode === null && signalCode === null) throw new Error('the member still runs');
      member.url = null;
      member.process = launch(members.indexOf(member), member.proxy, launcher);
      note(member, member.process);
    },
    async stop() {
      for (const { process } of members) process.child.kill('SIGTERM');
      const exits = await Promise.all(members.map(({ process }) => process.exited()));
      return exits.map(({ code }) => code);
    },
    async [Symbol.asyncDispose]() {
      atTheEnd = words();
      for (const { process, proxy } of members) {
        await process[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Most of what a process printed that its last words show. */
const LAST_WORDS_CHARACTERS = 4000;

/** How a process ended, if it has, and what it said last: for a test that failed. */
function lastWords(slot: number, { pid, child, output }: HeraldProcess): string {
  const { exitCode, signalCode } = child;
  const end = exitCode === null && signalCode === null ? 'runs' : `ended with ${signalCode ?? exitCode}`;
  return `--- member ${slot}, process ${pid} ${end}\n${output().slice(-LAST_WORDS_CHARACTERS)}`;
}
