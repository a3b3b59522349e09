/**
 * Who may call a field stands beside the field: `scope: 'EVENTS_READ'`. The same word goes into the field's
 * description, so that what the schema says and what is enforced cannot differ. A root field without one does not build.
 */
import SchemaBuilder, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import type { GraphQLFieldResolver } from 'graphql';
import { type Caller, mayCaller, type Scope } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';

/** `ANY`: whoever is authenticated. Of several, one is enough. */
export type FieldScope = Scope | readonly Scope[] | 'ANY';

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      scope: ScopePlugin<Types>;
    }
    interface FieldOptions {
      /** What the caller's token must be allowed to do. */
      readonly scope?: FieldScope;
    }
  }
}

export class ScopePlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override onOutputFieldConfig(field: PothosOutputFieldConfig<Types>): PothosOutputFieldConfig<Types> {
    const scope = scopeOf(field);
    if (scope === undefined) {
      const isRoot = field.kind === 'Query' || field.kind === 'Mutation' || field.kind === 'Subscription';
      if (isRoot) throw new Error(`field ${field.parentType}.${field.name} names no scope`);
      return field;
    }
    return { ...field, description: `${field.description} Scope: ${wordsOf(scope)}.` };
  }

  override wrapResolve(
    resolve: FieldResolver<Types>,
    field: PothosOutputFieldConfig<Types>,
  ): FieldResolver<Types> {
    // A subscription is judged once, when it begins.
    return field.kind === 'Subscription' ? resolve : guard(resolve, scopeOf(field));
  }

  override wrapSubscribe(
    subscribe: FieldResolver<Types> | undefined,
    field: PothosOutputFieldConfig<Types>,
  ): FieldResolver<Types> | undefined {
    return subscribe && guard(subscribe, scopeOf(field));
  }
}

SchemaBuilder.registerPlugin('scope', ScopePlugin);

type FieldResolver<Types extends SchemaTypes> = GraphQLFieldResolver<unknown, Types['Context'], object>;

function scopeOf<Types extends SchemaTypes>(field: PothosOutputFieldConfig<Types>): FieldScope | undefined {
  return (field.pothosOptions as { readonly scope?: FieldScope }).scope;
}

function guard<Types extends SchemaTypes>(
  resolve: FieldResolver<Types>,
  scope: FieldScope | undefined,
): FieldResolver<Types> {
  if (scope === undefined || scope === 'ANY') return resolve;
  return (parent, args, context, info) => {
    const { caller } = context as { readonly caller: Caller };
    const enough = typeof scope === 'string' ? [scope] : scope;
    if (!enough.some((one) => mayCaller(caller, one))) throw missing(info.fieldName, scope);
    return resolve(parent, args, context, info);
  };
}

function missing(what: string, scope: Scope | readonly Scope[]): AppError {
  const [first] = typeof scope === 'string' ? [scope] : scope;
  const options = first === undefined ? {} : { scope: first };
  return new AppError('FORBIDDEN', `${what} needs a token with scope ${wordsOf(scope)}`, options);
}

function wordsOf(scope: FieldScope): string {
  if (scope === 'ANY') return 'any';
  return typeof scope === 'string' ? scope : scope.join(' or ');
}
