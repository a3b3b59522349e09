/** What clients know they asked for, and what a receiver knows it was sent: the two ledgers of the total-queue checker. */
import { setTimeout as pause } from 'node:timers/promises';
import { TOKEN } from './app.ts';
import type { Random } from './random.ts';
import { type Delivery, type Receiver, startReceiver } from './receiver.ts';

/** UNKNOWN: the call ended without an answer, so the event may or may not be there. REFUSED: an answer said no. */
export type Fate = 'ACKNOWLEDGED' | 'UNKNOWN' | 'REFUSED';

export interface Sent {
  /** The event's data, one for each event. */
  readonly key: string;
  fate: Fate;
  /** Ids that answers gave it: one, or a second event was made. */
  readonly eventIds: Set<string>;
}

export interface ClientLedger {
  readonly sent: ReadonlyMap<string, Sent>;
  /** Statuses other than 200. */
  readonly refusals: ReadonlySet<number>;
  acknowledged(): number;
  /** Notes what was queued in another way. */
  note(key: string, eventId: string): void;
  /** Queues one event over REST at `url`; with the key as idempotency key, if the caller means to try again. */
  queue(url: string, key: string, options: { readonly type: string; readonly keyed: boolean }): Promise<Fate>;
}

/** How long a client waits for an answer, in ms. */
const CLIENT_TIMEOUT_MS = 10_000;

export function createClientLedger(): ClientLedger {
  const sent = new Map<string, Sent>();
  const refusals = new Set<number>();
  return {
    sent,
    refusals,
    acknowledged: () => [...sent.values()].filter(({ fate }) => fate === 'ACKNOWLEDGED').length,
    note: (key, eventId) => void sent.set(key, { key, fate: 'ACKNOWLEDGED', eventIds: new Set([eventId]) }),
    async queue(url, key, { type, keyed }) {
      const entry = sent.get(key) ?? { key, fate: 'UNKNOWN', eventIds: new Set<string>() };
      sent.set(key, entry);
      try {
        const response = await fetch(`${url}/queue`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${TOKEN}`,
            'content-type': 'application/json',
            ...(keyed && { 'idempotency-key': key }),
          },
          body: JSON.stringify({ type, data: key }),
          signal: AbortSignal.timeout(CLIENT_TIMEOUT_MS),
        });
        const { id } = (await response.json()) as { id?: string };
        if (response.status === 200 && id !== undefined) {
          entry.eventIds.add(id);
          entry.fate = 'ACKNOWLEDGED';
        } else {
          refusals.add(response.status);
          // A refusal does not take back what an earlier call may have done.
          if (entry.fate !== 'UNKNOWN') entry.fate = 'REFUSED';
        }
        return response.status === 200 ? 'ACKNOWLEDGED' : 'REFUSED';
      } catch {
        return 'UNKNOWN';
      }
    },
  };
}

export interface LoadOptions {
  readonly ledger: ClientLedger;
  /** Where one can ask at the moment. */
  readonly urls: () => readonly string[];
  readonly random: Random;
  readonly type: string;
  readonly callers: number;
  /** Milliseconds a caller rests between two events. */
  readonly restMs: number;
}

export interface Load {
  /** Lets every caller finish: those with an idempotency key ask until they know. */
  stop(): Promise<void>;
}

/** Most of the callers insist, with an idempotency key; every fourth takes what comes. */
export function startLoad({ ledger, urls, random, type, callers, restMs }: LoadOptions): Load {
  let going = true;
  const call = async (caller: number): Promise<void> => {
    const keyed = caller % 4 !== 3;
    for (let n = 0; going; n++) {
      const key = `${type}-${caller}-${n}`;
      for (;;) {
        const known = urls();
        const fate =
          known.length === 0 ? 'UNKNOWN' : await ledger.queue(random.pick(known), key, { type, keyed });
        if (fate === 'ACKNOWLEDGED' || (!keyed && known.length > 0)) break;
        await pause(50);
      }
      await pause(restMs);
    }
  };
  const all = Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return {
    async stop() {
      going = false;
      await all;
    },
  };
}

/** What the receiver answered: null for a request that ended without an answer. */
export interface Answered {
  readonly delivery: Delivery;
  status: number | null;
}

export interface ReceiverLedger extends AsyncDisposable {
  readonly receiver: Receiver;
  readonly answered: readonly Answered[];
  /** Requests without an answer yet. */
  open(): number;
  /** Most requests that were ever open at once. */
  mostOpen(): number;
}

/** A receiver that keeps a ledger of its answers, whatever `receiver.answer` is at the moment. */
export async function startReceiverLedger(): Promise<ReceiverLedger> {
  const answered: Answered[] = [];
  let open = 0;
  let mostOpen = 0;
  const receiver = await startReceiver();
  const inner = { answer: receiver.answer };
  Object.defineProperty(receiver, 'answer', {
    get: () => (delivery: Delivery, res: Parameters<Receiver['answer']>[1]) => {
      const entry: Answered = { delivery, status: null };
      answered.push(entry);
      mostOpen = Math.max(mostOpen, ++open);
      res.once('finish', () => {
        entry.status = res.statusCode;
      });
      res.once('close', () => open--);
      inner.answer(delivery, res);
    },
    set: (answer: Receiver['answer']) => {
      inner.answer = answer;
    },
  });
  return {
    receiver,
    answered,
    open: () => open,
    mostOpen: () => mostOpen,
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}
