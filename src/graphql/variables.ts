/**
 * Bodies are parsed so that numbers keep their digits (`SourcedNumber`). Only JSON wants them so: for every other type
 * the variables get their plain numbers back.
 */
import {
  type ExecutionArgs,
  type GraphQLInputType,
  getOperationAST,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  typeFromAST,
} from 'graphql';
import { SourcedNumber } from '../domain/json.ts';

/** `args` with the variables of its operation as GraphQL's own scalars expect them. */
export function withPlainNumbers(args: ExecutionArgs): ExecutionArgs {
  const { schema, document, operationName, variableValues } = args;
  const definitions = getOperationAST(document, operationName)?.variableDefinitions ?? [];
  if (variableValues == null || definitions.length === 0) return args;
  const plain = definitions.flatMap(({ variable, type: ast }): [string, unknown][] => {
    const name = variable.name.value;
    const type = typeFromAST(schema, ast);
    return Object.hasOwn(variableValues, name) && isInputType(type)
      ? [[name, plainNumbers(variableValues[name], type)]]
      : [];
  });
  return { ...args, variableValues: { ...variableValues, ...Object.fromEntries(plain) } };
}

function plainNumbers(value: unknown, type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return plainNumbers(value, type.ofType);
  if (isListType(type)) {
    const { ofType } = type;
    return Array.isArray(value)
      ? value.map((item) => plainNumbers(item, ofType))
      : plainNumbers(value, ofType);
  }
  if (value instanceof SourcedNumber) return type.name === 'JSON' ? value : value.valueOf();
  if (!isInputObjectType(type) || typeof value !== 'object' || value === null || Array.isArray(value))
    return value;
  const fields = type.getFields();
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
      return [name, field === undefined ? member : plainNumbers(member, field.type)];
    }),
  );
}
