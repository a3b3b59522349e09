import { readFileSync } from 'node:fs';
import {
  type GraphQLArgument,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { SCOPES } from '../../src/domain/caller.ts';
import { printedSchema, schema } from '../../src/graphql/schema.ts';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
);

describe('the schema', () => {
  test('is printed in schema.graphql (npm run schema)', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toBe(printedSchema());
  });

  test('describes every type, field, argument and enum value', () => {
    expect(types.flatMap(undescribed)).toEqual([]);
  });

  test('names the scope of every root field', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
    const one = `(?:${SCOPES.join('|')})`;
    const named = new RegExp(` Scope: (?:any|${one}(?: or ${one})*)\\.$`);
    for (const field of roots.flatMap((root) => Object.values(root?.getFields() ?? {}))) {
      expect(field.description, field.name).toMatch(named);
    }
  });

  test('takes one input argument a mutation and answers with one payload of its own', () => {
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
      expect(field.args.map(({ name }) => name)).toEqual(['input']);
      // What starts a bulk operation answers with that.
      expect([`${field.name}payload!`.toLowerCase(), 'bulkoperationpayload!']).toContain(
        String(field.type).toLowerCase(),
      );
    }
  });
});

function undescribed(type: GraphQLNamedType): readonly string[] {
  const missing = (where: string, thing: { readonly description?: string | null | undefined }) =>
    thing.description?.trim() ? [] : [where];
  return [
    ...missing(type.name, type),
    ...(isEnumType(type)
      ? type.getValues().flatMap((value) => missing(`${type.name}.${value.name}`, value))
      : []),
    ...(isInputObjectType(type) || isObjectType(type)
      ? Object.values(type.getFields()).flatMap((field) => [
          ...missing(`${type.name}.${field.name}`, field),
          ...('args' in field
            ? field.args.flatMap((arg: GraphQLArgument) =>
                missing(`${type.name}.${field.name}(${arg.name})`, arg),
              )
            : []),
        ])
      : []),
  ];
}
