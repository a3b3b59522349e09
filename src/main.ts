/** The command line: start, say where everything is, stop on a signal. The only file that ends the process. */
import { resolve } from 'node:path';
import { startApp } from './app.ts';
import { type Config, readConfig, SETTINGS } from './config.ts';
import { describeEgress } from './domain/address.ts';
import { StartupError } from './domain/errors.ts';
import { createLog } from './log.ts';
import { reencryptDatabase } from './reencrypt.ts';
import { VERSION } from './version.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const isSignal = (reason: string): boolean => SIGNALS.some((signal) => signal === reason);
/** npm hands a Ctrl-C on although the terminal sent it to us too: signals this close together are one. */
const SAME_SIGNAL_MS = 1000;

const COMMANDS = `Commands:
  (none)             start
  reencrypt          encrypt all secrets anew with the first key of ENCRYPTION_KEY
`;

if (process.argv.includes('--help')) {
  const lines = SETTINGS.map(
    ({ name, byDefault, meaning }) => `  ${name.padEnd(19)}${meaning}${byDefault && ` [${byDefault}]`}`,
  );
  process.stdout.write(
    `Herald ${VERSION}\n\n${COMMANDS}\nSettings, from the environment:\n${lines.join('\n')}\n`,
  );
} else if (process.argv[2] === 'reencrypt') {
  await reencrypt();
} else {
  await main();
}

/** Writes all secrets anew with the first key of ENCRYPTION_KEY, says how many, and ends. */
async function reencrypt(): Promise<void> {
  try {
    const config = readConfig(process.env);
    const { signingKeys, headers } = await reencryptDatabase(config, createLog(config.logLevel));
    process.stdout.write(
      `Encrypted anew with the first key: ${signingKeys} signing keys, ${headers} secret headers. Older keys can be dropped.\n`,
    );
  } catch (error) {
    giveUp(error);
  }
}

async function main(): Promise<void> {
  try {
    const config = readConfig(process.env);
    const stopping = stopOnSignals();
    const log = createLog(config.logLevel);
    const app = await startApp(config, log);
    process.stdout.write(banner(config, app, performance.now()));
    const reason = await Promise.race([stopping, app.broken]);
    log('info', 'stopping', { reason });
    await app.close();
    log('info', 'stopped');
    process.exit(isSignal(reason) ? 0 : 1);
  } catch (error) {
    giveUp(error);
  }
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
  const link = shown === null ? `${app.url}/graphql` : `${app.url}/graphql#token=${shown}`;
  const dataDir = resolve(config.dataDir);
  const proxy =
    config.egressProxy === null ? '' : `, through ${config.egressProxy.host}:${config.egressProxy.port}`;
  return `
  Herald ${VERSION} is ready after ${(tookMs / 1000).toFixed(1)} s at ${app.url}

    GraphiQL   ${config.roles.has('api') ? link : 'in the processes with the role api'}
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
