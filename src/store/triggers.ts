/** Triggers and their signing keys. */
import { and, asc, eq, ilike, inArray, isNull, or, type SQL, sql } from 'drizzle-orm';
import type { TriggerStatus } from '../domain/trigger.ts';
import type { TriggerChange } from './change-entries.ts';
import { recordTriggerChange } from './change-log.ts';
import type { Executor, Transaction } from './database.ts';
import { type CappedCount, countRows, type Page, type PageArgs, readPage, type Sort } from './pages.ts';
import { prepareFind } from './prepared.ts';
import { projects, signingKeys, triggers } from './schema.ts';

export type TriggerRow = typeof triggers.$inferSelect;
export type NewTriggerRow = typeof triggers.$inferInsert;
export type SigningKeyRow = typeof signingKeys.$inferSelect;

/** A new UUIDv7 of the database's making. */
export async function newId(db: Executor): Promise<string> {
  const [row] = await db.execute<{ id: string }>(sql`select herald.uuid_v7() as id`);
  if (row === undefined) throw new Error('herald.uuid_v7() returned no row');
  return row.id;
}

/** Makes sure the project exists. */
export async function ensureProject(tx: Transaction, name: string): Promise<void> {
  await tx.insert(projects).values({ name }).onConflictDoNothing();
}

export async function insertTrigger(tx: Transaction, row: NewTriggerRow): Promise<TriggerRow> {
  const [inserted] = await tx.insert(triggers).values(row).returning();
  if (inserted === undefined) throw new Error('inserting a trigger returned no row');
  await recordTriggerChange(tx, inserted.id, 'CREATED');
  return inserted;
}

export async function insertSigningKey(tx: Transaction, row: typeof signingKeys.$inferInsert): Promise<void> {
  await tx.insert(signingKeys).values(row);
}

/** Locks the trigger's row for the rest of the transaction; null when there is none (any more). */
export async function lockTrigger(tx: Transaction, id: string): Promise<TriggerRow | null> {
  const [row] = await tx
    .select()
    .from(triggers)
    .where(and(eq(triggers.id, id), isNull(triggers.deletedAt)))
    .for('update');
  return row ?? null;
}

/** Writes `changes` and counts the version up. */
export async function updateTrigger(
  tx: Transaction,
  id: string,
  changes: Partial<NewTriggerRow>,
): Promise<TriggerRow> {
  const [row] = await tx
    .update(triggers)
    .set({ ...changes, version: sql`${triggers.version} + 1`, updatedAt: sql`now()` })
    .where(eq(triggers.id, id))
    .returning();
  if (row === undefined) throw new Error(`trigger ${id} vanished while its row was locked`);
  await recordTriggerChange(tx, id, changeOf(changes));
  return row;
}

function changeOf({ status, deletedAt }: Partial<NewTriggerRow>): TriggerChange {
  if (deletedAt != null) return 'DELETED';
  return status === undefined ? 'CHANGED' : CHANGE_TO[status];
}

const CHANGE_TO: Readonly<Record<TriggerStatus, TriggerChange>> = {
  ACTIVE: 'RESUMED',
  PAUSED: 'PAUSED',
  DISABLED: 'DISABLED',
};

/** Triggers by id, deleted ones included, in any order; missing ones are absent. */
export const findTriggers = prepareFind(triggers);

export async function findTriggerByName(
  db: Executor,
  project: string,
  name: string,
): Promise<TriggerRow | null> {
  const [row] = await db
    .select()
    .from(triggers)
    .where(and(eq(triggers.project, project), eq(triggers.name, name), isNull(triggers.deletedAt)));
  return row ?? null;
}

/** The live signing keys of each trigger, current first. */
export async function findSigningKeys(
  db: Executor,
  triggerIds: readonly string[],
): Promise<readonly SigningKeyRow[]> {
  return db
    .select()
    .from(signingKeys)
    .where(
      and(
        inArray(signingKeys.triggerId, [...triggerIds]),
        or(isNull(signingKeys.expiresAt), sql`${signingKeys.expiresAt} > now()`),
      ),
    )
    .orderBy(sql`${signingKeys.expiresAt} desc nulls first`, asc(signingKeys.id));
}

export interface TriggerFilter {
  readonly project?: string | null | undefined;
  /** Those the caller may see; null for all. */
  readonly projects?: readonly string[] | null | undefined;
  readonly type?: string | null | undefined;
  readonly status?: readonly TriggerStatus[] | null | undefined;
  readonly search?: string | null | undefined;
}

export interface TriggerOrder {
  readonly field: 'NAME' | 'CREATED_AT' | 'UPDATED_AT';
  readonly direction: 'ASC' | 'DESC';
}

export async function listTriggers(
  db: Executor,
  filter: TriggerFilter,
  order: TriggerOrder,
  args: PageArgs,
): Promise<Page<TriggerRow>> {
  return readPage(db, triggers, args, triggerSort(order), triggerCondition(filter));
}

export async function countTriggers(db: Executor, filter: TriggerFilter): Promise<CappedCount> {
  return countRows(db, triggers, triggerCondition(filter));
}

function triggerSort({ field, direction }: TriggerOrder): Sort {
  switch (field) {
    case 'NAME':
      return { name: field, key: { expression: sql`${triggers.name}`, type: 'text' }, direction };
    case 'CREATED_AT':
      return { name: field, key: null, direction };
    case 'UPDATED_AT':
      return { name: field, key: { expression: sql`${triggers.updatedAt}`, type: 'timestamptz' }, direction };
  }
}

function triggerCondition({ project, projects, type, status, search }: TriggerFilter): SQL | undefined {
  const pattern = search == null ? null : `%${search.replace(/[\\%_]/g, '\\$&')}%`;
  return and(
    isNull(triggers.deletedAt),
    project == null ? undefined : eq(triggers.project, project),
    projects == null ? undefined : inArray(triggers.project, [...projects]),
    type == null ? undefined : eq(triggers.type, type),
    status == null ? undefined : inArray(triggers.status, [...status]),
    pattern === null
      ? undefined
      : or(ilike(triggers.name, pattern), ilike(triggers.url, pattern), ilike(triggers.description, pattern)),
  );
}
