/** Items of all sources as they come, each source asked for one item ahead. Errors: the first that one throws. */
export async function* merge<T>(
  sources: readonly AsyncGenerator<T, void, undefined>[],
): AsyncGenerator<T, void, undefined> {
  const ask = (source: AsyncGenerator<T, void, undefined>) =>
    source.next().then((result) => ({ source, result }));
  const asked = new Map(sources.map((source) => [source, ask(source)]));
  while (asked.size > 0) {
    const { source, result } = await Promise.race(asked.values());
    // To the end of the line: of two that have always something to say, neither waits for ever.
    asked.delete(source);
    if (result.done === true) continue;
    yield result.value;
    asked.set(source, ask(source));
  }
}
