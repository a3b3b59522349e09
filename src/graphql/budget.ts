/**
 * What one answer may cost. A query's text says little about it (`first` hides in variables, most lists are short), so
 * it is counted while it is spent: rows as they are read, bytes of payloads as they are read and written.
 */
import { GraphQLError } from 'graphql';

/** Rows one answer may read: 100 events with 20 invocations of 4 attempts each fit. */
const MAX_ROWS = 20_000;
/** Bytes of event data and response bodies one answer may hold. */
const MAX_BYTES = 128 * 1024 * 1024;

export interface Budget {
  /** Errors: GraphQLError LIMIT_EXCEEDED once more is spent than there was. */
  spend(cost: { readonly rows?: number; readonly bytes?: number }): void;
}

/** For so many answers that are made together. */
export function createBudget(answers = 1): Budget {
  let rowsLeft = MAX_ROWS * answers;
  let bytesLeft = MAX_BYTES;
  return {
    spend({ rows = 0, bytes = 0 }) {
      rowsLeft -= rows;
      bytesLeft -= bytes;
      if (rowsLeft >= 0 && bytesLeft >= 0) return;
      const limit = rowsLeft < 0 ? `${MAX_ROWS} rows` : `${MAX_BYTES} bytes of payloads`;
      throw new GraphQLError(`one answer holds at most ${limit}: ask for smaller pages`, {
        extensions: { code: 'LIMIT_EXCEEDED' },
      });
    },
  };
}

/** For what is read once for many answers, each of which has a budget of its own. */
export const UNLIMITED: Budget = { spend() {} };
