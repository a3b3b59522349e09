/**
 * Payloads of subscriptions, executed once for all subscribers who asked the same of the same item: a hundred
 * dashboards cost one execution and a hundred sockets. Items that wait are executed together with the one whose turn it
 * is, so that their look-ups are gathered.
 */
import { type DocumentNode, type ExecutionArgs, type ExecutionResult, Kind, visit } from 'graphql';
import { createBudget } from './budget.ts';
import { type GraphqlContext, renewContext } from './context.ts';

export interface Payloads {
  /** The payload of `item`; those of `ahead`, in order, are prepared. */
  of(item: unknown, ahead: () => readonly unknown[]): Promise<ExecutionResult>;
  /** The payload of `item` where it is there already and without errors; otherwise `of` has it. */
  ready(item: unknown): ExecutionResult | null;
}

interface Prepared {
  readonly payload: Promise<ExecutionResult>;
  /** Null until it is there. */
  result: ExecutionResult | null;
}

type Execute = (args: ExecutionArgs) => Promise<ExecutionResult>;

/** Items executed together. */
const GROUP_SIZE = 32;
/** Items whose payloads are kept for other subscribers, who come within moments. */
const KEPT_ITEMS = 512;

/** For one process: opens the payloads of each subscription. */
export function createPayloadShare(execute: Execute) {
  const kept = new Map<object, Map<string, Prepared>>();
  const documents = createNumbering();

  function shelfOf(item: object): Map<string, Prepared> {
    const known = kept.get(item);
    if (known !== undefined) return known;
    const shelf = new Map<string, Prepared>();
    kept.set(item, shelf);
    const [oldest] = kept.keys();
    if (kept.size > KEPT_ITEMS && oldest !== undefined) kept.delete(oldest);
    return shelf;
  }

  return (args: ExecutionArgs): Payloads => {
    const context = args.contextValue as GraphqlContext;
    const key = `${documents(args.document)} ${keyOf(args, context)}`;
    /** Prepared, of items that nobody else sees. */
    const own = new Map<unknown, Prepared>();

    function prepare(items: readonly unknown[]): void {
      const missing = items.filter((item) => find(item) === undefined);
      if (missing.length === 0) return;
      const contextValue = renewContext(context, missing[0], createBudget(missing.length));
      for (const item of missing) {
        const prepared: Prepared = {
          payload: execute({ ...args, rootValue: item, contextValue }),
          result: null,
        };
        prepared.payload.then(
          (result) => {
            prepared.result = result;
          },
          () => {}, // It is awaited when its turn comes.
        );
        if (context.live.isShared(item)) shelfOf(item).set(key, prepared);
        else own.set(item, prepared);
      }
    }

    const find = (item: unknown): Prepared | undefined =>
      own.get(item) ?? (context.live.isShared(item) ? kept.get(item)?.get(key) : undefined);

    return {
      async of(item, ahead) {
        if (find(item) === undefined) prepare([item, ...ahead().slice(0, GROUP_SIZE - 1)]);
        const prepared = find(item);
        own.delete(item);
        return (
          prepared?.payload ??
          execute({ ...args, rootValue: item, contextValue: renewContext(context, item) })
        );
      },
      ready(item) {
        const result = find(item)?.result ?? null;
        if (result === null || result.errors !== undefined) return null;
        own.delete(item);
        return result;
      },
    };
  };
}

/** What else decides a payload: who asks, and the variables, but for those that only say which items are wanted. */
function keyOf(
  { document, operationName, variableValues }: ExecutionArgs,
  { caller }: GraphqlContext,
): string {
  const used = variablesBelowRoot(document);
  const values = Object.entries(variableValues ?? {}).filter(([name]) => used.has(name));
  return JSON.stringify([operationName, values, caller.scopes, caller.projects]);
}

/** Names of variables that are used anywhere but in the arguments of root fields. */
function variablesBelowRoot(document: DocumentNode): ReadonlySet<string> {
  const names = new Set<string>();
  let depth = 0;
  visit(document, {
    // A root field in a fragment does not look like one: its variables count, which costs sharing and no more.
    FragmentDefinition: { enter: () => void depth++, leave: () => void depth-- },
    VariableDefinition: () => false,
    Field: { enter: () => void depth++, leave: () => void depth-- },
    Argument: (_node, _key, _parent, _path, ancestors) => {
      const owner = ancestors.at(-2);
      const ofField =
        owner !== undefined && !Array.isArray(owner) && 'kind' in owner && owner.kind === Kind.FIELD;
      return depth === 1 && ofField ? false : undefined;
    },
    Variable: ({ name }) => void names.add(name.value),
  });
  return names;
}

function createNumbering(): (thing: object) => number {
  const numbers = new WeakMap<object, number>();
  let last = 0;
  return (thing) => {
    const number = numbers.get(thing) ?? ++last;
    numbers.set(thing, number);
    return number;
  };
}
