/** What a query's text may be. What its answer may cost is counted while it runs (`budget.ts`). */
import { EnvelopArmorPlugin } from '@escape.tech/graphql-armor';
import { GraphQLError, type ParseOptions, type ValidationContext } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { graphqlError, shortened } from './errors.ts';

/** Characters of queries that are kept parsed; longer ones hold literals and do not come again. */
const MAX_CACHED_QUERY = 10_000;
const CACHED_QUERIES = 500;

/**
 * Depth: an event's invocations' attempts' request headers lie 10 deep from the root; 12 leaves room for
 * `invocation.event` on the way. Introspection is exempt. Cost: armor multiplies `first`s that are literals; the figure
 * lets 100 events with 100 invocations with 100 attempts pass, and refuses what no answer could hold.
 */
export function limitPlugin(): Plugin {
  return EnvelopArmorPlugin({
    maxAliases: { n: 15, allowList: [], ...refusing },
    maxDirectives: { n: 8, ...refusing },
    maxDepth: { n: 12, flattenFragments: true, ...refusing },
    costLimit: { maxCost: 1_000_000_000, flattenFragments: true, ...refusing },
    maxTokens: { n: 2000, propagateOnRejection: false, onReject: [refuseTokens] },
    blockFieldSuggestion: { mask: '' },
  }) as Plugin;
}

// Thrown, as armor does by default, these would have no code and no status.
const refusing = {
  propagateOnRejection: false,
  onReject: [
    (context: ValidationContext | null, error: GraphQLError) => context?.reportError(limitExceeded(error)),
  ],
};

function refuseTokens(_context: ValidationContext | null, error: GraphQLError): void {
  throw limitExceeded(error);
}

function limitExceeded(error: GraphQLError): GraphQLError {
  return graphqlError('LIMIT_EXCEEDED', error.message.replace(/^Syntax Error: /, ''));
}

/**
 * What the limits leave: 2,000 tokens of nothing but brackets exhaust the parser's stack, and a mistake is quoted
 * however long it is.
 */
export function errorSizePlugin(): Plugin {
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source: string, options: ParseOptions) => {
        try {
          return parseFn(source, options);
        } catch (error) {
          if (error instanceof RangeError)
            throw graphqlError('LIMIT_EXCEEDED', 'the query is nested too deeply');
          throw error instanceof GraphQLError ? (shortened([error])[0] ?? error) : error;
        }
      });
    },
    onValidate() {
      return ({ valid, result, setResult }) => {
        if (!valid) setResult([...shortened(result as readonly GraphQLError[])]);
      };
    },
  };
}

/** Parsed queries by text; a bound on the texts too, which may be as long as a request. */
export function createDocumentCache<T>() {
  const entries = new Map<string, T>();
  return {
    get: (text: string): T | undefined => entries.get(text),
    set(text: string, value: T): void {
      if (text.length > MAX_CACHED_QUERY) return;
      const [oldest] = entries.keys();
      if (entries.size >= CACHED_QUERIES && oldest !== undefined) entries.delete(oldest);
      entries.set(text, value);
    },
  };
}
