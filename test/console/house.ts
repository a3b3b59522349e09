/** What every test of the console needs: a whole Herald, a receiver and a browser. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { startTestApp, type TestApp, TOKEN } from '../support/app.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { launchBrowser, type Visit, type VisitOptions, visit } from './browser.ts';

export interface House {
  readonly app: TestApp;
  readonly receiver: Receiver;
  readonly browser: Browser;
  /** Opens the console as its link does. */
  open(path: string, options?: VisitOptions): Promise<Visit>;
}

/** One for all tests of a file; can be used once they run. */
export function openHouse(): House {
  const house: Partial<{ app: TestApp; receiver: Receiver; browser: Browser }> = {};
  beforeAll(async () => {
    const [app, receiver, browser] = await Promise.all([startTestApp(), startReceiver(), launchBrowser()]);
    Object.assign(house, { app, receiver, browser });
  });
  afterAll(async () => {
    await house.browser?.close();
    await house.receiver?.[Symbol.asyncDispose]();
    await house.app?.[Symbol.asyncDispose]();
  });
  return {
    get app() {
      return here(house.app);
    },
    get receiver() {
      return here(house.receiver);
    },
    get browser() {
      return here(house.browser);
    },
    open(path, options) {
      return visit(this.browser, { url: this.app.url, token: TOKEN }, path, options);
    },
  };
}

function here<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new Error('expected to be used in a test, after beforeAll');
  return part;
}
