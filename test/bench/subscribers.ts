/**
 * Subscribers to `invocationUpdated`, all in one process of their own, over WebSockets: counts what they are told, and
 * measures from the moment of a change (its transaction's start) to the arrival, of one update in SAMPLED_OF.
 */
import { createHistogram } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import { epochMs, setClock } from './clock.ts';
import { answerWith } from './inbox.ts';
import { type Distribution, distributionOf } from './latency.ts';

export type SubscribersQuestion =
  /** Opens so many more; answers when each of them is told of what happens. */
  | { readonly kind: 'OPEN'; readonly url: string; readonly token: string; readonly count: number }
  /** What they were told since it was taken. */
  | { readonly kind: 'TAKE' };

export interface Told {
  readonly updates: number;
  readonly lag: Distribution;
}

const QUERY = `subscription {
  invocationUpdated(snapshot: false) {
    cursor kind at previousStatus status
    invocation { id triggerName attemptCount event { id type } } attempt { number durationMs }
  }
}`;
/** Looking into a message takes longer than the server takes to send it to one more. */
const SAMPLED_OF = 10;

let updates = 0;
const lag = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 });

function open(url: string, token: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const send = (message: object): void => socket.send(JSON.stringify(message));
  return new Promise((resolve, reject) => {
    let isOpen = false;
    socket.on('error', reject);
    socket.on('open', () => {
      send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
    });
    socket.on('message', (data: Buffer) => {
      if (isOpen) return note(data);
      const text = data.toString('latin1');
      if (text.includes('"type":"connection_ack"')) {
        send({ type: 'subscribe', id: '1', payload: { query: QUERY } });
        // Answered after the subscription has been begun.
        send({ type: 'subscribe', id: '2', payload: { query: '{ changeCursor }' } });
      } else if (text.includes('"id":"2","type":"complete"')) {
        isOpen = true;
        resolve();
      } else if (text.includes('"id":"1"')) note(data);
    });
  });
}

function note(data: Buffer): void {
  if (updates++ % SAMPLED_OF !== 0) return;
  const [, at] = /"at":"([^"]+)"/.exec(data.toString('latin1')) ?? [];
  if (at !== undefined) lag.record(Math.max(1, Math.round((epochMs() - Date.parse(at)) * 1000)));
}

answerWith(async (question: SubscribersQuestion) => {
  switch (question.kind) {
    case 'OPEN':
      for (let opened = 0; opened < question.count; opened++) await open(question.url, question.token);
      return null;
    case 'TAKE': {
      const told: Told = { updates, lag: distributionOf(lag) };
      updates = 0;
      lag.reset();
      setClock();
      return told;
    }
  }
});
