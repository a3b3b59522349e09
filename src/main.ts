/** The command line: finds the command; starts, says where everything is, stops on a signal. The only file that ends the process. */
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import type { App } from './app.ts';
import { type Command, type CommandCall, type ExitCode, NO_WORDS } from './commands/command.ts';
import type { CommandTable } from './commands/parse.ts';
import { NO_READER, runCommandLine, type Surroundings } from './commands/run.ts';
import { COMMANDS as BESIDE_STARTING } from './commands/table.ts';
import { type Config, readConfig } from './config.ts';
import { openDeliveryThread } from './delivery-thread.ts';
import { describeEgress } from './domain/address.ts';
import { VERSION } from './version.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const isSignal = (reason: string): boolean => SIGNALS.some((signal) => signal === reason);
/** npm hands a Ctrl-C on although the terminal sent it to us too: signals this close together are one. */
const SAME_SIGNAL_MS = 1000;

const startCommand: Command = {
  options: {},
  words: NO_WORDS,
  notes: ['Settings come from the environment; --help before any command shows them.'],
  run: start,
};

/** What the command line can do; the first one where none is named. */
const COMMANDS: CommandTable = {
  start: { summary: 'start Herald (the default)', load: async () => startCommand },
  ...BESIDE_STARTING,
};

process.exit(await runCommandLine(process.argv.slice(2), COMMANDS, 'start', surroundings()));

function surroundings(): Surroundings {
  const stopping = new AbortController();
  let stopSignal = (): AbortSignal => {
    void stopOnSignals().then((reason) => stopping.abort(reason));
    stopSignal = () => stopping.signal;
    return stopping.signal;
  };
  // Whoever read the output has gone: `head` has seen enough.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stopping.abort(NO_READER));
  return {
    env: process.env,
    print: (written) => new Promise((done) => process.stdout.write(written, () => done())),
    notice: (written) => process.stderr.write(written),
    readInput: () => text(process.stdin),
    isTerminal: process.stdout.isTTY,
    stopSignal: () => stopSignal(),
  };
}

async function start({ env }: CommandCall): Promise<ExitCode> {
  const config = readConfig(env);
  const stopping = stopOnSignals();
  const delivery = config.roles.has('api') && config.roles.has('worker') ? openDeliveryThread() : null;
  // Not loaded by the other commands, which it would slow down.
  const [{ startApp }, { createLog }] = await Promise.all([import('./app.ts'), import('./log.ts')]);
  const log = createLog(config.logLevel);
  const called = new AbortController();
  void stopping.then((signal) => called.abort(signal));
  const app = await startApp(config, log, delivery, called.signal).catch((error: unknown) => {
    if (called.signal.aborted) return null;
    throw error;
  });
  if (app === null) return 0;
  process.stdout.write(banner(config, app, performance.now()));
  // So that the console is made by the time that somebody follows the link.
  if (config.roles.has('api')) void fetch(app.url).catch(() => {});
  const reason = await Promise.race([stopping, app.broken]);
  log(isSignal(reason) ? 'info' : 'error', 'stopping', { reason });
  await app.close();
  log('info', 'stopped');
  return isSignal(reason) ? 0 : 1;
}

/** Resolves with the first signal. A second one, a second later or more, ends the process at once. */
function stopOnSignals(): Promise<string> {
  const { promise, resolve: stop } = Promise.withResolvers<string>();
  let firstAt: number | null = null;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (firstAt === null) {
        firstAt = performance.now();
        stop(signal);
      } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
        process.exit(1);
      }
    });
  }
  // Started by a launcher that has died: it would have handed the signals on.
  process.once('disconnect', () => stop('SIGHUP'));
  return promise;
}

function banner(config: Config, app: App, tookMs: number): string {
  // Output often ends in a log: a token that was set is known to whoever set it, and is not said again.
  const shown = config.adminToken === null ? app.adminToken : null;
  const token = shown === null ? '' : `#token=${shown}`;
  const link = (path: string): string =>
    config.roles.has('api') ? `${app.url}${path}${token}` : 'in the processes with the role api';
  const dataDir = resolve(config.dataDir);
  const proxy =
    config.egressProxy === null ? '' : `, through ${config.egressProxy.host}:${config.egressProxy.port}`;
  return `
  Herald ${VERSION} is ready after ${(tookMs / 1000).toFixed(1)} s at ${app.url}

    Console    ${link('/')}
    GraphiQL   ${link('/graphql')}
    Token      ${tokenLine(config, app.adminToken, dataDir)}
    Database   ${app.databaseAt}
    Webhooks   ${describeEgress(config.egress)}${proxy} (EGRESS, EGRESS_ALLOW_CIDRS)
    Roles      ${[...config.roles].join(', ')}

`;
}

function tokenLine(config: Config, adminToken: string | null, dataDir: string): string {
  if (adminToken === null) return 'none needed (AUTH=off)';
  return config.adminToken === null ? `kept in ${dataDir}/admin-token` : 'as set in ADMIN_TOKEN';
}
