/** How operations run: queries and mutations within a deadline, subscriptions with a fresh context for every payload. */
import { createSourceEventStream, type ExecutionArgs, type ExecutionResult, execute } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Deliver, GraphqlContext } from './context.ts';
import { inTime } from './deadline.ts';
import { graphqlError, STATUS_OF_CODE, shortened, type Translate } from './errors.ts';
import { createPayloadShare, type Payloads } from './payloads.ts';
import { withPlainNumbers } from './variables.ts';

/** Subscriptions this process serves at once: each change is looked at for each of them. */
const MAX_SUBSCRIPTIONS = 1000;

/** An HTTP response that a subscription is written to. */
export interface Stream {
  end(): unknown;
}

/** `streams` are those that are open. */
export function executionPlugin(translate: Translate, streams: Set<Stream>): Plugin {
  const open = new Set<object>();
  const payloads = createPayloadShare(withinDeadline);
  return {
    onExecute({ setExecuteFn }) {
      setExecuteFn((args: ExecutionArgs) => withinDeadline(withPlainNumbers(args)));
    },
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn((asked: ExecutionArgs) => {
        const args = withPlainNumbers(asked);
        return subscribePerPayload(args, open, (items, leave) => {
          // There is none where it came over WebSocket.
          const { res: stream } = args.contextValue as { readonly res?: Stream };
          if (stream !== undefined) streams.add(stream);
          const leaveAll = (): void => {
            leave();
            if (stream !== undefined) streams.delete(stream);
          };
          return perPayload(args, items, { leave: leaveAll, translate, payloads: payloads(args) });
        });
      });
    },
    onExecutionResult({ result, setResult }) {
      if (result == null || Symbol.asyncIterator in result || Array.isArray(result)) return;
      const status = statusOfResult(result as ExecutionResult);
      if (status === null) return;
      const { extensions } = result as ExecutionResult;
      setResult({ ...result, extensions: { ...extensions, http: { status } } } as typeof result);
    },
  };
}

/** The status of an answer without data: the gravest of its errors'. */
function statusOfResult({ data, errors }: ExecutionResult): number | null {
  if (data != null || errors === undefined) return null;
  const statuses = errors.flatMap(({ extensions }) => STATUS_OF_CODE[String(extensions.code)] ?? []);
  return statuses.length === 0 ? null : Math.max(...statuses);
}

/** What has nothing to wait for is answered at once, without the cost of a timer. */
async function withinDeadline(args: ExecutionArgs): Promise<ExecutionResult> {
  const executed = execute(args);
  const context = args.contextValue as GraphqlContext;
  const result = executed instanceof Promise ? await inTime(executed, context) : executed;
  return result.errors === undefined ? result : { ...result, errors: shortened(result.errors) };
}

/**
 * As graphql-js' `subscribe`, but payloads are shared and have new loaders, and an error of the source, or the end of the
 * caller's token, becomes a last payload that says so. Written out as an iterator: an `async function*` would not hear
 * `return()` while it awaits the next item.
 */
async function subscribePerPayload(
  args: ExecutionArgs,
  open: Set<object>,
  begin: (items: Items, leave: () => void) => AsyncIterableIterator<ExecutionResult>,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  if (open.size >= MAX_SUBSCRIPTIONS) {
    return {
      errors: [graphqlError('LIMIT_EXCEEDED', `this server has ${MAX_SUBSCRIPTIONS} subscriptions already`)],
    };
  }
  // Taken before the source is asked for, or many that come at once would all find a place.
  const place = {};
  open.add(place);
  const leave = () => open.delete(place);
  const source = await createSourceEventStream(args).catch((error: unknown) => {
    leave();
    throw error;
  });
  if (Symbol.asyncIterator in source) {
    return begin(source[Symbol.asyncIterator](), leave);
  }
  leave();
  return source.errors === undefined ? source : { ...source, errors: shortened(source.errors) };
}

/** What a subscription field returns; those of the feed say what else is there. */
type Items = AsyncIterator<unknown> & {
  readonly peek?: () => readonly unknown[];
  readonly skip?: (count: number) => void;
};

interface PerPayload {
  readonly leave: () => void;
  readonly translate: Translate;
  readonly payloads: Payloads;
}

function perPayload(
  args: ExecutionArgs,
  items: Items,
  { leave, translate, payloads }: PerPayload,
): AsyncIterableIterator<ExecutionResult> {
  const { caller, deliver } = args.contextValue as GraphqlContext;
  /** What is still to be said before the end. */
  let lastWords: ExecutionResult | null = null;
  let over = false;
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    over = true;
    unwatch();
    leave();
    await items.return?.();
    return { done: true, value: undefined };
  };
  const unwatch = caller.watch(() => {
    lastWords = { errors: [graphqlError('UNAUTHENTICATED', 'this token works no more')] };
    // Wakes whoever waits for the next item.
    items.return?.().catch(() => {});
  });
  const farewell = (words: ExecutionResult): IteratorYieldResult<ExecutionResult> => {
    over = true;
    return { done: false, value: words };
  };
  /** What was prepared together with the last one goes out with it, without a turn for each. */
  const deliverReady = (send: Deliver): Promise<void> | null => {
    let sent = 0;
    let full: Promise<void> | null = null;
    for (const item of items.peek?.() ?? []) {
      const value = payloads.ready(item);
      if (value === null) break;
      sent++;
      full = send(value);
      if (full !== null) break;
    }
    items.skip?.(sent);
    return full;
  };
  const results: AsyncIterableIterator<ExecutionResult> = {
    [Symbol.asyncIterator]: () => results,
    async next() {
      try {
        while (!over) {
          const item = lastWords === null ? await items.next() : null;
          if (lastWords !== null) return farewell(lastWords);
          if (item === null || item.done === true) break;
          const value = await payloads.of(item.value, () => items.peek?.() ?? []);
          if (deliver === null || value.errors !== undefined) return { done: false, value };
          if (!over) await (deliver(value) ?? deliverReady(deliver));
        }
        return end();
      } catch (error) {
        return farewell({ errors: [translate(error)] });
      }
    },
    return: end,
    async throw(error) {
      await end();
      throw error;
    },
  };
  return results;
}
