/**
 * Operations made from the schema itself, one for each root field and each way to fill its arguments, so that a field
 * that somebody adds is asked for too.
 */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { schema } from '../../src/graphql/schema.ts';

/** What stands in for names and ids of somebody else. */
export interface Victim {
  readonly project: string;
  readonly triggerName: string;
  readonly type: string;
  readonly idempotencyKey: string;
  /** Ids of everything there is: triggers, events, invocations, attempts, keys, entries of the audit log. */
  readonly ids: readonly string[];
}

export interface Operation {
  readonly name: string;
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly query: string;
  readonly variables: Readonly<Record<string, unknown>>;
}

/** How deep the answer is asked for; what lies deeper hangs on what was reached. */
const DEPTH = 4;

const ROOTS = [
  ['query', schema.getQueryType()],
  ['mutation', schema.getMutationType()],
  ['subscription', schema.getSubscriptionType()],
] as const;

/** For every root field: each id of the victim in turn, with all optional arguments and with none. */
export function operationsOf(victim: Victim): readonly Operation[] {
  return ROOTS.flatMap(([kind, type]) =>
    Object.values(type?.getFields() ?? {}).flatMap((field) => operationsOfField(kind, field, victim)),
  );
}

function operationsOfField(
  kind: Operation['kind'],
  field: GraphQLField<unknown, unknown>,
  victim: Victim,
): readonly Operation[] {
  const takesId = /ID/.test(inputTypesOf(field).join(' '));
  const ids = takesId ? victim.ids : [victim.ids[0] ?? ''];
  const filled = ids.flatMap((id) =>
    (['ALL', 'REQUIRED'] as const).map((which) => operation(kind, field, { victim, id, which })),
  );
  const seen = new Set<string>();
  return filled.filter((one) => {
    const key = JSON.stringify(one);
    return !seen.has(key) && seen.add(key);
  });
}

interface Filling {
  readonly victim: Victim;
  readonly id: string;
  readonly which: 'ALL' | 'REQUIRED';
}

function operation(
  kind: Operation['kind'],
  field: GraphQLField<unknown, unknown>,
  filling: Filling,
): Operation {
  // Forward pages only: both directions at once are refused before anything is looked up.
  const args = field.args.filter(
    ({ name, type }) =>
      isNonNullType(type) ||
      (filling.which === 'ALL' && !['after', 'before', 'last'].includes(name)) ||
      // The victim's project by name wherever it can be named, or the default one is asked about.
      name === 'project',
  );
  const variables = Object.fromEntries(args.map((arg) => [arg.name, fill(arg.name, arg.type, filling)]));
  const declared = args.map(({ name, type }) => `$${name}: ${type}`).join(', ');
  const given = args.map(({ name }) => `${name}: $${name}`).join(', ');
  const call = given === '' ? field.name : `${field.name}(${given})`;
  const head = declared === '' ? kind : `${kind} (${declared})`;
  return {
    name: field.name,
    kind,
    variables,
    query: `${head} { ${call} ${selectionOf(field.type, DEPTH)} }`,
  };
}

function fill(name: string, type: GraphQLInputType, filling: Filling): unknown {
  if (isNonNullType(type)) return fill(name, type.ofType, filling);
  if (isListType(type)) return [fill(name, type.ofType, filling)];
  if (isEnumType(type)) return enumValue(name, type.getValues()[0]?.name);
  if (isInputObjectType(type)) return inputValue(type.getFields(), filling);
  const { victim, id } = filling;
  switch (name) {
    case 'project':
    case 'projects':
      return victim.project;
    case 'name':
      return victim.triggerName;
    case 'type':
    case 'eventType':
      return victim.type;
    case 'idempotencyKey':
      return victim.idempotencyKey;
    case 'intervalMs':
      return 1000;
    case 'prefix':
      return victim.type.slice(0, 3);
    case 'url':
      return 'http://127.0.0.1:9/';
    default:
      return scalarValue(type.name, id);
  }
}

function enumValue(name: string, first: string | undefined): string | undefined {
  return name === 'scopes' ? 'ADMIN' : first;
}

function scalarValue(type: string, id: string): unknown {
  switch (type) {
    case 'ID':
      return id;
    case 'Int':
    case 'Float':
    case 'SafeInt':
      return 1;
    case 'Boolean':
      return true;
    case 'DateTime':
    case 'Timestamp':
      return '2100-01-01T00:00:00Z';
    default:
      return 'x';
  }
}

/** Fields that exclude one another, or would be refused for what they say rather than for whose they are. */
const LEFT_OUT = new Set([
  'dataText',
  'signingSecret',
  'expectedVersion',
  'traceparent',
  'retrySchedule',
  'source',
]);
/** Conditions that would hide what there is. */
const CONDITIONS = new Set([
  'status',
  'failureReason',
  'lastErrorCode',
  'lastStatusCode',
  'createdAt',
  'receivedAt',
  'dueAt',
  'action',
  'at',
  'actorId',
  'search',
  'kind',
]);

function inputValue(
  fields: Readonly<Record<string, GraphQLArgument | { name: string; type: GraphQLInputType }>>,
  filling: Filling,
): unknown {
  const used = Object.values(fields).filter(
    ({ name, type }) =>
      isNonNullType(type) ||
      ((filling.which === 'ALL' || name === 'project') && !LEFT_OUT.has(name) && !CONDITIONS.has(name)),
  );
  return Object.fromEntries(used.map(({ name, type }) => [name, fill(name, type, filling)]));
}

function inputTypesOf(field: GraphQLField<unknown, unknown>): readonly string[] {
  return field.args.flatMap(({ type }) => inputTypes(type, 3));
}

function inputTypes(type: GraphQLInputType, depth: number): readonly string[] {
  const named = getNamedType(type);
  const below =
    isInputObjectType(named) && depth > 0
      ? Object.values(named.getFields()).flatMap((field) => inputTypes(field.type, depth - 1))
      : [];
  return [named.name, ...below];
}

/** Every field whose arguments are optional, to a depth. */
export function selectionOf(type: GraphQLOutputType, depth: number): string {
  const named = getNamedType(type);
  if (!isObjectType(named)) return '';
  const fields = Object.values(named.getFields())
    .filter((field) => field.args.every((arg) => !isNonNullType(arg.type)))
    // Edges say the same as nodes at twice the size.
    .filter((field) => field.name !== 'edges')
    .map((field) => {
      if (!isObjectType(getNamedType(field.type))) return field.name;
      return depth === 0 ? '' : `${field.name} ${selectionOf(field.type, depth - 1)}`;
    });
  return `{ __typename ${fields.join(' ')} }`;
}
