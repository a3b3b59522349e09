/** `triggers test | preview`. */
import type { Command, CommandCall } from './command.ts';
import { ApiError, CONNECTION_OPTIONS, type Connection, connect, mutate } from './connection.ts';
import { describeFailure, type ExplainedAttempt } from './explain.ts';
import { textOf } from './options.ts';
import { createOutput, OUTPUT_OPTIONS, paint, plain } from './output.ts';
import { DATA_NOTE, DATA_WORD, readData } from './payload.ts';
import { duration } from './time.ts';
import { triggerId } from './trigger-lookup.ts';
import { given, PROJECT_OPTION } from './trigger-options.ts';

const OPTIONS = {
  type: { type: 'string', value: '<type>', meaning: "type of the event [the trigger's own]" },
  ...PROJECT_OPTION,
  ...CONNECTION_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const;
const WORDS: Command['words'] = { usage: `<name or id> ${DATA_WORD}`, least: 1, most: 2 };

/** Characters shown of the answer. */
const SHOWN_BODY = 2000;

interface TestAttempt
  extends Pick<ExplainedAttempt, 'status' | 'errorCode' | 'errorMessage' | 'durationMs' | 'response'> {
  readonly request: { readonly url: string };
}

export const testTriggerCommand: Command = {
  options: OPTIONS,
  words: WORDS,
  notes: [
    DATA_NOTE,
    'Herald sends it, not this machine. Nothing is queued, counted or retried; a trigger that is paused is tested too.',
    'The exit code is 0 where the receiver took it, 1 where it did not.',
  ],
  async run(call) {
    const output = createOutput(call);
    const { connection, input } = await prepare(call);
    const { attempt } = await mutate<{ readonly attempt: TestAttempt | null }>(
      connection,
      'testTrigger',
      `attempt {
        status errorCode errorMessage startedAt durationMs
        request { url headers { name value } body } response { statusCode headers { name value } body remoteAddress }
      }`,
      input,
    );
    if (attempt === null) throw new ApiError('Herald answered without an attempt.');
    await output.show(attempt, () => describe(attempt));
    return attempt.status === 'SUCCEEDED' ? 0 : 1;
  },
};

export const previewDeliveryCommand: Command = {
  options: OPTIONS,
  words: WORDS,
  notes: [
    DATA_NOTE,
    'The signature is made with a key made up for it, not with one of the trigger; secret headers read `***`.',
  ],
  async run(call) {
    // A command line is for a shell, also in a pipe.
    const output = createOutput({ ...call, isTerminal: true });
    const { connection, input } = await prepare(call);
    const shown = await mutate<{ readonly curl: string | null }>(
      connection,
      'previewDelivery',
      'request { url headers { name value } body } curl',
      input,
    );
    await output.show(shown, () => shown.curl ?? '');
    return 0;
  },
};

/** What both ask Herald with. */
async function prepare(
  call: CommandCall,
): Promise<{ readonly connection: Connection; readonly input: object }> {
  const { options, words } = call;
  const dataText = await readData(words[1], call);
  const connection = await connect(call);
  const id = await triggerId(connection, String(words[0]), textOf(options, 'project'));
  return { connection, input: { triggerId: id, ...given({ type: textOf(options, 'type'), dataText }) } };
}

function describe(attempt: TestAttempt): string {
  const { status, durationMs, response, request } = attempt;
  const took = durationMs === null ? '' : ` after ${duration(durationMs)}`;
  // Without EVENTS_READ the response is left out.
  const nothing = status === 'SUCCEEDED' ? 'taken (what it answered needs EVENTS_READ)' : 'no answer';
  const answer = response === null ? nothing : String(response.statusCode);
  const outcome =
    status === 'SUCCEEDED'
      ? `${paint('green', answer)}${took}`
      : `${paint('red', answer)}${took}: ${describeFailure(attempt)}`;
  const text = response?.body?.slice(0, SHOWN_BODY) ?? '';
  const body = text === '' ? [] : [text.split('\n').map(plain).join('\n')];
  return [`→ ${plain(request.url)}  ${outcome}`, ...body].join('\n');
}
