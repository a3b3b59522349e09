import { describe, expect, test } from 'vitest';
import { createBatcher } from '../../src/store/batch.ts';

const LIMITS = { maxSize: 100, concurrency: 1, gatherMs: 1, maxWaiting: 1000 };

/** A flush that notes its batches and answers each item with its double. */
function doubling() {
  const batches: number[][] = [];
  const flush = async (items: readonly number[]) => {
    batches.push([...items]);
    return items.map((item) => item * 2);
  };
  return { batches, flush };
}

describe('createBatcher', () => {
  test('concurrent callers share a flush; each gets its own answer', async () => {
    const { batches, flush } = doubling();
    const batcher = createBatcher({ ...LIMITS, flush });
    expect(await Promise.all([1, 2, 3].map((item) => batcher.add(item)))).toEqual([2, 4, 6]);
    expect(batches).toEqual([[1, 2, 3]]);
  });

  test('a batch has at most maxSize items, and the rest follows', async () => {
    const { batches, flush } = doubling();
    const batcher = createBatcher({ ...LIMITS, maxSize: 4, flush });
    const items = Array.from({ length: 10 }, (_, n) => n);
    expect(await Promise.all(items.map((item) => batcher.add(item)))).toEqual(items.map((item) => item * 2));
    expect(batches.map((batch) => batch.length)).toEqual([4, 4, 2]);
  });

  test('what waits is split among the flushes that may begin, in shares that are worth one', async () => {
    const { batches, flush } = doubling();
    const batcher = createBatcher({ ...LIMITS, concurrency: 2, enough: 3, flush });
    const add = (count: number) => Promise.all(Array.from({ length: count }, (_, n) => batcher.add(n)));
    const sizes = async (count: number) => {
      batches.length = 0;
      await add(count);
      return batches.map(({ length }) => length);
    };
    expect(await sizes(5)).toEqual([5]);
    expect(await sizes(6)).toEqual([3, 3]);
    expect(await sizes(9)).toEqual([5, 4]);
    expect(await sizes(300)).toEqual([100, 100, 50, 50]);
  });

  test('callers who come in numbers gather, but not once there are enough', async () => {
    const { batches, flush } = doubling();
    const batcher = createBatcher({ ...LIMITS, gatherMs: 3_600_000, enough: 5, flush });
    const add = (count: number) => Promise.all(Array.from({ length: count }, (_, n) => batcher.add(n)));
    await add(4); // a crowd: from now on they would gather for an hour
    await add(5);
    const gathering = add(3);
    await new Promise(setImmediate);
    expect(batches.map(({ length }) => length)).toEqual([4, 5]);
    void batcher.add(3);
    void batcher.add(4);
    expect(await gathering).toEqual([0, 2, 4]);
  });

  test('one bad item fails alone', async () => {
    const flush = async (items: readonly number[]) => {
      if (items.includes(13)) throw Object.assign(new Error('13 is refused'), { code: '22023' });
      return items;
    };
    const batcher = createBatcher({ ...LIMITS, flush });
    const results = await Promise.allSettled([12, 13, 14].map((item) => batcher.add(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  test('a database that is away fails all, without asking for each', async () => {
    let flushes = 0;
    const flush = async (): Promise<readonly number[]> => {
      flushes++;
      throw Object.assign(new Error('gone'), { code: 'CONNECTION_CLOSED' });
    };
    const batcher = createBatcher<number, number>({ ...LIMITS, flush });
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
    expect([flushes, results.every(({ status }) => status === 'rejected')]).toEqual([1, true]);
  });

  test('more than maxWaiting callers are refused', async () => {
    const batcher = createBatcher({ ...LIMITS, maxWaiting: 2, flush: doubling().flush });
    const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  });
});
