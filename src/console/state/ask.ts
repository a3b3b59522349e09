/** Queries and mutations. */
import type { Document, UserError } from '../api/document.ts';
import { sentence } from '../ui/words.ts';
import { signOut, token } from './session.ts';

/** What Herald answered instead of data, or that it could not be reached. */
export class Failure extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Errors: Failure. A token that works no more leads back to the login. */
export async function ask<Data, Variables extends Record<string, unknown>>(
  document: Document<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const bearer = token.value;
  let answer: { data?: Data | null; errors?: { message: string; extensions?: { code?: string } }[] };
  try {
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...(bearer !== null && { authorization: `Bearer ${bearer}` }),
      },
      body: JSON.stringify({ query: document, variables }),
    });
    answer = await response.json();
  } catch {
    throw new Failure('UNREACHABLE', 'Herald cannot be reached.');
  }
  const [first] = answer.errors ?? [];
  if (first !== undefined) {
    const code = first.extensions?.code ?? 'UNKNOWN';
    if (code === 'UNAUTHENTICATED' && bearer === token.value) {
      signOut(bearer === null ? null : 'This token is unknown, or works no more.');
    }
    throw new Failure(code, sentence(first.message));
  }
  if (answer.data == null) throw new Failure('UNKNOWN', 'Herald answered nothing.');
  return answer.data;
}

/** Errors: Failure with the first of `errors`, where there is one. */
export function refuse(errors: readonly UserError[]): void {
  const [first] = errors;
  if (first !== undefined) throw new Failure(first.code, sentence(first.message));
}
