/** What the kinds of tokens have in common: whoever finds the holder of one also says whether it still works. */
import type { Caller } from '../domain/caller.ts';

/** A token that was found to be good. */
export interface FoundToken {
  readonly holder: Omit<Caller, 'watch'>;
  /** Whether it still works. Errors: AppError UNAVAILABLE where nobody knows. */
  readonly stillWorks: () => Promise<boolean>;
  /** Notes that it is in use; called often, so it costs next to nothing. */
  readonly noteUse: () => void;
}

export interface TokenSource {
  /** Null where the token is none of its own, or works no more. `digest` is its `tokenDigest`. */
  find(token: string, digest: string): Promise<FoundToken | null>;
}
