/** Jobs over many rows that are at work, with a button to stop each. */
import { type BulkOperation, CANCEL_BULK_OPERATION, RUNNING_OPERATIONS } from '../../api/bulk.ts';
import { ask, refuse } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { may } from '../../state/session.ts';
import { doing } from '../../ui/confirm.tsx';
import { Ago } from '../../ui/time.tsx';
import { compact } from '../../ui/words.ts';
import { DOING, outcomeOf } from '../bulk-words.ts';

const REFRESH_MS = 2000;

export function Operations() {
  const { data, reload } = useQuery(RUNNING_OPERATIONS, {}, REFRESH_MS);
  const running = data?.bulkOperations.nodes ?? [];
  if (running.length === 0) return null;
  return (
    <section class="panel" aria-label="In the background">
      <h2>In the background</h2>
      <ul class="workers">
        {running.map((operation) => (
          <Line key={operation.id} operation={operation} onChanged={reload} />
        ))}
      </ul>
    </section>
  );
}

interface LineProps {
  readonly operation: BulkOperation;
  readonly onChanged: () => void;
}

function Line({ operation, onChanged }: LineProps) {
  const { id, kind, matched, processed, skipped, createdAt, filter, maxPerMinute } = operation;
  const types = filter.type ?? filter.eventType ?? [];
  const seen = processed + skipped;
  const stop = async (): Promise<void> => {
    await doing(async () => {
      const { bulkOperation, userErrors } = (await ask(CANCEL_BULK_OPERATION, { input: { id } }))
        .cancelBulkOperation;
      refuse(userErrors);
      return outcomeOf(bulkOperation ?? operation);
    });
    onChanged();
  };
  return (
    <li>
      <span class="grow">
        {DOING[kind]} {types.join(', ')}{' '}
        <span class="muted">
          {maxPerMinute !== null && `${compact(maxPerMinute)} a minute, `}started <Ago at={createdAt} />
        </span>
      </span>
      {matched !== null && (
        <span class="load" title={`${seen} of ${matched}`}>
          <i style={{ width: `${Math.min(100, (seen / Math.max(1, matched)) * 100)}%` }} />
        </span>
      )}
      <span class="muted nowrap">
        {compact(seen)}
        {matched !== null && ` of ${compact(matched)}`}
      </span>
      {may(kind === 'CANCEL_EVENTS' ? 'EVENTS_WRITE' : 'EVENTS_RETRY') && (
        <button
          type="button"
          class="button small"
          aria-label={`Stop ${DOING[kind].toLowerCase()} ${types.join(', ')}`}
          onClick={stop}
        >
          Stop
        </button>
      )}
    </li>
  );
}
