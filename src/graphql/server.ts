/** The caller, and facts about this server. */
import { type Caller, SCOPES, type Scope } from '../domain/caller.ts';
import { MAX_BATCH_SIZE, MAX_DATA_BYTES, MAX_SCHEDULE_DAYS } from '../domain/event.ts';
import { MAX_RETRIES, MAX_TIMEOUT_MS } from '../domain/trigger.ts';
import { MAX_PAGE_SIZE } from '../store/pages.ts';
import { builder, type Described } from './builder.ts';
import type { GraphqlServices } from './services.ts';
import './scalars.ts';

export const SCOPE = builder.enumType('Scope', {
  description: 'Permissions of a token.',
  values: {
    EVENTS_WRITE: { description: 'Queue, cancel and reschedule events.' },
    EVENTS_READ: { description: 'Read events, invocations, attempts and statistics; subscribe.' },
    EVENTS_RETRY: { description: 'Retry and replay.' },
    TRIGGERS_READ: { description: 'Read triggers.' },
    TRIGGERS_WRITE: { description: 'Create, change and delete triggers.' },
    SECRETS_READ: { description: 'Read signing secrets.' },
    ADMIN: { description: 'Everything, API keys included.' },
  } satisfies Described<Scope>,
});

const Viewer = builder.objectRef<Caller>('Viewer');
Viewer.implement({
  description: 'The caller.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the token.' }),
    scopes: t.field({
      type: [SCOPE],
      description: 'What the token may do.',
      resolve: ({ scopes }) => SCOPES.filter((scope) => scopes.includes(scope)),
    }),
    projects: t.stringList({
      nullable: true,
      description: 'Projects the token may use; null means all.',
      resolve: ({ projects }) => projects && [...projects],
    }),
  }),
});

const ServerLimits = builder.objectRef<object>('ServerLimits');
ServerLimits.implement({
  description: 'Limits in force.',
  fields: (t) => ({
    maxDataSize: t.field({
      type: 'SafeInt',
      description: 'Largest payload in bytes.',
      resolve: () => MAX_DATA_BYTES,
    }),
    maxBatchSize: t.int({ description: 'Most events per `queueEvents`.', resolve: () => MAX_BATCH_SIZE }),
    maxRetries: t.int({ description: 'Largest `retries`.', resolve: () => MAX_RETRIES }),
    maxTimeout: t.int({ description: 'Largest `timeout` in milliseconds.', resolve: () => MAX_TIMEOUT_MS }),
    maxScheduleDays: t.int({
      description: 'Furthest due time from now in days.',
      resolve: () => MAX_SCHEDULE_DAYS,
    }),
    maxPageSize: t.int({ description: 'Largest `first` or `last`.', resolve: () => MAX_PAGE_SIZE }),
  }),
});

const ServerInfo = builder.objectRef<GraphqlServices['server']>('ServerInfo');
ServerInfo.implement({
  description: 'Facts about this server, for clients and the console.',
  fields: (t) => ({
    version: t.exposeString('version', { description: 'Release, e.g. `1.4.0`.' }),
    defaultSource: t.exposeString('defaultSource', {
      description: 'The CloudEvents `source` used by default.',
    }),
    limits: t.field({ type: ServerLimits, description: 'Limits in force.', resolve: () => ({}) }),
    egressPolicy: t.exposeString('egressPolicy', {
      description: 'Egress policy in words, e.g. `public addresses only`.',
    }),
    retentionDays: t.exposeInt('retentionDays', { description: 'Days that finished events are kept.' }),
  }),
});

builder.queryFields((t) => ({
  viewer: t.field({
    type: Viewer,
    scope: 'ANY',
    description: 'The caller.',
    resolve: (_root, _args, { caller }) => caller,
  }),
  server: t.field({
    type: ServerInfo,
    scope: 'ANY',
    description: 'Facts about this server.',
    resolve: (_root, _args, { services }) => services.server,
  }),
}));
