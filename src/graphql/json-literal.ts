/** JSON written into a query: `data: { id: 42, tags: ["a"] }`. */
import { GraphQLError, Kind, type ObjectFieldNode, type ValueNode } from 'graphql';
import { JsonText, stringify } from '../domain/json.ts';

type Variables = Readonly<Record<string, unknown>> | null | undefined;

/** The JSON text of a literal; numbers keep the digits they are written with. Errors: GraphQLError for an enum value. */
export function jsonTextOf(node: ValueNode, variables: Variables): string {
  switch (node.kind) {
    case Kind.NULL:
      return 'null';
    case Kind.BOOLEAN:
      return String(node.value);
    case Kind.INT:
    case Kind.FLOAT:
      // GraphQL's numbers are JSON's.
      return node.value;
    case Kind.STRING:
      return JSON.stringify(node.value);
    case Kind.LIST:
      return `[${node.values.map((item) => jsonTextOf(item, variables)).join(',')}]`;
    case Kind.OBJECT:
      return `{${node.fields.flatMap((field) => memberOf(field, variables)).join(',')}}`;
    case Kind.VARIABLE:
      return textOfVariable(variables?.[node.name.value]);
    case Kind.ENUM:
      throw new GraphQLError(`JSON cannot represent the enum value ${node.value}; did you mean a string?`, {
        nodes: node,
        extensions: { code: 'BAD_USER_INPUT' },
      });
  }
}

function memberOf({ name, value }: ObjectFieldNode, variables: Variables): readonly string[] {
  // As everywhere in GraphQL, a member set to a variable that was not given is not there.
  const absent = value.kind === Kind.VARIABLE && variables?.[value.name.value] === undefined;
  return absent ? [] : [`${JSON.stringify(name.value)}:${jsonTextOf(value, variables)}`];
}

function textOfVariable(value: unknown): string {
  if (value === undefined) return 'null';
  return value instanceof JsonText ? value.text : stringify(value);
}
