/** The lines of the live tail. */
import type { Activity } from '../../api/activity.ts';
import { Link } from '../../state/route.tsx';
import { Icon, type IconName } from '../../ui/icon.tsx';
import type { Tone } from '../../ui/status.tsx';
import { clockTime, humane } from '../../ui/words.ts';
import type { Line } from './use-tail.ts';

const LOOKS: Readonly<Record<Activity['kind'], readonly [Tone, IconName]>> = {
  EVENT_QUEUED: ['busy', 'inbox'],
  EVENT_UNMATCHED: ['idle', 'question'],
  EVENT_CHANGED: ['idle', 'pencil'],
  ATTEMPT_STARTED: ['busy', 'send'],
  ATTEMPT_SUCCEEDED: ['good', 'check'],
  ATTEMPT_FAILED: ['warn', 'retry'],
  INVOCATION_FAILED: ['bad', 'cross'],
  TRIGGER_CHANGED: ['idle', 'bolt'],
  RESYNC: ['warn', 'alert'],
};

export function TailLines({ lines }: { readonly lines: readonly Line[] }) {
  return (
    <div class="panel flush">
      <ul class="tail" aria-label="Activity">
        {lines.map(({ key, activity }) => (
          <TailLine key={key} activity={activity} />
        ))}
      </ul>
    </div>
  );
}

function TailLine({ activity }: { readonly activity: Activity }) {
  const { kind, at, summary, event, trigger, invocation } = activity;
  const [tone, icon] = LOOKS[kind] ?? ['idle', 'dot'];
  const to = event !== null ? `/events/${event.id}` : trigger !== null ? `/triggers/${trigger.id}` : null;
  const content = (
    <>
      <time dateTime={at}>{clockTime(at)}</time>
      <span class={`tail-kind tone-${tone}`}>
        <Icon name={icon} size={13} />
        {humane(kind)}
      </span>
      <span class="grow ellipsis">{kind === 'RESYNC' ? 'Some lines were missed here.' : summary}</span>
      <span class="muted ellipsis tail-where">{invocation?.triggerName ?? trigger?.name ?? ''}</span>
    </>
  );
  return (
    <li>
      {to === null ? (
        <span class="tail-line">{content}</span>
      ) : (
        <Link class="tail-line" to={to}>
          {content}
        </Link>
      )}
    </li>
  );
}
