import { mergeConfig } from 'vitest/config';
import everyday from '../../vitest.config.ts';

/** `npm run test:faults`: the long faults too, one file at a time, so that they do not disturb each other. */
export default mergeConfig(everyday, {
  test: { include: ['test/faults/**/*.long.ts'], fileParallelism: false, maxWorkers: 1 },
});
