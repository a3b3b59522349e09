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

/** Who did something, for the audit log. */
export interface Actor {
  /** `admin`, `key:<id of the API key>`, `jwt:<subject>`, or `herald` for what nobody asked for. */
  readonly id: string;
  /** Name of the token. */
  readonly name: string;
}

/** Herald itself, where it pauses the trigger of a receiver that is gone or keeps failing. */
export const HERALD: Actor = { id: 'herald', name: 'Herald' };

export interface Caller extends Actor {
  readonly scopes: readonly Scope[];
  /** Projects the caller may see and change; null means all. */
  readonly projects: readonly string[] | null;
  /**
   * Calls `ended` once, within about a second, when the token stops working: revoked, expired or rotated. Returns what
   * ends the watching.
   */
  readonly watch: (ended: () => void) => () => void;
}

/** The holder of the admin token, or everybody where AUTH=off. */
export const ALL_PROJECTS_ADMIN: Caller = {
  id: 'admin',
  name: 'admin',
  scopes: ['ADMIN'],
  projects: null,
  watch: () => () => {},
};

export function mayCaller(caller: Caller, scope: Scope): boolean {
  return caller.scopes.includes('ADMIN') || caller.scopes.includes(scope);
}

export function seesProject(caller: Caller, project: string): boolean {
  return caller.projects === null || caller.projects.includes(project);
}

/** Whether the caller may see or hand out a token for `projects` (null: all of them). */
export function seesProjects(caller: Caller, projects: readonly string[] | null): boolean {
  if (projects === null) return caller.projects === null;
  // Who sees none is seen by none of those that see some.
  if (projects.length === 0) return caller.projects === null;
  return projects.every((project) => seesProject(caller, project));
}

/** The project where it is one; null where they are several or all. */
export function onlyProject(projects: readonly string[] | null): string | null {
  const [only = null, ...others] = projects ?? [];
  return others.length === 0 ? only : null;
}
