/** JWTs at the door of a whole Herald: Space Cloud's callers, people of an identity provider, and the end of a token. */
import { SignJWT } from 'jose';
import { API } from 'space-api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../support/app.ts';
import { until } from '../support/until.ts';
import { ask, type Loose, statusOf, subscribe, TRANSPORTS } from './callers.ts';

const SECRET = '2aXvZ5qkYkSSyGKRvFqYzJwUOGe'; // as Space Cloud makes them: 27 characters
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({
    env: { ROLES: 'api', JWT_SECRET: SECRET, JWT_CLOCK_SKEW_SECONDS: '0', LOGIN_FAILURES_PER_MINUTE: '0' },
  });
});
afterAll(() => app[Symbol.asyncDispose]());

const token = (claims: Record<string, unknown>, secret = SECRET) =>
  new SignJWT({ exp: Math.floor(Date.now() / 1000) + 60, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret));

test("a program written for Space Cloud goes on with Space Cloud's token", async () => {
  const api = new API('default', app.url);
  api.setToken(await token({ id: 'user-1', role: 'user' }));
  const { status, data } = await api.queueEvent('order.paid', { id: 42 }).apply();
  expect([status, data.invocations]).toEqual([200, []]);
  // It may queue, and that is all.
  const { body } = await ask(
    app.url,
    await token({ id: 'user-1', role: 'admin' }),
    '{ events { nodes { id } } }',
  );
  expect(body.errors[0].extensions).toEqual({ code: 'FORBIDDEN', scope: 'EVENTS_READ' });
  api.setToken(await token({ id: 'user-1' }, 'another secret of 27 charact'));
  expect((await api.queueEvent('order.paid', {}).apply()).status).toBe(401);
});

test('scopes and projects of the claims hold', async () => {
  const bound = await token({
    sub: 'ann',
    name: 'Ann',
    scope: 'EVENTS_READ EVENTS_WRITE',
    projects: ['shop'],
  });
  const { body } = await ask(app.url, bound, '{ viewer { name scopes projects } events { nodes { id } } }');
  expect(body.data).toEqual({
    viewer: { name: 'Ann', scopes: ['EVENTS_WRITE', 'EVENTS_READ'], projects: ['shop'] },
    events: { nodes: [] },
  });
  const rest = await app.post('/queue', { type: 'x' }, { authorization: `Bearer ${bound}` });
  expect([rest.status, ((await rest.json()) as Loose).error]).toEqual([
    403,
    'this token is not for project "default"',
  ]);
  const nowhere = await token({ sub: 'ann', scope: 'ADMIN', projects: [] });
  const { body: empty } = await ask(
    app.url,
    nowhere,
    '{ events { nodes { id } } triggers { nodes { id } } apiKeys { id } }',
  );
  expect(empty.data).toEqual({ events: { nodes: [] }, triggers: { nodes: [] }, apiKeys: [] });
});

test.each(TRANSPORTS)('a subscription over %s ends with its token', async (transport) => {
  const short = await token({ sub: 'ann', scope: 'EVENTS_READ', exp: Math.floor(Date.now() / 1000) + 2 });
  expect(await statusOf(app.url, short)).toBe(200);
  const watching = subscribe(transport, app.url, short, 'subscription { invocationUpdated { kind } }');
  await until(() => watching.over(), 'the end of the token', 6000);
  expect(await statusOf(app.url, short)).toBe(401);
});
