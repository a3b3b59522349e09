/** A button that starts a job over all that a list shows, in the background, and says what came of it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { BULK_OPERATION, type BulkOperation, type BulkPayload } from '../api/bulk.ts';
import { ask, Failure, refuse } from '../state/ask.ts';
import { Confirm, doing } from '../ui/confirm.tsx';
import { Icon } from '../ui/icon.tsx';
import { outcomeOf } from './bulk-words.ts';

interface BulkButtonProps {
  /** Without it there is no button; what was started before is waited for all the same. */
  readonly offered: boolean;
  readonly label: string;
  /** The question before it starts. */
  readonly title: string;
  readonly children: ComponentChildren;
  readonly start: () => Promise<BulkPayload>;
  /** Said when it has started. */
  readonly started: string;
  readonly onChanged: () => void;
}

/** Between two looks at whether it has ended, in ms: at first, and at most. */
const FIRST_LOOK_MS = 300;
const LAST_LOOK_MS = 5000;

export function BulkButton(props: BulkButtonProps) {
  const { offered, label, title, children, start, started, onChanged } = props;
  const [asking, setAsking] = useState(false);
  const gone = useRef(new AbortController());
  useEffect(() => () => gone.current.abort(), []);
  const follow = async (id: string): Promise<void> => {
    const { signal } = gone.current;
    await doing(() => finish(id, signal)).catch(() => {});
    if (!signal.aborted) onChanged();
  };
  const run = async (): Promise<string> => {
    const { bulkOperation, userErrors } = await start();
    refuse(userErrors);
    if (bulkOperation !== null) void follow(bulkOperation.id);
    return started;
  };
  return (
    <>
      {offered && (
        <button type="button" class="button" onClick={() => setAsking(true)}>
          <Icon name="retry" size={14} /> {label}
        </button>
      )}
      {asking && (
        <Confirm
          title={title}
          verb={label}
          run={run}
          onClose={() => setAsking(false)}
          onDone={() => setAsking(false)}
        >
          {children}
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
    if (operation === null || operation.status === 'FAILED') {
      throw new Failure('FAILED', `${STOPPED} ${operation?.errorMessage ?? ''}`.trim());
    }
    return outcomeOf(operation);
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

const STOPPED = 'It was stopped by an error; what was done stays done.';
