/** API keys: the type, the list, and the mutations that make and revoke them. */
import { createApiKey, revokeApiKey, visibleApiKeys } from '../actions/manage-api-key.ts';
import { SCOPES } from '../domain/caller.ts';
import type { ApiKeyRow } from '../store/api-keys.ts';
import { builder } from './builder.ts';
import { SCOPE } from './server.ts';
import { type Payload, userErrorsField } from './user-error.ts';

const ApiKey = builder.objectRef<ApiKeyRow>('ApiKey');
ApiKey.implement({
  description: 'A credential for programs.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'UUID (version 7).' }),
    name: t.exposeString('name', { description: 'Name for humans.' }),
    prefix: t.exposeString('prefix', { description: 'First characters of the key, to recognise it.' }),
    scopes: t.field({
      type: [SCOPE],
      description: 'What the key may do.',
      resolve: ({ scopes }) => SCOPES.filter((scope) => scopes.includes(scope)),
    }),
    projects: t.exposeStringList('projects', {
      nullable: true,
      description: 'Projects the key may use; null means all.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it stops working; null means never.',
    }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute.',
    }),
    revokedAt: t.expose('revokedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null while it works.',
    }),
  }),
});

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  description: 'An API key to create.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Name for humans.' }),
    scopes: t.field({ type: [SCOPE], required: true, description: 'What the key may do.' }),
    projects: t.stringList({ description: 'Projects the key may use; null means all.' }),
    expiresAt: t.field({ type: 'DateTime', description: 'When it stops working; null means never.' }),
  }),
});

const RevokeApiKeyInput = builder.inputType('RevokeApiKeyInput', {
  description: 'An API key to revoke.',
  fields: (t) => ({ id: t.id({ required: true, description: 'Id of the key.' }) }),
});

interface ApiKeyPayload extends Payload {
  /** Null where there are problems. */
  readonly apiKey: ApiKeyRow | null;
}

const CreateApiKeyPayload = builder.objectRef<ApiKeyPayload & { readonly secret: string | null }>(
  'CreateApiKeyPayload',
);
CreateApiKeyPayload.implement({
  description: 'Answer of `createApiKey`.',
  fields: (t) => ({
    apiKey: apiKeyField(t),
    secret: t.exposeString('secret', { nullable: true, description: 'The key itself. Shown once.' }),
    userErrors: userErrorsField(t),
  }),
});

const RevokeApiKeyPayload = builder.objectRef<ApiKeyPayload>('RevokeApiKeyPayload');
RevokeApiKeyPayload.implement({
  description: 'Answer of `revokeApiKey`.',
  fields: (t) => ({ apiKey: apiKeyField(t), userErrors: userErrorsField(t) }),
});

builder.queryFields((t) => ({
  apiKeys: t.field({
    type: [ApiKey],
    scope: 'ADMIN',
    description: 'API keys, newest first, revoked ones included, at most 500.',
    resolve: async (_root, _args, { services, caller, loaders }) => {
      const keys = await visibleApiKeys(services.db, caller);
      loaders.budget.spend({ rows: keys.length });
      return [...keys];
    },
  }),
}));

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: CreateApiKeyPayload,
    scope: 'ADMIN',
    description: 'Create an API key. The key itself is in the answer and nowhere else.',
    args: { input: t.arg({ type: CreateApiKeyInput, required: true, description: 'What to create.' }) },
    resolve: async (_root, { input }, { services, caller }) => {
      const { name, scopes, projects = null, expiresAt = null } = input;
      const created = await createApiKey(services.db, caller, { name, scopes, projects, expiresAt });
      return created.ok
        ? { ...created.value, problems: [] }
        : { apiKey: null, secret: null, problems: created.problems };
    },
  }),
  revokeApiKey: t.field({
    type: RevokeApiKeyPayload,
    scope: 'ADMIN',
    description: 'Revoke an API key at once; its subscriptions are closed.',
    args: { input: t.arg({ type: RevokeApiKeyInput, required: true, description: 'What to revoke.' }) },
    resolve: async (_root, { input: { id } }, { services, caller }) => {
      const revoked = await revokeApiKey(services.db, caller, { id });
      return revoked.ok
        ? { apiKey: revoked.value, problems: [] }
        : { apiKey: null, problems: revoked.problems };
    },
  }),
}));

function apiKeyField<P extends ApiKeyPayload>(
  t: PothosSchemaTypes.ObjectFieldBuilder<(typeof builder)['$inferSchemaTypes'], P>,
) {
  return t.field({
    type: ApiKey,
    nullable: true,
    description: "The key's record; null when there are errors.",
    resolve: ({ apiKey }) => apiKey,
  });
}
