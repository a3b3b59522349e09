/** Retries all failed deliveries of a list, in the background. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Connection } from '../api/document.ts';
import {
  BULK_OPERATION,
  type BulkOperation,
  type InvocationFilter,
  RETRY_INVOCATIONS,
} from '../api/invocation.ts';
import { ask, Failure, refuse } from '../state/ask.ts';
import { may } from '../state/session.ts';
import { Confirm, doing } from '../ui/confirm.tsx';
import { Icon } from '../ui/icon.tsx';
import { capped, plural } from '../ui/words.ts';

interface RetryAllProps {
  /** What the list shows. */
  readonly filter: InvocationFilter;
  readonly total: Connection<unknown>['totalCount'] | null;
  readonly onChanged: () => void;
}

/** Between two looks at whether it has ended, in ms: at first, and at most. */
const FIRST_LOOK_MS = 300;
const LAST_LOOK_MS = 5000;

export function RetryAll({ filter: { status, ...conditions }, total, onChanged }: RetryAllProps) {
  const [asking, setAsking] = useState(false);
  const gone = useRef(new AbortController());
  useEffect(() => () => gone.current.abort(), []);
  if (status?.[0] !== 'FAILED' || total === null || total.value === 0 || !may('EVENTS_RETRY')) return null;
  const follow = async (id: string): Promise<void> => {
    const { signal } = gone.current;
    await doing(() => finish(id, signal)).catch(() => {});
    if (!signal.aborted) onChanged();
  };
  const start = async (): Promise<string> => {
    // Everything at once has to be asked for as everything until now.
    const filter =
      Object.keys(conditions).length > 0 ? conditions : { createdAt: { to: new Date().toISOString() } };
    const { retryInvocations } = await ask(RETRY_INVOCATIONS, { input: { filter } });
    refuse(retryInvocations.userErrors);
    const id = retryInvocations.bulkOperation?.id;
    if (id !== undefined) void follow(id);
    return 'They are being retried in the background.';
  };
  return (
    <>
      <button type="button" class="button" onClick={() => setAsking(true)}>
        <Icon name="retry" size={14} /> Retry all
      </button>
      {asking && (
        <Confirm
          title={`Retry ${capped(total)} failed ${total.value === 1 ? 'delivery' : 'deliveries'}?`}
          verb="Retry all"
          run={start}
          onClose={() => setAsking(false)}
          onDone={() => setAsking(false)}
        >
          <p>
            Each gets one more attempt under the same <code>webhook-id</code>, spread over time. Those whose
            trigger is paused or deleted are left as they are.
          </p>
        </Confirm>
      )}
    </>
  );
}

/** Waits for its end, and says what came of it. Errors: Failure; AbortError where nobody waits any more. */
async function finish(id: string, signal: AbortSignal): Promise<string> {
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(waitMs * 1.5, LAST_LOOK_MS)) {
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    signal.throwIfAborted();
    const operation = await look(id);
    if (operation === 'LATER' || operation?.status === 'RUNNING') continue;
    if (operation?.status !== 'COMPLETED') throw new Failure('FAILED', STOPPED);
    const { processed, skipped } = operation;
    const left = skipped > 0 ? `, ${skipped} left as they were` : '';
    return `${plural(processed, 'delivery', 'deliveries')} retried${left}.`;
  }
}

/** LATER where Herald cannot say just now: it goes on meanwhile. */
async function look(id: string): Promise<BulkOperation | null | 'LATER'> {
  try {
    return (await ask(BULK_OPERATION, { id })).bulkOperation;
  } catch (error) {
    if (error instanceof Failure && ['UNREACHABLE', 'UNAVAILABLE'].includes(error.code)) return 'LATER';
    throw error;
  }
}

const STOPPED = 'Retrying all was stopped by an error; what was not retried is still failed.';
