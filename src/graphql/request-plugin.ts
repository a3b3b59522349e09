/**
 * Requests as we take them: POST of JSON, and GET. Bodies are parsed so that numbers keep their digits; forms, multipart
 * and `application/graphql` are refused, because browsers send them across origins unasked.
 */
import type { GraphQLParams, Plugin } from 'graphql-yoga';
import { parseKeepingDigits, SourcedNumber } from '../domain/json.ts';
import type { ServerContext } from './context.ts';
import { graphqlError } from './errors.ts';

export function requestPlugin(): Plugin<object, ServerContext> {
  return {
    onRequestParse({ request, serverContext, setRequestParser }) {
      setRequestParser(() => {
        if (request.method === 'GET') return parseUrl(request.url);
        const [type = ''] = (request.headers.get('content-type') ?? '').split(';');
        if (!/^application\/(?:graphql\+)?json$/i.test(type.trim())) throw unsupported(type.trim());
        return parseBody(serverContext.body ?? '');
      });
    },
  };
}

/** JSON, or an error that says why not. */
export function parseJson(text: string, what: string): unknown {
  try {
    return parseKeepingDigits(text);
  } catch (error) {
    const reason = error instanceof RangeError ? 'it is nested too deeply' : (error as Error).message;
    throw badRequest(`expected ${what} to be JSON: ${reason}`);
  }
}

function parseBody(text: string): GraphQLParams {
  const body = parseJson(text, 'the body');
  if (Array.isArray(body))
    throw badRequest('batching is not supported: expected one operation, got an array');
  if (typeof body !== 'object' || body === null || body instanceof SourcedNumber) {
    throw badRequest('expected the body to be an object with a query');
  }
  const params = body as GraphQLParams;
  // A number in its source's clothes would pass for an object.
  if (params.variables instanceof SourcedNumber)
    throw badRequest('expected variables to be an object, got a number');
  return params;
}

function parseUrl(url: string): GraphQLParams {
  const given = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?')) : '');
  const json = (name: string) => {
    const text = given.get(name);
    return text === null || text === '' ? undefined : (parseJson(text, name) as Record<string, unknown>);
  };
  const [query, operationName] = [given.get('query') ?? '', given.get('operationName') ?? ''];
  return {
    ...(query !== '' && { query }),
    ...(operationName !== '' && { operationName }),
    variables: json('variables'),
    extensions: json('extensions'),
  } as GraphQLParams;
}

function badRequest(message: string) {
  const error = graphqlError('BAD_USER_INPUT', message);
  Object.assign(error.extensions, { http: { status: 400 } });
  return error;
}

function unsupported(type: string) {
  const error = graphqlError(
    'BAD_USER_INPUT',
    `expected content-type application/json, got ${type || 'none'}`,
  );
  Object.assign(error.extensions, { http: { status: 415 } });
  return error;
}
