/** A shop's triggers and events, for pictures: most of them go well. */
import { askGraphql } from '../support/app.ts';
import type { Answer } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const json = { 'content-type': 'application/json', 'x-request-id': 'req_8f31c2' };

/** The receivers of the scene, told apart by their paths. */
export const answerLikeShops: Answer = ({ path, text }, res) => {
  const answer = (code: number, body: string): void => void res.writeHead(code, json).end(body);
  const dice = (text.length * 7919) % 10;
  switch (path) {
    case '/hook/crm':
      return dice < 2 ? answer(503, '{"error":"maintenance"}') : answer(202, '{"queued":true}');
    case '/hook/erp':
      return answer(500, '{"error":"database is read-only","trace":"a81f09"}');
    case '/hook/mail':
      return void setTimeout(() => answer(200, '{"sent":true}'), 40 + dice * 20);
    case '/hook/old':
      return answer(410, 'gone');
    default:
      return void setTimeout(() => answer(200, '{"received":true,"picked":["A-1","B-7"]}'), dice * 3);
  }
};

interface Place {
  readonly url: string;
  readonly token: string;
  readonly receiverUrl: string;
}

interface Scene {
  readonly triggerId: string;
  /** With what part of the traffic each had, and how much of that failed. */
  readonly triggers: readonly { readonly id: string; readonly share: number; readonly fails: number }[];
  readonly failedId: string;
  readonly retryingId: string;
  readonly makeNoise: () => Promise<void>;
}

const CREATE = 'mutation ($input: CreateTriggerInput!) { createTrigger(input: $input) { trigger { id } } }';
const QUEUE = 'mutation ($input: QueueEventInput!) { queueEvent(input: $input) { event { id } } }';
const KEY = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } } }';
const STATUS = 'query ($id: ID!) { event(id: $id) { invocations { nodes { status attemptCount } } } }';

export async function liveThroughADay({ receiverUrl, ...herald }: Place): Promise<Scene> {
  const create = async (input: Readonly<Record<string, unknown>>): Promise<string> => {
    const answer = await askGraphql<{ createTrigger: { trigger: { id: string } } }>(herald, CREATE, {
      input,
    });
    return answer.createTrigger.trigger.id;
  };
  const queue = async (type: string, more: object = {}): Promise<string> => {
    const input = { type, dataText: JSON.stringify(order()), ...more };
    const answer = await askGraphql<{ queueEvent: { event: { id: string } } }>(herald, QUEUE, { input });
    return answer.queueEvent.event.id;
  };
  const reached = (id: string, status: string, attempts: number): Promise<unknown> =>
    until(async () => {
      const { event } = await askGraphql<{
        event: { invocations: { nodes: { status: string; attemptCount: number }[] } };
      }>(herald, STATUS, { id });
      return event.invocations.nodes.some((one) => one.status === status && one.attemptCount >= attempts);
    }, status);

  const headers = [
    { name: 'x-api-key', value: 'k', secret: true },
    { name: 'x-team', value: 'crm' },
  ];
  const warehouse = await create({
    name: 'orders-to-warehouse',
    type: 'order.paid',
    url: receiverUrl,
    description: 'Picks and packs',
  });
  const mailer = await create({
    name: 'signup-mailer',
    type: 'user.signed_up',
    url: `${receiverUrl}/mail`,
    maxConcurrency: 5,
  });
  await create({ name: 'legacy-audit', type: 'user.deleted', url: `${receiverUrl}/old` });
  await create({ name: 'refunds', type: 'refund.requested', url: 'http://127.0.0.1:9/refunds', retries: 0 });
  const [triggerId] = await Promise.all([
    create({
      name: 'orders-to-crm',
      type: 'order.paid',
      url: `${receiverUrl}/crm`,
      retrySchedule: [1, 60, 3600],
      headers,
    }),
    create({
      name: 'invoices-to-erp',
      type: 'invoice.created',
      url: `${receiverUrl}/erp`,
      retries: 1,
      retrySchedule: [0],
    }),
    create({
      name: 'invoices-archive',
      type: 'invoice.sent',
      url: `${receiverUrl}/erp`,
      retrySchedule: [1, 75],
    }),
  ]);
  for (const [name, scopes] of [
    ['shop', ['EVENTS_WRITE']],
    ['grafana', ['EVENTS_READ', 'TRIGGERS_READ']],
  ] as const) {
    await askGraphql(herald, KEY, { input: { name, scopes } });
  }

  await Promise.all(
    Array.from({ length: 180 }, (_, index) => queue(TYPES[index % TYPES.length] ?? 'order.paid')),
  );
  await queue('user.deleted');
  await queue('order.paid', { delay: 5400 });
  const [failedId, retryingId] = await Promise.all([queue('invoice.created'), queue('invoice.sent')]);
  await Promise.all([reached(failedId, 'FAILED', 2), reached(retryingId, 'RETRYING', 2)]);
  return {
    triggerId,
    triggers: [
      { id: warehouse, share: 0.6, fails: 0.002 },
      { id: triggerId, share: 0.6, fails: 0.03 },
      { id: mailer, share: 0.3, fails: 0 },
    ],
    failedId,
    retryingId,
    async makeNoise() {
      for (let index = 0; index < 12; index++) await queue(TYPES[index % TYPES.length] ?? 'order.paid');
    },
  };
}

const TYPES = [
  'order.paid',
  'order.paid',
  'user.signed_up',
  'order.paid',
  'user.signed_up',
  'order.paid',
  'order.paid',
  'page.viewed',
  'order.paid',
  'user.signed_up',
  'refund.requested',
  'order.paid',
];

let orders = 1040;

function order(): object {
  return {
    id: orders++,
    amount: 129.9,
    currency: 'EUR',
    customer: { name: 'Ada Lovelace', note: 'x'.repeat(orders % 7) },
    items: [
      { sku: 'A-1', count: 2 },
      { sku: 'B-7', count: 1 },
    ],
  };
}
