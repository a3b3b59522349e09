/** Retries all failed deliveries of a list. */
import { RETRY_INVOCATIONS } from '../api/bulk.ts';
import type { Connection } from '../api/document.ts';
import type { InvocationFilter } from '../api/invocation.ts';
import { ask } from '../state/ask.ts';
import { may } from '../state/session.ts';
import { capped } from '../ui/words.ts';
import { BulkButton } from './bulk-button.tsx';

interface RetryAllProps {
  /** What the list shows. */
  readonly filter: InvocationFilter;
  readonly total: Connection<unknown>['totalCount'] | null;
  readonly onChanged: () => void;
}

export function RetryAll({ filter: { status, ...conditions }, total, onChanged }: RetryAllProps) {
  const count = total ?? { value: 0, capped: false };
  // Everything at once has to be asked for as everything until now.
  const filter = () =>
    Object.keys(conditions).length > 0 ? conditions : { createdAt: { to: new Date().toISOString() } };
  return (
    <BulkButton
      offered={status?.[0] === 'FAILED' && count.value > 0 && may('EVENTS_RETRY')}
      label="Retry all"
      title={`Retry ${capped(count)} failed ${count.value === 1 ? 'delivery' : 'deliveries'}?`}
      start={async () => (await ask(RETRY_INVOCATIONS, { input: { filter: filter() } })).retryInvocations}
      started="They are being retried in the background."
      onChanged={onChanged}
    >
      <p>
        Each gets one more attempt under the same <code>webhook-id</code>, spread over time. Those whose
        trigger is paused or deleted are left as they are.
      </p>
    </BulkButton>
  );
}
