/** Questions that a process of the bench answers to the one that started it. */

export interface Letter {
  readonly id: number;
  readonly question: unknown;
}

/** Answers each question with what `reply` makes of it. Ends the process with the one that asks. */
export function answerWith<Question>(reply: (question: Question) => unknown): void {
  process.on('message', async (message) => {
    const { id, question } = message as Letter;
    if (question === 'usage' || question === 'held') return; // probe.ts answers that
    const value = await reply(question as Question);
    process.send?.({ id, value });
  });
  process.on('disconnect', () => process.exit());
}
