import { expect, test } from 'vitest';
import { createLease } from '../../src/worker/lease.ts';

test('nothing begins before the first beat, while beats are missing, or after the end', async () => {
  let now = 0;
  const lease = createLease(() => now);
  const first = lease.confirm();
  expect(first).toBeInstanceOf(Promise);
  lease.renew(now);
  expect(await first).toBe(true);
  now = 2999;
  expect(lease.confirm()).toBe(true);
  now = 3000;
  const waiting = lease.confirm();
  // A beat that was so long on its way that it is worth nothing.
  lease.renew(-1);
  expect(await Promise.race([waiting, Promise.resolve('still waiting')])).toBe('still waiting');
  lease.end();
  expect(await waiting).toBe(false);
  lease.renew(now);
  expect(lease.confirm()).toBe(false);
});
