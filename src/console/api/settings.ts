/** The caller, the server, API keys and the audit log. */
import { type Connection, document, type UserError } from './document.ts';

export interface Viewer {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly projects: readonly string[] | null;
}

export interface ServerInfo {
  readonly version: string;
  readonly defaultSource: string;
  readonly egressPolicy: string;
  readonly retentionDays: number;
  readonly limits: {
    readonly maxDataSize: number;
    readonly maxBatchSize: number;
    readonly maxRetries: number;
    readonly maxTimeout: number;
    readonly maxScheduleDays: number;
    readonly maxPageSize: number;
  };
}

export const WHO_AND_WHERE = document<{ viewer: Viewer; server: ServerInfo }>(`query WhoAndWhere {
  viewer { name scopes projects }
  server {
    version defaultSource egressPolicy retentionDays
    limits { maxDataSize maxBatchSize maxRetries maxTimeout maxScheduleDays maxPageSize }
  }
}`);

export const SCOPES: readonly { readonly scope: string; readonly meaning: string }[] = [
  { scope: 'EVENTS_WRITE', meaning: 'Queue, cancel and reschedule events' },
  { scope: 'EVENTS_READ', meaning: 'Read events, deliveries and statistics; subscribe' },
  { scope: 'EVENTS_RETRY', meaning: 'Retry and replay' },
  { scope: 'TRIGGERS_READ', meaning: 'Read triggers' },
  { scope: 'TRIGGERS_WRITE', meaning: 'Create, change and delete triggers' },
  { scope: 'SECRETS_READ', meaning: 'Read signing secrets' },
  { scope: 'ADMIN', meaning: 'Everything, API keys included' },
];

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: readonly string[];
  readonly projects: readonly string[] | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

const API_KEY = 'id name prefix scopes projects createdAt expiresAt lastUsedAt revokedAt';

export const API_KEYS = document<{ apiKeys: readonly ApiKey[] }>(`query ApiKeys { apiKeys { ${API_KEY} } }`);

export const CREATE_API_KEY = document<
  {
    createApiKey: {
      readonly apiKey: ApiKey | null;
      readonly secret: string | null;
      readonly userErrors: readonly UserError[];
    };
  },
  {
    input: {
      readonly name: string;
      readonly scopes: readonly string[];
      readonly projects: readonly string[] | null;
      readonly expiresAt: string | null;
    };
  }
>(`mutation CreateApiKey($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { apiKey { ${API_KEY} } secret userErrors { field code message } }
}`);

export const REVOKE_API_KEY = document<
  { revokeApiKey: { readonly apiKey: ApiKey | null; readonly userErrors: readonly UserError[] } },
  { input: { readonly id: string } }
>(`mutation RevokeApiKey($input: RevokeApiKeyInput!) {
  revokeApiKey(input: $input) { apiKey { ${API_KEY} } userErrors { field code message } }
}`);

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly actor: { readonly id: string; readonly name: string };
  readonly action: string;
  readonly project: string | null;
  readonly subjectName: string;
  readonly changes: readonly string[];
}

export const AUDIT_LOG = document<
  { auditLog: Connection<AuditEntry> },
  { after: string | null }
>(`query AuditLog($after: String) {
  auditLog(first: 50, after: $after) {
    nodes { id at actor { id name } action project subjectName changes }
    pageInfo { hasNextPage endCursor } totalCount { value capped }
  }
}`);
