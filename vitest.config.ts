import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Vite would load graphql's .mjs beside the CommonJS that its users load: two copies, which refuse each other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/server.ts',
    reporters: ['default', './test/support/closing-line.ts'],
    // Real servers, real sockets: what hangs is a bug, but a loaded machine with two cores is not.
    testTimeout: 60_000,
    hookTimeout: 90_000,
    // Nothing of ours is replaced or kept in modules: files share them, and with that half the processor time.
    isolate: false,
    // Most files wait for sockets; more of them at once than cores keeps both cores busy.
    maxWorkers: 4,
  },
});
