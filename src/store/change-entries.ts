/** Lines of the change log, and what they are about. */
import type { InvocationStatus } from '../domain/invocation.ts';
import { idArray } from './arrays.ts';
import type { Database } from './database.ts';
import { runPrepared } from './prepared.ts';

/** What happened to a trigger. */
export type TriggerChange = 'CREATED' | 'CHANGED' | 'PAUSED' | 'RESUMED' | 'DISABLED' | 'DELETED';

/** One change; ids are UUIDs, statuses exact at its moment. */
export type Change =
  | {
      readonly kind: 'EVENT_QUEUED';
      readonly event: string;
      readonly project: string;
      readonly type: string;
      /** How many triggers matched. */
      readonly invocations: number;
    }
  | {
      readonly kind: 'INVOCATION';
      readonly event: string;
      readonly invocation: string;
      readonly trigger: string;
      readonly project: string;
      readonly type: string;
      /** Null for a new invocation. */
      readonly from: InvocationStatus | null;
      readonly to: InvocationStatus;
      /** Number of the attempt that caused the change, if any. */
      readonly attempt: number | null;
    }
  | {
      readonly kind: 'TRIGGER';
      readonly event: null;
      readonly trigger: string;
      readonly project: string;
      readonly type: string;
      readonly change: TriggerChange;
    };

/** Null where retention has removed what the change was about, and for lines of a later release. */
export function toChange(words: readonly string[], subjects: ReadonlyMap<string, Subject>): Change | null {
  const [kind, id = '', ...rest] = words;
  const subject = subjects.get(id);
  if (subject === undefined) return null;
  const { event, project, type, trigger } = subject;
  if (kind === 'T') {
    return { kind: 'TRIGGER', event: null, trigger: id, project, type, change: rest[0] as TriggerChange };
  }
  if (event === null) return null;
  switch (kind) {
    case 'E':
      return { kind: 'EVENT_QUEUED', event, project, type, invocations: Number(rest[0]) };
    case 'I': {
      const [from, to, attempt] = rest;
      return {
        ...{ kind: 'INVOCATION', event, invocation: id, trigger: trigger ?? '', project, type },
        from: from === '-' ? null : (from as InvocationStatus),
        to: to as InvocationStatus,
        attempt: attempt === '-' ? null : Number(attempt),
      };
    }
    default:
      return null;
  }
}

export interface Subject {
  readonly id: string;
  /** Null where the subject is a trigger. */
  readonly event: string | null;
  /** Null where the subject is an event. */
  readonly trigger: string | null;
  readonly project: string;
  readonly type: string;
}

/** What the changes of these ids are about: invocations, events, triggers. */
export async function readSubjects(
  db: Database,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Subject>> {
  if (ids.length === 0) return new Map();
  const rows = await runPrepared<Subject>(db, READ_SUBJECTS, [idArray(ids)]);
  return new Map(rows.map((row) => [row.id, row]));
}

const READ_SUBJECTS = `
  select i.id, i.event_id as event, i.trigger_id as trigger, e.project, e.type
    from herald.invocations i
    join herald.events e on e.id = i.event_id
    where i.id = any($1::uuid[])
  union all
  select e.id, e.id, null, e.project, e.type from herald.events e where e.id = any($1::uuid[])
  union all
  select t.id, null, t.id, t.project, t.type from herald.triggers t where t.id = any($1::uuid[])`;
