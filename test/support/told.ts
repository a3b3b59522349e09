/** What subscribers were told of invocations, beside what the transactions wrote into the log. */
import type postgres from 'postgres';

export interface ToldChange {
  readonly previousStatus: string | null;
  readonly status: string | null;
  readonly invocation: { readonly id: string } | null;
  readonly attempt: { readonly number: number } | null;
}

/** Changes by invocation, in order, each as `QUEUED SUCCEEDED 1`. */
export type Changes = ReadonlyMap<string, readonly string[]>;

/** What the log has. */
export async function loggedChanges(sql: postgres.Sql): Promise<Changes> {
  const log = await sql`select c.entries from herald.changes c order by c.id`;
  const changes = new Map<string, string[]>();
  for (const line of log.flatMap(({ entries }) => String(entries).split('\n'))) {
    const [kind, id = '', from, to, attempt] = line.split(' ');
    if (kind === 'I') changes.set(id, [...(changes.get(id) ?? []), `${from} ${to} ${attempt}`]);
  }
  return changes;
}

/** What somebody was told: repetitions do not count, the order is that of the first time. */
export function toldChanges(updates: readonly ToldChange[]): Changes {
  const told = new Map<string, Set<string>>();
  for (const { invocation, previousStatus, status, attempt } of updates) {
    const id = invocation?.id ?? 'none';
    const change = `${previousStatus ?? '-'} ${status} ${attempt?.number ?? '-'}`;
    told.set(id, (told.get(id) ?? new Set()).add(change));
  }
  return new Map([...told].map(([id, changes]) => [id, [...changes]]));
}

export function countChanges(changes: Changes): number {
  return [...changes.values()].reduce((sum, own) => sum + own.length, 0);
}
