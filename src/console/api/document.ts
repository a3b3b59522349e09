/** A GraphQL operation as text that knows the types of its answer and its variables. */

declare const types: unique symbol;

export type Document<Data, Variables = Record<string, never>> = string & {
  readonly [types]?: (variables: Variables) => Data;
};

export function document<Data, Variables = Record<string, never>>(text: string): Document<Data, Variables> {
  return text;
}

export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly endCursor: string | null;
}

export interface Connection<Node> {
  readonly nodes: readonly Node[];
  readonly pageInfo: PageInfo;
  readonly totalCount: { readonly value: number; readonly capped: boolean };
}

export interface UserError {
  readonly field: readonly string[] | null;
  readonly code: string;
  readonly message: string;
}
