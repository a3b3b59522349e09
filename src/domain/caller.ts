/** Who is calling, and what they may do. */

/** Permissions of a token, as in the GraphQL enum `Scope`. ADMIN implies all others. */
export const SCOPES = [
  'EVENTS_WRITE',
  'EVENTS_READ',
  'EVENTS_RETRY',
  'TRIGGERS_READ',
  'TRIGGERS_WRITE',
  'SECRETS_READ',
  'ADMIN',
] as const;
export type Scope = (typeof SCOPES)[number];

export interface Caller {
  /** Name of the token. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Projects the caller may see and change; null means all. */
  readonly projects: readonly string[] | null;
}

/** The holder of the admin token, or everybody where AUTH=off. */
export const ALL_PROJECTS_ADMIN: Caller = { name: 'admin', scopes: ['ADMIN'], projects: null };

export function mayCaller(caller: Caller, scope: Scope): boolean {
  return caller.scopes.includes('ADMIN') || caller.scopes.includes(scope);
}

export function seesProject(caller: Caller, project: string): boolean {
  return caller.projects === null || caller.projects.includes(project);
}
