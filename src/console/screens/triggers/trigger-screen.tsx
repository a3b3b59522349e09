/** One trigger: its settings, how it fares, and its latest deliveries. */
import { useState } from 'preact/hooks';
import { INVOCATION_UPDATED, INVOCATIONS } from '../../api/invocation.ts';
import { type StatsWindow, TRIGGER_STATS } from '../../api/stats.ts';
import { TRIGGER_BY_ID, type Trigger } from '../../api/trigger.ts';
import { DeliveryChart } from '../../charts/delivery-chart.tsx';
import { now } from '../../state/clock.ts';
import { useLive, useQuery, useThrottled } from '../../state/hooks.ts';
import { go, Link } from '../../state/route.tsx';
import { may } from '../../state/session.ts';
import { Id } from '../../ui/copy.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Menu } from '../../ui/menu.tsx';
import { Empty, Loading, Problem } from '../../ui/parts.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { humane, plural } from '../../ui/words.ts';
import { inShort } from '../explain.ts';
import { Figures } from '../overview/figures.tsx';
import { WindowChoice } from '../overview/window-choice.tsx';
import { menuOf, TriggerDialogs, type TriggerTask } from './trigger-dialogs.tsx';
import { TriggerFacts } from './trigger-facts.tsx';

export function TriggerScreen({ id }: { readonly id: string }) {
  const { data, failure, reload } = useQuery(TRIGGER_BY_ID, { id }, 5000);
  const [task, setTask] = useState<TriggerTask | null>(null);
  if (data === null) return failure === null ? <Loading /> : <Problem failure={failure} />;
  const { trigger } = data;
  if (trigger === null) {
    return (
      <Empty icon="question" title="There is no such trigger">
        <p>It may have been deleted.</p>
        <Link class="button" to="/triggers">
          All triggers
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <Link class="crumb" to="/triggers">
        <Icon name="back" size={14} /> Triggers
      </Link>
      <header class="page-head">
        <div>
          <h1 tabIndex={-1} class="with-status">
            <span class="ellipsis">{trigger.name}</span> <Status of={trigger.status} />
          </h1>
          <p class="lead">{trigger.description ?? <Id id={id} what="trigger id" />}</p>
        </div>
        <div class="actions">
          {may('TRIGGERS_WRITE') && <Menu label="More for this trigger" items={menuOf(trigger, setTask)} />}
          {may('EVENTS_WRITE') && (
            <button type="button" class="button primary" onClick={() => setTask({ kind: 'FIRE', trigger })}>
              <Icon name="bolt" size={14} /> Trigger
            </button>
          )}
        </div>
      </header>
      <Trouble trigger={trigger} onTask={setTask} />
      <div class="event-grid">
        <div class="stack">
          <Performance id={id} />
          <Latest id={id} />
        </div>
        <aside class="stack" aria-label="Settings of this trigger">
          <TriggerFacts trigger={trigger} />
        </aside>
      </div>
      {task !== null && (
        <TriggerDialogs
          task={task}
          onClose={() => setTask(null)}
          onChanged={reload}
          onDeleted={() => go('/triggers')}
        />
      )}
    </>
  );
}

const TROUBLES: Readonly<Record<string, string>> = {
  RECEIVER_GONE:
    'The receiver answered 410 Gone, so this trigger was paused. Correct its URL, then resume it.',
  CONSECUTIVE_FAILURES:
    'Every attempt failed for longer than PAUSE_FAILING_AFTER_HOURS allows, so this trigger was paused. Deliveries are held, nothing is lost: resume it when its receiver is back.',
  MANUAL: 'Paused by hand. Deliveries are held, nothing is lost.',
};

/** Shorter, and it may be passing. */
const WORTH_SAYING_MS = 600_000;

interface TroubleProps {
  readonly trigger: Trigger;
  readonly onTask: (task: TriggerTask) => void;
}

function Trouble({ trigger, onTask }: TroubleProps) {
  const failingMs = trigger.failingSince === null ? 0 : now.value - Date.parse(trigger.failingSince);
  if (trigger.status === 'ACTIVE' && trigger.failingSince !== null && failingMs > WORTH_SAYING_MS) {
    return (
      <div class="callout warn">
        <Icon name="alert" />
        <p>
          Every attempt has failed; the first one <Ago at={trigger.failingSince} />. If it goes on for days,
          the trigger is paused.
        </p>
      </div>
    );
  }
  if (trigger.status !== 'PAUSED') return null;
  return (
    <div class="callout warn">
      <Icon name="pause" />
      <p>
        {TROUBLES[trigger.statusReason ?? 'MANUAL'] ?? humane(trigger.statusReason ?? '')}{' '}
        <span class="muted">
          Since <Ago at={trigger.statusChangedAt} />.
        </span>
      </p>
      {may('TRIGGERS_WRITE') && may('EVENTS_WRITE') && (
        <button type="button" class="button small" onClick={() => onTask({ kind: 'TEST', trigger })}>
          Test
        </button>
      )}
      {may('TRIGGERS_WRITE') && (
        <button type="button" class="button small" onClick={() => onTask({ kind: 'RESUME', trigger })}>
          Resume
        </button>
      )}
    </div>
  );
}

function Performance({ id }: { readonly id: string }) {
  const [window, setWindow] = useState<StatsWindow>('LAST_24_HOURS');
  const { data } = useQuery(TRIGGER_STATS, { id, window }, 5000);
  const stats = data?.trigger?.stats;
  if (stats === undefined) return <Loading rows={3} />;
  return (
    <section class="panel">
      <div class="panel-title">
        <h2>Deliveries</h2>
        <WindowChoice value={window} onChange={setWindow} />
      </div>
      <Figures stats={stats} compact />
      <DeliveryChart stats={stats} window={window} />
    </section>
  );
}

function Latest({ id }: { readonly id: string }) {
  const filter = { triggerId: [id] };
  const { data, reload } = useQuery(INVOCATIONS, { filter, first: 10, after: null });
  const look = useThrottled(reload, 500);
  useLive(INVOCATION_UPDATED, { filter }, look);
  const rows = data?.invocations.nodes ?? [];
  return (
    <section class="panel flush" aria-label="Latest deliveries">
      <div class="panel-head">
        <h2>Latest deliveries</h2>
        <Link class="more-link" to={`/invocations?trigger=${id}`}>
          All
        </Link>
      </div>
      {rows.length === 0 && <p class="muted inset">None yet.</p>}
      <ul class="rows">
        {rows.map((row) => (
          <li key={row.id}>
            <Link to={`/events/${row.event.id}#${row.id}`}>
              <span class="row-lead">
                <Status of={row.status} />
              </span>
              <span class="grow ellipsis">
                {row.lastAttempt === null ? (
                  <span class="muted">No attempt yet</span>
                ) : (
                  inShort(row.lastAttempt)
                )}
              </span>
              <span class="muted nowrap wide">{plural(row.attemptCount, 'attempt')}</span>
              <span class="muted nowrap">
                <Ago at={row.createdAt} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
