/** The wiring of what leaves for receivers, for whoever delivers or tries a trigger out. */
import type { Config } from './config.ts';
import { within } from './deadline.ts';
import type { Opened } from './opening.ts';
import { readAuthorities } from './webhook/authorities.ts';
import { createSender, type Sender } from './webhook/send.ts';

/** What is in flight when nobody waits for it any more gets this long to end by itself, in ms. */
const CLOSE_MS = 1000;

/** `concurrency` is the most connections to one origin at once. Errors: StartupError where EGRESS_CA_FILE cannot be used. */
export async function openSender(config: Config, opened: Opened, concurrency: number): Promise<Sender> {
  const sender = createSender({
    policy: config.egress,
    connectionsPerOrigin: concurrency,
    proxy: config.egressProxy,
    ca: config.egressCaFile === null ? [] : await readAuthorities(config.egressCaFile),
  });
  const busy = `it is still busy after ${CLOSE_MS / 1000} s`;
  opened.push({ what: 'sender', close: () => within(CLOSE_MS, sender.close(), busy) });
  return sender;
}
