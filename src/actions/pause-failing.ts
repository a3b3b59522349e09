/** Pauses triggers whose every attempt has failed for too long: their receivers are asked no more, and nothing is lost. */
import type { Log } from '../log.ts';
import type { Database } from '../store/database.ts';
import { describeError } from '../store/database-errors.ts';
import { findFailing } from '../store/failing-triggers.ts';
import type { Moves } from './move-invocations.ts';
import { pauseAsHerald } from './pause-trigger.ts';

export interface PauseFailingDeps {
  readonly db: Database;
  readonly moves: Moves;
  readonly log: Log;
  /** How long every attempt must have failed, in hours; 0 pauses none. */
  readonly afterHours: number;
}

/** How long one trigger's row is waited for, in ms: the next look is soon. */
const LOCK_WAIT_MS = 1000;

/** Any number of processes may do this at once. */
export async function pauseFailing({ db, moves, log, afterHours }: PauseFailingDeps): Promise<void> {
  if (afterHours === 0) return;
  for (const { id, since } of await findFailing(db, afterHours)) {
    const paused = await pauseAsHerald(db, id, {
      reason: 'CONSECUTIVE_FAILURES',
      isDue: async (tx) => (await findFailing(tx, afterHours, id)).length > 0,
      lockWaitMs: LOCK_WAIT_MS,
    }).catch((error: unknown) => {
      // The others are not to wait for it.
      log('warn', 'could not pause a trigger whose every attempt failed', {
        ...{ trigger: id, failingSince: since, error: describeError(error) },
      });
      return null;
    });
    if (paused === null) continue;
    moves.start(id);
    const { name, project } = paused;
    const fields = { trigger: id, triggerName: name, project, failingSince: since };
    log('warn', 'paused a trigger whose every attempt failed; resume it when its receiver is back', fields);
  }
}
