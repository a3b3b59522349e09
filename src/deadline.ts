/** What `work` comes to, or an error that says `late` where it takes longer than `limitMs`; the work itself goes on. */
export async function within<T>(limitMs: number, work: Promise<T>, late: string): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => expired.reject(new Error(late)), limitMs);
  return Promise.race([work, expired.promise]).finally(() => clearTimeout(timer));
}

/** What goes on in the background gets this long to end, in ms. */
const CHORE_CLOSE_MS = 2000;

/** Waits until a chore ends that any process may go on with. */
export function endChore(ending: Promise<unknown>): Promise<unknown> {
  return within(CHORE_CLOSE_MS, ending, 'still busy; another process goes on with it');
}
