/** The console in a real headless browser. */
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { findChromium } from './chromium.ts';

export async function launchBrowser(): Promise<Browser> {
  const { executablePath, env } = await findChromium();
  return chromium.launch({
    executablePath,
    // The sandbox needs privileges that containers do not give; the pages are our own.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    env: { ...process.env, ...env } as Record<string, string>,
  });
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page complained about: console errors, exceptions, violations of the content security policy. */
  readonly complaints: readonly string[];
}

export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: true;
}

/** Of each browser, by their options: pages that look alike share one, as the tabs of a person do. */
const contexts = new WeakMap<Browser, Map<string, Promise<BrowserContext>>>();

function contextOf(browser: Browser, options: BrowserContextOptions): Promise<BrowserContext> {
  const kept = contexts.get(browser) ?? new Map<string, Promise<BrowserContext>>();
  contexts.set(browser, kept);
  const key = JSON.stringify(options);
  const context = kept.get(key) ?? browser.newContext(options);
  kept.set(key, context);
  return context;
}

/** Opens the console as its link does. */
export async function visit(
  browser: Browser,
  { url, token }: { readonly url: string; readonly token: string },
  path = '/',
  { width = 1280, height = 800, dark }: VisitOptions = {},
): Promise<Visit> {
  const context = await contextOf(browser, {
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`a script opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(`${url}${path}#token=${token}`);
  await page.locator('main h1').first().waitFor();
  return {
    page,
    context,
    complaints,
    [Symbol.asyncDispose]: () => page.close(),
  };
}

/** Waits until a text can be seen. */
export const seen = (page: Page, text: string | RegExp): Promise<void> =>
  page.getByText(text).filter({ visible: true }).first().waitFor();

/** Goes to another screen without loading the page anew, as the browser's own arrows do. */
export async function goTo(page: Page, path: string): Promise<void> {
  await page.evaluate(
    `history.pushState(null, '', ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent('popstate'))`,
  );
  await page.locator('main h1').first().waitFor();
}
