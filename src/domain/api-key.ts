/** API keys: credentials for programs. What one looks like, and the limits its settings keep. */
import { hash } from 'node:crypto';
import type { Scope } from './caller.ts';
import { type Problem, problem } from './errors.ts';
import { checkName, checkText } from './trigger.ts';

/** Recognisable in a leak, as GitHub's and Stripe's are: secret scanners look for a fixed beginning. */
export const API_KEY_PREFIX = 'herald_key_';
/** 256 bits: not to be guessed, so a plain SHA-256 of it is enough to store. */
export const API_KEY_BYTES = 32;
/** Characters of the random part that are stored and shown, to tell keys apart; 6 bits of 256 each. */
const SHOWN_CHARACTERS = 6;
/** Keys that work at the same time: the list is answered whole. */
export const MAX_API_KEYS = 500;
export const MAX_KEY_NAME_LENGTH = 100;
export const MAX_KEY_PROJECTS = 100;

const SHAPE = new RegExp(`^${API_KEY_PREFIX}[\\w-]{43}$`);

export interface ApiKeySettings {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Null means all. */
  readonly projects: readonly string[] | null;
  /** Null means never. */
  readonly expiresAt: Date | null;
}

/** The key as it is handed out, once. `random` is API_KEY_BYTES long. */
export function formatApiKey(random: Buffer): string {
  return API_KEY_PREFIX + random.toString('base64url');
}

/** Whether a token can be an API key at all: what cannot needs no look into the database. */
export function isApiKey(token: string): boolean {
  return SHAPE.test(token);
}

/** What stays visible of a key. */
export function shownPrefix(key: string): string {
  return key.slice(0, API_KEY_PREFIX.length + SHOWN_CHARACTERS);
}

/** SHA-256 of a token, hexadecimal: what is stored of it and looked up, so that no lookup's timing tells of the token. */
export function tokenDigest(token: string): string {
  return hash('sha256', token, 'hex');
}

export function checkApiKey(settings: ApiKeySettings, now: Date): readonly Problem[] {
  const { name, scopes, projects, expiresAt } = settings;
  return [
    ...(name.trim() === '' ? [problem('name', 'REQUIRED', 'expected a name')] : []),
    ...checkText('name', name, MAX_KEY_NAME_LENGTH),
    ...(scopes.length === 0 ? [problem('scopes', 'REQUIRED', 'expected one scope or more')] : []),
    ...checkProjects(projects ?? null),
    ...(expiresAt !== null && expiresAt <= now
      ? [problem('expiresAt', 'INVALID', `expected a time ahead, got ${expiresAt.toISOString()}`)]
      : []),
  ];
}

function checkProjects(projects: readonly string[] | null): readonly Problem[] {
  if (projects === null) return [];
  if (projects.length === 0) {
    return [problem('projects', 'REQUIRED', 'expected one project or more; leave it out for all of them')];
  }
  if (projects.length > MAX_KEY_PROJECTS) {
    const message = `expected at most ${MAX_KEY_PROJECTS} projects, got ${projects.length}`;
    return [problem('projects', 'TOO_LARGE', message)];
  }
  return projects.flatMap((project, index) =>
    checkName('project', project).map((one) => ({ ...one, field: ['projects', String(index)] })),
  );
}
