/** What the events carry. */

export const TOKEN = 'bench-admin-token-0123456789';

/** Characters of an event's data. */
export const PAYLOAD_SIZE = 500;

/** `sentAt`, in epoch milliseconds, is what the receiver measures from. */
export function payload(id: number, sentAt?: number): string {
  const head = sentAt === undefined ? `{"id":${id},` : `{"id":${id},"sentAt":${sentAt.toFixed(2)},`;
  return `${head}"padding":"${'x'.repeat(Math.max(0, PAYLOAD_SIZE - head.length - 13))}"}`;
}
