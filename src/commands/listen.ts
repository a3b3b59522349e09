/** `listen`: forwards events to a receiver on this machine, as `stripe listen` does. */
import { randomBytes } from 'node:crypto';
import { CONTENT_MODES, SPEC_VERSIONS } from '../domain/envelope.ts';
import { formatSecret, hmacKey, MIN_SECRET_BYTES, secretBytes } from '../domain/signature.ts';
import { openArrivals } from './arrivals.ts';
import { type Command, type CommandCall, NO_WORDS, UsageError } from './command.ts';
import { CONNECTION_OPTIONS, connect } from './connection.ts';
import { describeLink, type Link } from './follow.ts';
import type { ForwardOptions } from './forward.ts';
import { choiceOf, EVENT_OPTIONS, requiredText, secondsOf, textOf, textsOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain } from './output.ts';
import { createPostbox } from './postbox.ts';
import { splitHeader } from './trigger-options.ts';

const DEFAULT_TIMEOUT_SECONDS = 30;
/** Of a generated secret. */
const SECRET_BYTES = 32;

export const listenCommand: Command = {
  options: {
    forward: {
      type: 'string',
      short: 'f',
      value: '<url>',
      meaning: 'the receiver, e.g. http://localhost:3000/hook, localhost:3000/hook or 3000',
    },
    ...EVENT_OPTIONS,
    secret: {
      type: 'string',
      value: '<whsec_…>',
      meaning: 'what to sign with [HERALD_LISTEN_SECRET; a new one each time, which is printed]',
    },
    timeout: {
      type: 'string',
      value: '<duration>',
      meaning: `how long to wait for the receiver [${DEFAULT_TIMEOUT_SECONDS}s]`,
    },
    'content-mode': { type: 'string', value: '<mode>', meaning: 'json, structured or binary [json]' },
    'spec-version': { type: 'string', value: '<version>', meaning: 'CloudEvents 1.0-rc1 or 1.0 [1.0-rc1]' },
    header: {
      type: 'string',
      multiple: true,
      value: "'<name>: <value>'",
      meaning: 'header to add; may be repeated',
    },
    ...CONNECTION_OPTIONS,
    ...OUTPUT_OPTIONS,
  },
  words: NO_WORDS,
  notes: [
    `Events of all types are forwarded when they are due, whether a trigger takes them or not, with the body and the
headers of a delivery. Herald itself takes no notice: no trigger is made, nothing is recorded, and nothing is left
behind when this ends. It works for a Herald anywhere; the token needs EVENTS_READ.`,
    `What differs from a delivery: one request an event, never repeated; \`webhook-id\` is the id of the event; the
signature is made with the secret that is printed here; there is no \`tracestate\`.`,
    'Example: npm run herald -- listen --forward http://localhost:3000/hook --type order.paid',
  ],
  async run(call) {
    const { options, stopSignal } = call;
    const { secret, ...forwarding } = readOptions(call);
    const types = textsOf(options, 'type');
    const output = createOutput(call);
    const connection = await connect(call);
    const stopping = stopSignal();
    const filter = { project: textOf(options, 'project'), type: types.length === 0 ? null : types };
    const onLink = (link: Link): void => {
      if (link !== 'CONNECTED') output.remark(describeLink(link));
    };
    const arrivals = await openArrivals(connection, filter, { signal: stopping, onLink });
    const target = forwarding.target.href;
    await output.show({ kind: 'READY', forward: target, signingSecret: secret }, () =>
      [
        `Events ${types.length === 0 ? 'of all types' : types.map(plain).join(', ')} go to ${paint('bold', target)}.`,
        `Signing secret: ${paint('bold', secret)}`,
        paint('dim', 'Ctrl-C ends it.'),
      ].join('\n'),
    );
    const postbox = createPostbox(connection, { ...forwarding, signal: stopping }, output);
    try {
      for await (const arrival of arrivals) await postbox.take(arrival);
    } finally {
      const left = await postbox.close();
      if (left > 0) output.remark(`${left} events that are not due yet are not forwarded.`);
    }
    return 0;
  },
};

function readOptions({
  options,
  env,
}: CommandCall): Omit<ForwardOptions, 'signal'> & { readonly secret: string } {
  const secret =
    textOf(options, 'secret') ?? (env.HERALD_LISTEN_SECRET || formatSecret(randomBytes(SECRET_BYTES)));
  const bytes = secretBytes(secret);
  if (bytes === null) {
    throw new UsageError(`--secret: expected whsec_ and the base64 of at least ${MIN_SECRET_BYTES} bytes`);
  }
  const version = textOf(options, 'spec-version') ?? SPEC_VERSIONS[0];
  const specVersion = SPEC_VERSIONS.find((one) => one === version);
  if (specVersion === undefined) {
    throw new UsageError(
      `--spec-version: expected ${SPEC_VERSIONS.join(' or ')}, got ${JSON.stringify(version)}`,
    );
  }
  return {
    secret,
    key: hmacKey(bytes),
    target: readTarget(requiredText(options, 'forward')),
    contentMode: choiceOf(options, 'content-mode', CONTENT_MODES) ?? CONTENT_MODES[0],
    specVersion,
    headers: textsOf(options, 'header').map((text) => {
      const { name, value } = splitHeader('header', text);
      return [name.toLowerCase(), value] as const;
    }),
    timeoutMs: (secondsOf(options, 'timeout') ?? DEFAULT_TIMEOUT_SECONDS) * 1000,
  };
}

function readTarget(text: string): URL {
  const written = /^\d+(?:\/|$)/.test(text) ? `localhost:${text}` : text;
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(written) ? written : `http://${written}`);
  if (url !== null && /^https?:$/.test(url.protocol) && url.username === '') return url;
  throw new UsageError(
    `--forward: expected a URL such as http://localhost:3000/hook, got ${JSON.stringify(text)}`,
  );
}
