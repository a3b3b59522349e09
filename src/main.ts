/** The command line: finds the command; starts, says where everything is, stops on a signal. The only file that ends the process. */
import { resolve } from 'node:path';
import { startApp } from './app.ts';
import type { Command, CommandCall } from './commands/command.ts';
import { parseCommandLine } from './commands/parse.ts';
import { reencryptCommand } from './commands/reencrypt.ts';
import { rotateAdminTokenCommand } from './commands/rotate-admin-token.ts';
import { type Config, readConfig, SETTINGS } from './config.ts';
import { describeEgress } from './domain/address.ts';
import { StartupError } from './domain/errors.ts';
import { createLog } from './log.ts';
import { VERSION } from './version.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const isSignal = (reason: string): boolean => SIGNALS.some((signal) => signal === reason);
/** npm hands a Ctrl-C on although the terminal sent it to us too: signals this close together are one. */
const SAME_SIGNAL_MS = 1000;

/** What the command line can do; the first one where none is named. */
const COMMANDS: Readonly<Record<string, Command>> = {
  start: {
    summary: 'start Herald (the default)',
    options: {},
    takesWords: false,
    run: start,
  },
  'rotate-admin-token': rotateAdminTokenCommand,
  reencrypt: reencryptCommand,
};

/** Exit code of a command line that was not understood. */
const USAGE_ERROR = 2;

const parsed = parseCommandLine(process.argv.slice(2), COMMANDS, 'start');
switch (parsed.kind) {
  case 'HELP':
    process.stdout.write(manual());
    break;
  case 'VERSION':
    process.stdout.write(`${VERSION}\n`);
    break;
  case 'MISTAKE':
    process.stderr.write(`${parsed.message}\nSee --help.\n`);
    process.exitCode = USAGE_ERROR;
    break;
  case 'RUN':
    await run(parsed.command, parsed.call);
}

function manual(): string {
  const commands = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(26)}${summary}`);
  const settings = SETTINGS.map(
    ({ name, byDefault, meaning }) => `  ${name.padEnd(26)}${meaning}${byDefault && ` [${byDefault}]`}`,
  );
  return `Herald ${VERSION}\n\nCommands:\n${commands.join('\n')}\n\nSettings, from the environment:\n${settings.join('\n')}\n`;
}

async function run(command: Command, call: Pick<CommandCall, 'options' | 'words'>): Promise<void> {
  try {
    await command.run({ ...call, env: process.env, print: (text) => process.stdout.write(text) });
  } catch (error) {
    giveUp(error);
  }
}

async function start({ env }: CommandCall): Promise<void> {
  const config = readConfig(env);
  const stopping = stopOnSignals();
  const log = createLog(config.logLevel);
  const app = await startApp(config, log);
  process.stdout.write(banner(config, app, performance.now()));
  // So that the console is made by the time that somebody follows the link.
  if (config.roles.has('api')) void fetch(app.url).catch(() => {});
  const reason = await Promise.race([stopping, app.broken]);
  log('info', 'stopping', { reason });
  await app.close();
  log('info', 'stopped');
  process.exit(isSignal(reason) ? 0 : 1);
}

function giveUp(error: unknown): void {
  const text =
    error instanceof StartupError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
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

function banner(config: Config, app: Awaited<ReturnType<typeof startApp>>, tookMs: number): string {
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
