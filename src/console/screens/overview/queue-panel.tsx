/** The queue right now, and who works on it. */
import { useState } from 'preact/hooks';
import { QUEUE_STATUS, type QueueStatus, type Worker } from '../../api/stats.ts';
import { useLive } from '../../state/hooks.ts';
import { Link } from '../../state/route.tsx';
import { Loading } from '../../ui/parts.tsx';
import { Ago } from '../../ui/time.tsx';
import { compact, plural, span } from '../../ui/words.ts';

/** Due work that has waited so long asks for attention, in seconds. */
const LATE_SECONDS = 10;

export function QueuePanel() {
  const [queue, setQueue] = useState<QueueStatus | null>(null);
  useLive(QUEUE_STATUS, {}, ({ queueStatus }) => setQueue(queueStatus));
  return (
    <section class="panel" aria-label="Queue">
      <div class="panel-title">
        <h2>Queue</h2>
        <span class="muted small">right now</span>
      </div>
      {queue === null ? (
        <Loading rows={3} />
      ) : (
        <>
          <ul class="gauges">
            <Gauge label="Ready" value={queue.ready} status="QUEUED" note={age(queue)} />
            <Gauge label="In flight" value={queue.running} status="RUNNING" />
            <Gauge label="Retrying" value={queue.retrying} status="RETRYING" />
            <Gauge label="Scheduled" value={queue.scheduled} status="SCHEDULED" />
            <Gauge label="Held" value={queue.held} status="HELD" />
            <Gauge label="Failed" value={queue.deadLetters} status="FAILED" />
          </ul>
          <h3>{plural(queue.workers.length, 'worker')}</h3>
          {queue.workers.length === 0 && (
            <p class="text-bad">
              No worker reports in: nothing is delivered. Start a process with the role worker.
            </p>
          )}
          <ul class="workers">
            {queue.workers.map((worker) => (
              <WorkerLine key={worker.id} worker={worker} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

interface GaugeProps {
  readonly label: string;
  readonly value: number;
  readonly status: string;
  readonly note?: string | null;
}

function Gauge({ label, value, status, note }: GaugeProps) {
  return (
    <li>
      <Link to={`/invocations?status=${status}`}>
        <b class={value > 0 && status === 'FAILED' ? 'text-bad' : ''}>{compact(value)}</b>
        <span>{label}</span>
        {note != null && <span class="text-warn small">{note}</span>}
      </Link>
    </li>
  );
}

function age({ oldestReadyAgeSeconds: seconds }: QueueStatus): string | null {
  return seconds < LATE_SECONDS ? null : `oldest ${span(seconds)}`;
}

function WorkerLine({ worker }: { readonly worker: Worker }) {
  const { id, running, concurrency, startedAt, heartbeatAt } = worker;
  return (
    <li>
      <code class="ellipsis grow">{id}</code>
      <span class="load" title={`${running} of ${concurrency} attempts in flight`}>
        <i style={{ width: `${Math.min(100, (running / Math.max(1, concurrency)) * 100)}%` }} />
      </span>
      <span class="muted nowrap">
        {running} of {concurrency}
      </span>
      <span class="muted nowrap" title="Heartbeat">
        seen <Ago at={heartbeatAt} />
      </span>
      <span class="hidden">
        started <Ago at={startedAt} />
      </span>
    </li>
  );
}
