/** One HTTP call of a timeline, in a line that opens. */
import { useState } from 'preact/hooks';
import { Icon } from '../../ui/icon.tsx';
import { iconOf, toneOf } from '../../ui/status.tsx';
import { Moment } from '../../ui/time.tsx';
import { milliseconds } from '../../ui/words.ts';
import { inShort } from '../explain.ts';
import { AttemptDetail, type AttemptDetailProps } from './attempt-detail.tsx';

interface AttemptItemProps extends AttemptDetailProps {
  readonly isLast: boolean;
}

export function AttemptItem({ attempt, timeoutMs, isLast, advice }: AttemptItemProps) {
  const [chosen, setChosen] = useState<boolean | null>(null);
  const open = chosen ?? isLast;
  const { number, status, cause, durationMs, startedAt } = attempt;
  return (
    <li class="step attempt">
      <span class={`step-icon tone-${toneOf(status)}`}>
        <Icon name={iconOf(status)} size={13} />
      </span>
      <button type="button" class="step-line" aria-expanded={open} onClick={() => setChosen(!open)}>
        <span class="step-text">
          <Icon name={open ? 'down' : 'right'} size={13} />
          <strong>Attempt {number}</strong>
          <span class={`answer tone-${toneOf(status)}`}>{inShort(attempt)}</span>
          {durationMs !== null && status !== 'SUCCEEDED' && (
            <span class="muted"> after {milliseconds(durationMs)}</span>
          )}
          {cause === 'MANUAL' && <span class="muted">, by hand</span>}
        </span>
        <Moment at={startedAt} />
      </button>
      {open && <AttemptDetail attempt={attempt} timeoutMs={timeoutMs} advice={advice} />}
    </li>
  );
}
