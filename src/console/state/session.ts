/**
 * Who is using the console. The token comes in the link's fragment, which is never sent, and lives in the tab; another
 * tab of the same origin may ask for it, so that a link opened in a new one needs no second login.
 */
import { signal } from '@preact/signals';
import type { ServerInfo, Viewer } from '../api/settings.ts';

/** GraphiQL, a page of its own, reads the same place. */
const KEY = 'herald-token';
const channel = new BroadcastChannel('herald-session');
/** How long another tab may take to answer, in ms. */
const ASK_MS = 150;

export const token = signal<string | null>(takeToken());
export const viewer = signal<Viewer | null>(null);
export const server = signal<ServerInfo | null>(null);
/** Why the login screen is shown, where there is something to say. */
export const refusal = signal<string | null>(null);

function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null && given !== '') {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

addEventListener('hashchange', () => {
  const before = token.value;
  token.value = takeToken();
  if (token.value !== before) location.reload();
});

channel.addEventListener('message', ({ data }: MessageEvent<{ ask?: true; token?: string }>) => {
  if (data.ask === true && token.value !== null) channel.postMessage({ token: token.value });
});

/** The token of another open tab; null where none answers. */
export async function askOtherTabs(): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const hear = ({ data }: MessageEvent<{ token?: string }>): void => {
    if (typeof data.token === 'string') resolve(data.token);
  };
  channel.addEventListener('message', hear);
  channel.postMessage({ ask: true });
  const timer = setTimeout(() => resolve(null), ASK_MS);
  const answer = await promise;
  clearTimeout(timer);
  channel.removeEventListener('message', hear);
  return answer;
}

export function signIn(given: string): void {
  sessionStorage.setItem(KEY, given);
  token.value = given;
  refusal.value = null;
}

export function signOut(reason: string | null = null): void {
  sessionStorage.removeItem(KEY);
  token.value = null;
  viewer.value = null;
  refusal.value = reason;
}

export function may(scope: string): boolean {
  const scopes = viewer.value?.scopes ?? [];
  return scopes.includes(scope) || scopes.includes('ADMIN');
}
