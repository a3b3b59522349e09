/** Triggers as a table. */

import type { LastFailure, TriggerRow } from '../../api/trigger.ts';
import { TriggerChart } from '../../charts/sparkline.tsx';
import { Link } from '../../state/route.tsx';
import { may } from '../../state/session.ts';
import { Icon } from '../../ui/icon.tsx';
import { Menu } from '../../ui/menu.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { type Column, VirtualTable } from '../../ui/virtual-table.tsx';
import { percent, sentence } from '../../ui/words.ts';
import { explainPause, inShort } from '../explain.ts';
import { menuOf, type TriggerTask } from './trigger-dialogs.tsx';

interface TriggerTableProps {
  readonly rows: readonly TriggerRow[];
  readonly onTask: (task: TriggerTask) => void;
}

export function TriggerTable({ rows, onTask }: TriggerTableProps) {
  return (
    <div class="panel flush triggers">
      <VirtualTable
        label="Triggers"
        rows={rows}
        columns={[...COLUMNS, actions(onTask)]}
        linkOf={({ id }) => `/triggers/${id}`}
      />
    </div>
  );
}

const COLUMNS: readonly Column<TriggerRow>[] = [
  {
    name: 'Name and URL',
    width: 'minmax(0, 2.2fr)',
    cell: ({ id, name, url, project }) => (
      <span class="two-lines">
        <span class="ellipsis">
          <Link to={`/triggers/${id}`} class="row-link">
            {name}
          </Link>
          {project !== 'default' && <span class="muted"> {project}</span>}
        </span>
        <code class="ellipsis wide" title={url}>
          {url}
        </code>
      </span>
    ),
  },
  {
    name: 'State',
    width: '6.5rem',
    cell: ({ status, statusReason }) => (
      <Status of={status} {...(statusReason !== null && { title: sentence(explainPause(statusReason)) })} />
    ),
  },
  { name: 'Type', width: 'minmax(0, 1fr)', cell: ({ type }) => <span class="ellipsis">{type}</span> },
  {
    name: 'Success, 24 h',
    width: '7.5rem',
    cell: ({ stats }) => (
      <span class="rate">
        <span class={rateTone(stats.successRate)}>{percent(stats.successRate)}</span>
        <TriggerChart buckets={stats.buckets} />
      </span>
    ),
  },
  {
    name: 'Last failure',
    width: 'minmax(0, 1.5fr)',
    wideOnly: true,
    cell: ({ failures }) => <Last failure={failures.nodes[0]} />,
  },
];

function rateTone(rate: number | null): string {
  if (rate === null) return 'muted';
  return rate < 0.9 ? 'text-bad' : rate < 0.99 ? 'text-warn' : '';
}

function Last({ failure }: { readonly failure: LastFailure | undefined }) {
  if (failure === undefined) return <span class="muted">none</span>;
  const { lastAttempt, updatedAt } = failure;
  return (
    <span class="two-lines">
      <span class="ellipsis">
        {lastAttempt === null ? 'Failed' : inShort({ ...lastAttempt, durationMs: null })}
      </span>
      <span class="muted small">
        <Ago at={updatedAt} />
      </span>
    </span>
  );
}

function actions(onTask: (task: TriggerTask) => void): Column<TriggerRow> {
  return {
    name: 'Actions',
    width: '7.25rem',
    align: 'end',
    cell: (trigger) => (
      <span class="row-actions">
        {may('EVENTS_WRITE') && (
          <button
            type="button"
            class="button small"
            aria-label={`Trigger ${trigger.name}`}
            onClick={() => onTask({ kind: 'FIRE', trigger })}
          >
            <Icon name="bolt" size={13} /> Trigger
          </button>
        )}
        {may('TRIGGERS_WRITE') && <Menu label={`More for ${trigger.name}`} items={menuOf(trigger, onTask)} />}
      </span>
    ),
  };
}
