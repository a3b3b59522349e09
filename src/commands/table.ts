/** What the command line can do beside starting Herald. */
import type { CommandTable } from './parse.ts';

export const COMMANDS: CommandTable = {
  tail: {
    summary: 'watch deliveries as they happen',
    load: async () => (await import('./tail.ts')).tailCommand,
  },
  events: {
    summary: 'list the newest events',
    load: async () => (await import('./events.ts')).eventsCommand,
  },
  event: {
    summary: 'explain one event: every attempt, and why it was not delivered',
    load: async () => (await import('./event.ts')).eventCommand,
  },
  queue: {
    summary: 'queue an event, and wait for its end with --wait',
    load: async () => (await import('./queue.ts')).queueCommand,
  },
  retry: {
    summary: 'attempt now what has failed or waits for its time',
    load: async () => (await import('./manage.ts')).retryCommand,
  },
  'retry-all': {
    summary: 'retry all failed invocations that match, in the background',
    load: async () => (await import('./bulk.ts')).retryAllCommand,
  },
  replay: {
    summary: 'queue copies of past events for the triggers that match now, in the background',
    load: async () => (await import('./bulk.ts')).replayCommand,
  },
  operations: {
    summary: 'list what goes on, or went on, in the background',
    load: async () => (await import('./operations.ts')).operationsCommand,
  },
  'operations stop': {
    summary: 'stop a retry-all, a replay or a cancellation where it is',
    load: async () => (await import('./operations.ts')).stopOperationCommand,
  },
  cancel: {
    summary: 'cancel an event or one of its invocations',
    load: async () => (await import('./manage.ts')).cancelCommand,
  },
  reschedule: {
    summary: 'move the due time of an event that has not been attempted',
    load: async () => (await import('./manage.ts')).rescheduleCommand,
  },
  listen: {
    summary: 'forward events to a receiver on this machine, signed as webhooks are',
    load: async () => (await import('./listen.ts')).listenCommand,
  },
  triggers: {
    summary: 'list the triggers',
    load: async () => (await import('./triggers.ts')).triggersCommand,
  },
  'triggers create': {
    summary: 'create a trigger; shows its signing secret',
    load: async () => (await import('./triggers-change.ts')).createTriggerCommand,
  },
  'triggers update': {
    summary: 'change a trigger',
    load: async () => (await import('./triggers-change.ts')).updateTriggerCommand,
  },
  'triggers test': {
    summary: 'send one test request to its receiver, and show the answer',
    load: async () => (await import('./triggers-test.ts')).testTriggerCommand,
  },
  'triggers preview': {
    summary: 'show what would be sent, as a curl command line',
    load: async () => (await import('./triggers-test.ts')).previewDeliveryCommand,
  },
  'triggers pause': {
    summary: "hold a trigger's deliveries",
    load: async () => (await import('./triggers-change.ts')).pauseTriggerCommand,
  },
  'triggers resume': {
    summary: 'deliver again, what was held first',
    load: async () => (await import('./triggers-change.ts')).resumeTriggerCommand,
  },
  'triggers rotate-secret': {
    summary: 'give a trigger a new signing key; the old one signs for a while too',
    load: async () => (await import('./triggers-change.ts')).rotateSecretCommand,
  },
  'triggers delete': {
    summary: 'delete a trigger',
    load: async () => (await import('./triggers-change.ts')).deleteTriggerCommand,
  },
  'rotate-admin-token': {
    summary: 'replace the admin token in DATA_DIR; running processes notice, the old one stops working',
    load: async () => (await import('./rotate-admin-token.ts')).rotateAdminTokenCommand,
  },
  reencrypt: {
    summary: 'encrypt all secrets anew with the first key of ENCRYPTION_KEY',
    load: async () => (await import('./reencrypt.ts')).reencryptCommand,
  },
};
