/** The audit log: who changed what. */
import type { AuditAction } from '../domain/audit.ts';
import type { Actor } from '../domain/caller.ts';
import { type AuditRow, countAudit, listAudit } from '../store/audit.ts';
import { builder, type Described } from './builder.ts';
import { defineConnection, pageArgs } from './connection.ts';
import { auditFilter } from './filters.ts';
import { DateTimeRange } from './shared.ts';

const AUDIT_ACTION = builder.enumType('AuditAction', {
  description: 'What was done.',
  values: {
    TRIGGER_CREATED: { description: 'A trigger was created.' },
    TRIGGER_UPDATED: { description: 'Settings of a trigger were changed.' },
    TRIGGER_DELETED: { description: 'A trigger was deleted.' },
    TRIGGER_PAUSED: {
      description: 'A trigger was paused, by Herald itself where its receiver answered 410 Gone.',
    },
    TRIGGER_RESUMED: { description: 'A trigger was resumed.' },
    TRIGGER_SECRET_ROTATED: { description: 'A trigger got a new signing key.' },
    TRIGGER_TESTED: { description: 'A test request was sent to the receiver of a trigger.' },
    EVENT_CANCELLED: { description: 'An event was cancelled.' },
    EVENT_RESCHEDULED: { description: "An event's due time was moved." },
    INVOCATION_CANCELLED: { description: 'An invocation was cancelled.' },
    INVOCATION_RETRIED: { description: 'An invocation was retried by hand.' },
    BULK_OPERATION_STARTED: { description: 'A job over many rows was started.' },
    BULK_OPERATION_CANCELLED: { description: 'A job over many rows was stopped.' },
    API_KEY_CREATED: { description: 'An API key was created.' },
    API_KEY_REVOKED: { description: 'An API key was revoked.' },
  } satisfies Described<AuditAction>,
});

const AuditActor = builder.objectRef<Actor>('AuditActor');
AuditActor.implement({
  description: 'Who did it: the holder of a token, or Herald itself.',
  fields: (t) => ({
    id: t.exposeString('id', {
      description:
        '`admin`, `key:` and the id of the API key, `jwt:` and the subject of the JWT, or `herald` for what nobody asked for.',
    }),
    name: t.exposeString('name', { description: 'Name of the token at that time.' }),
  }),
});

const AuditEntryRef = builder.objectRef<AuditRow>('AuditEntry');
AuditEntryRef.implement({
  description: 'A change that somebody made. It was written in the transaction of the change.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was done.' }),
    actor: t.field({
      type: AuditActor,
      description: 'Who did it.',
      resolve: ({ actorId, actorName }) => ({ id: actorId, name: actorName }),
    }),
    action: t.expose('action', { type: AUDIT_ACTION, description: 'What was done.' }),
    project: t.exposeString('project', {
      nullable: true,
      description: 'Project of what was changed; null where it belongs to none or to several.',
    }),
    subjectId: t.exposeID('subjectId', { description: 'Id of what was changed.' }),
    subjectName: t.exposeString('subjectName', { description: 'Its name, or an event type, at that time.' }),
    changes: t.stringList({
      description: 'Names of the settings that changed. Values are not kept: they may be secret.',
      resolve: ({ changes }) => [...changes],
    }),
  }),
});

const AuditEntryConnection = defineConnection(AuditEntryRef, {
  edge: 'An edge to an entry of the audit log.',
  node: 'The entry.',
  list: 'A list of entries of the audit log.',
  total: 'Number of matching entries.',
});

const AuditFilterInput = builder.inputType('AuditFilter', {
  description: 'Conditions on entries of the audit log; all given ones must hold.',
  fields: (t) => ({
    project: t.string({ description: 'Only this project.' }),
    action: t.field({ type: [AUDIT_ACTION], description: 'Only these actions.' }),
    actorId: t.string({ description: 'Only what this actor did.' }),
    subjectId: t.id({ description: 'Only what was done to this object.' }),
    at: t.field({ type: DateTimeRange, description: 'Only what was done in this interval.' }),
  }),
});

builder.queryFields((t) => ({
  auditLog: t.field({
    type: AuditEntryConnection,
    scope: 'ADMIN',
    description: 'Who changed what, newest first; kept for a year.',
    args: { filter: t.arg({ type: AuditFilterInput, description: 'Only matching entries.' }), ...pageArgs },
    resolve: async (_root, { filter: asked, ...args }, { services: { db }, caller, loaders }) => {
      const filter = auditFilter(caller, asked);
      const page = await listAudit(db, filter, args);
      loaders.budget.spend({ rows: page.edges.length });
      return { page, count: () => countAudit(db, filter) };
    },
  }),
}));
