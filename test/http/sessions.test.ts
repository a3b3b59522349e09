import { afterEach, expect, test } from 'vitest';
import { tokenDigest } from '../../src/domain/api-key.ts';
import { ALL_PROJECTS_ADMIN } from '../../src/domain/caller.ts';
import { createAdminToken } from '../../src/http/admin-token.ts';
import { createSessions, type Sessions } from '../../src/http/sessions.ts';
import type { TokenSource } from '../../src/http/token.ts';
import { until } from '../support/until.ts';

const silent = () => {};
let sessions: Sessions;
afterEach(() => sessions.close());

/** Knows every token that starts with `good`, and counts what it is asked. */
function counting() {
  const asked = { find: 0, stillWorks: 0 };
  const revoked = new Set<string>();
  const source: TokenSource = {
    async find(token) {
      asked.find++;
      if (!token.startsWith('good') || revoked.has(token)) return null;
      return {
        holder: { ...ALL_PROJECTS_ADMIN, id: token },
        noteUse: () => {},
        async stillWorks() {
          asked.stillWorks++;
          return !revoked.has(token);
        },
      };
    },
  };
  return { asked, revoked, source };
}

test('a hot token is found in memory, and asked about once a second however often it comes', async () => {
  const { asked, source } = counting();
  sessions = createSessions([source], silent);
  await sessions.find('good');
  const until2s = performance.now() + 2000;
  let requests = 0;
  while (performance.now() < until2s) {
    expect((await sessions.known('good'))?.id).toBe('good');
    requests++;
  }
  expect(requests).toBeGreaterThan(10_000);
  expect(asked.find).toBe(1);
  expect(asked.stillWorks).toBeLessThanOrEqual(3);
});

test('what is not known is not remembered', async () => {
  const { asked, source } = counting();
  sessions = createSessions([source], silent);
  expect([await sessions.known('bad'), await sessions.find('bad'), await sessions.known('bad')]).toEqual([
    null,
    null,
    null,
  ]);
  expect(asked.find).toBe(1);
});

test('memory is bounded, and a subscription outlives being forgotten', async () => {
  const { source, revoked } = counting();
  sessions = createSessions([source], silent);
  const first = await sessions.find('good 0');
  let ended = 0;
  first?.watch(() => ended++);
  first?.watch(() => ended++)(); // this one has stopped watching
  for (let n = 1; n <= 10_000; n++) await sessions.find(`good ${n}`);
  expect(await sessions.known('good 0')).toBeNull();
  expect(await sessions.known('good 1')).not.toBeNull();
  revoked.add('good 0');
  await until(() => ended > 0, 'its end', 4000);
  expect(ended).toBe(1);
});

test('doubt asks about all of them at once', async () => {
  const { source, revoked } = counting();
  sessions = createSessions([source], silent);
  await sessions.find('good');
  revoked.add('good');
  expect(await sessions.known('good')).not.toBeNull();
  sessions.doubt();
  expect(await sessions.known('good')).toBeNull();
});

test('the admin token is what its file says, and what it last said while there is no file', async () => {
  let content: string | null = 'first-token-0123456789\n';
  const read = async () => {
    if (content === null) throw new Error('ENOENT');
    return content;
  };
  const admin = createAdminToken('first-token-0123456789', read, silent);
  sessions = createSessions([admin], silent);
  const works = async (token: string) => (await sessions.known(token)) ?? (await sessions.find(token));
  expect(await works('first-token-0123456789')).not.toBeNull();
  expect(await works(tokenDigest('first-token-0123456789'))).toBeNull();
  content = 'short';
  await until(async () => (await works('short')) === null, 'half a file to be ignored');
  expect(await works('first-token-0123456789')).not.toBeNull();
  content = 'second-token-0123456789';
  await until(async () => (await works('first-token-0123456789')) === null, 'the new one to hold', 3000);
  expect(await works('second-token-0123456789')).not.toBeNull();
  content = null;
  expect(await works('second-token-0123456789')).not.toBeNull();
});
