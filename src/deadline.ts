/** What `work` comes to, or an error that says `late` where it takes longer than `limitMs`; the work itself goes on. */
export async function within<T>(limitMs: number, work: Promise<T>, late: string): Promise<T> {
  const expired = Promise.withResolvers<never>();
  const timer = setTimeout(() => expired.reject(new Error(late)), limitMs);
  return Promise.race([work, expired.promise]).finally(() => clearTimeout(timer));
}
