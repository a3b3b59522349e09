/** Retries all failed deliveries of a list, in the background. */
import { useState } from 'preact/hooks';
import type { Connection } from '../api/document.ts';
import { BULK_OPERATION, type InvocationFilter, RETRY_INVOCATIONS } from '../api/invocation.ts';
import { ask, refuse } from '../state/ask.ts';
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

/** Between two looks at how far it is, in ms. */
const LOOK_MS = 500;

export function RetryAll({ filter: { status, ...conditions }, total, onChanged }: RetryAllProps) {
  const [asking, setAsking] = useState(false);
  if (status?.[0] !== 'FAILED' || total === null || total.value === 0 || !may('EVENTS_RETRY')) return null;
  const start = async (): Promise<string> => {
    // Everything at once has to be asked for as everything until now.
    const filter =
      Object.keys(conditions).length > 0 ? conditions : { createdAt: { to: new Date().toISOString() } };
    const { retryInvocations } = await ask(RETRY_INVOCATIONS, { input: { filter } });
    refuse(retryInvocations.userErrors);
    const id = retryInvocations.bulkOperation?.id;
    if (id !== undefined) void doing(() => finish(id)).then(onChanged);
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

/** Waits for its end, and says what came of it. */
async function finish(id: string): Promise<string> {
  for (;;) {
    const { bulkOperation } = await ask(BULK_OPERATION, { id });
    if (bulkOperation?.status === 'RUNNING') {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      continue;
    }
    const { processed = 0, skipped = 0 } = bulkOperation ?? {};
    const left = skipped > 0 ? `, ${skipped} left as they were` : '';
    return `${plural(processed, 'delivery', 'deliveries')} retried${left}.`;
  }
}
