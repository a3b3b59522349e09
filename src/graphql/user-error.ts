/** Business errors: values on a mutation's payload, never exceptions. */
import type { Problem, ProblemCode } from '../domain/errors.ts';
import { builder, type Described } from './builder.ts';

export const UserError = builder.objectRef<Problem>('UserError');

/** What mutations answer with; where there are problems, nothing was changed. */
export interface Payload {
  readonly problems: readonly Problem[];
}

/** The `userErrors` field of a payload. */
export function userErrorsField<P extends Payload>(
  t: PothosSchemaTypes.ObjectFieldBuilder<(typeof builder)['$inferSchemaTypes'], P>,
) {
  return t.field({
    type: [UserError],
    description: 'What was wrong; empty on success.',
    resolve: ({ problems }) => [...problems],
  });
}

const UserErrorCode = builder.enumType('UserErrorCode', {
  description: 'Codes of `UserError`. New values may be added; treat unknown codes as INVALID.',
  values: {
    INVALID: { description: 'The value is malformed or out of range.' },
    REQUIRED: { description: 'A value is required here.' },
    TOO_LARGE: { description: 'The string, list or payload is too long or too large.' },
    TAKEN: { description: 'The name is already used in this project.' },
    NOT_FOUND: { description: 'No such object, or it is not visible to this token.' },
    VERSION_CONFLICT: { description: 'The object changed since `expectedVersion` was read.' },
    WRONG_STATE: {
      description:
        "The object's current state does not allow this, e.g. resuming a trigger that is not paused.",
    },
    URL_SCHEME_NOT_ALLOWED: {
      description: "The URL's scheme is not allowed (http outside development, or not http(s)).",
    },
    URL_ADDRESS_FORBIDDEN: { description: 'The URL points at an address the egress policy forbids.' },
    HEADER_NOT_ALLOWED: {
      description:
        'The header name is reserved or not a valid field name, or the value has forbidden characters.',
    },
    IDEMPOTENCY_KEY_REUSED: { description: 'The same idempotency key was used with a different payload.' },
    IDEMPOTENCY_IN_PROGRESS: {
      description: 'A request with the same idempotency key is still running; repeat it later.',
    },
    LIMIT_EXCEEDED: { description: 'Accepting this would exceed a limit, of how many at once or in all.' },
  } satisfies Described<ProblemCode>,
});

UserError.implement({
  description: "A business-level problem with a mutation's input. The operation had no effect.",
  fields: (t) => ({
    field: t.stringList({
      nullable: true,
      description: `Path from the mutation's arguments to the offending value, e.g. \`["input", "url"]\` or
\`["input", "events", "3", "type"]\`. Null when no single input value is to blame.`,
      resolve: ({ field }) => (field.length === 0 ? null : ['input', ...field]),
    }),
    code: t.field({
      type: UserErrorCode,
      description: 'Stable, machine-readable code.',
      resolve: ({ code }) => code,
    }),
    message: t.exposeString('message', {
      description: 'English, human-readable; may change between releases.',
    }),
  }),
});
