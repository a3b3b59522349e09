import { expect, test } from 'vitest';
import { prune } from '../../src/store/retention.ts';
import { openStore } from '../support/database.ts';

test('audit entries are kept for a year, keys that stopped working for 90 days, others for ever', async () => {
  await using store = await openStore();
  const { db, sql } = store;
  // UUIDv7 of `days` ago.
  const id = (days: number) => {
    const hex = (Date.now() - days * 86_400_000).toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000001`;
  };
  for (const days of [1, 364, 366, 800]) {
    await sql`insert into herald.audit_log (id, at, actor_id, actor_name, action, subject_id, subject_name, changes)
      values (${id(days)}, now() - make_interval(days => ${days}), 'admin', 'admin', 'TRIGGER_CREATED', 'x', ${String(days)}, '[]')`;
  }
  const key = (name: string, revoked: number | null, expired: number | null) => sql`
    insert into herald.api_keys (id, name, prefix, digest, scopes, revoked_at, expires_at)
    values (gen_random_uuid(), ${name}, 'p', encode(sha256(${name}), 'hex'), '{ADMIN}',
      now() - make_interval(days => ${revoked}), now() - make_interval(days => ${expired}))`;
  await key('works', null, null);
  await key('revoked lately', 89, null);
  await key('revoked', 91, null);
  await key('expired', null, 91);
  await key('expired, revoked lately', 1, 91);
  await prune(db, 30);
  const entries = await sql`select subject_name as name from herald.audit_log order by id desc`;
  expect(entries.map(({ name }) => name)).toEqual(['1', '364']);
  const keys = await sql`select name from herald.api_keys order by name`;
  expect(keys.map(({ name }) => name)).toEqual(['revoked lately', 'works']);
});
