import { defineConfig } from 'vitest/config';
import everyday from '../../vitest.config.ts';

/** `npm run test:faults`: the long faults too, one file at a time, so that they do not disturb each other. */
export default defineConfig({
  ...everyday,
  test: {
    ...everyday.test,
    include: ['test/faults/**/*.{test,long}.ts'],
    fileParallelism: false,
    maxWorkers: 1,
  },
});
