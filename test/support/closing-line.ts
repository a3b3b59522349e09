import type { Reporter, TestModule } from 'vitest/node';

/** Ends the output with a plain `N passed, N failed`, for people and programs that read only the last line. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const brokenFiles = modules.filter((module) => module.errors().length > 0).length;
    const skipped = tests.length - count('passed') - count('failed');
    const line = `${count('passed')} passed, ${count('failed') + brokenFiles + errors.length} failed`;
    // After every other reporter's last word.
    setImmediate(() => console.log(skipped > 0 ? `${line}, ${skipped} skipped` : line));
  }
}
