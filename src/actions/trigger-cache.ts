/**
 * What deliveries need of a trigger, kept by its version: a delivery's own load says which version holds, so a change
 * is seen by the next delivery without any message, and an unchanged trigger is read and decrypted once.
 */
import type { KeyObject } from 'node:crypto';
import type { Header } from '../domain/attempt.ts';
import type { ContentMode, SpecVersion } from '../domain/envelope.ts';
import { ed25519Key, hmacKey } from '../domain/signature.ts';
import { MASKED } from '../domain/trigger.ts';
import { createBatcher } from '../store/batch.ts';
import type { Database } from '../store/database.ts';
import type { SecretBox } from '../store/secrets.ts';
import { findSigningKeys, findTriggers, type SigningKeyRow, type TriggerRow } from '../store/triggers.ts';
import { givingAway } from './mask-secrets.ts';
import { keyPlace } from './signing-keys.ts';
import { headerPlace } from './trigger-headers.ts';

export interface DeliveryTrigger {
  readonly version: number;
  readonly name: string;
  readonly url: string;
  readonly timeoutMs: number;
  readonly retrySchedule: readonly number[] | null;
  readonly contentMode: ContentMode;
  readonly specVersion: SpecVersion;
  /** Whether it has limits of its own, counted in the database (store/turns.ts). */
  readonly limited: boolean;
  /** Whether it was deleted and its unfinished invocations with it. */
  readonly cancelled: boolean;
  readonly headers: readonly Header[];
  /** The same for the attempt log: secret values masked. */
  readonly maskedHeaders: readonly Header[];
  /** What gives the values of the secret ones away. */
  readonly secretValues: readonly string[];
  /** Current first. */
  readonly keys: readonly LiveKey[];
}

export interface LiveKey {
  readonly key: KeyObject;
  /** Epoch milliseconds; null for the current one. */
  readonly expiresAt: number | null;
}

export interface TriggerCache {
  /** Settings of the trigger at `version` or newer. */
  get(id: string, version: number): Promise<DeliveryTrigger>;
}

/** Triggers kept in memory, a few kB each; the one unused for longest goes first. */
const CAPACITY = 10_000;

export function createTriggerCache(db: Database, secrets: SecretBox): TriggerCache {
  const cache = new Map<string, DeliveryTrigger>();
  const loads = createBatcher({
    flush: (ids: readonly string[]) => loadTriggers(db, secrets, ids),
    maxSize: 500,
    concurrency: 2,
    gatherMs: 2,
    maxWaiting: 10_000,
  });

  return {
    async get(id, version) {
      const cached = cache.get(id);
      const trigger = cached !== undefined && cached.version >= version ? cached : await loads.add(id);
      // One that cannot be read must not fail those that were loaded with it.
      if (trigger instanceof Error) throw trigger;
      cache.delete(id);
      cache.set(id, trigger);
      if (cache.size > CAPACITY) cache.delete(cache.keys().next().value ?? id);
      return trigger;
    },
  };
}

async function loadTriggers(
  db: Database,
  secrets: SecretBox,
  ids: readonly string[],
): Promise<readonly (DeliveryTrigger | Error)[]> {
  const rows = new Map((await findTriggers(db, ids)).map((row) => [row.id, row]));
  const keys = Map.groupBy(await findSigningKeys(db, ids), (key) => key.triggerId);
  return ids.map((id) => {
    const row = rows.get(id);
    if (row === undefined) return new Error(`no row of trigger ${id}`);
    try {
      return toDeliveryTrigger(secrets, row, keys.get(id) ?? []);
    } catch (error) {
      return new Error(`the secrets of trigger ${id} cannot be read`, { cause: error });
    }
  });
}

function toDeliveryTrigger(
  secrets: SecretBox,
  row: TriggerRow,
  keys: readonly SigningKeyRow[],
): DeliveryTrigger {
  const { version, name, url, timeoutMs, retrySchedule, contentMode, specVersion } = row;
  const headers = row.headers.map(({ name, value, secret }) => ({
    name,
    value: secret ? secrets.open(headerPlace(row.id, name), value).toString() : value,
    secret,
  }));
  return {
    ...{ version, name, url, timeoutMs, retrySchedule, contentMode, specVersion },
    limited: row.maxConcurrency !== null || row.maxPerMinute !== null,
    cancelled: row.pendingPolicy === 'CANCEL',
    headers: headers.map(({ name, value }) => [name, value]),
    maskedHeaders: headers.map(({ name, value, secret }) => [name, secret ? MASKED : value]),
    secretValues: givingAway(headers.filter(({ secret }) => secret).map(({ value }) => value)),
    keys: keys.map(({ id, algorithm, secret, expiresAt }) => {
      const bytes = secrets.open(keyPlace(id), secret);
      const key = algorithm === 'ED25519' ? ed25519Key(bytes) : hmacKey(bytes);
      return { key, expiresAt: expiresAt?.getTime() ?? null };
    }),
  };
}
