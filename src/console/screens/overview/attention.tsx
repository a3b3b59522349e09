/** What needs somebody: triggers that fail or are paused, and deliveries that were given up. */
import { DEAD_LETTERS, type DeadLetter } from '../../api/invocation.ts';
import { TRIGGERS, type TriggerRow } from '../../api/trigger.ts';
import { useQuery } from '../../state/hooks.ts';
import { Link } from '../../state/route.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Status } from '../../ui/status.tsx';
import { Ago } from '../../ui/time.tsx';
import { capped, count, humane, percent } from '../../ui/words.ts';
import { explain, explainPause, inShort } from '../explain.ts';

const REFRESH_MS = 5000;
const FAILING_BELOW = 0.95;

export function Attention() {
  const triggers = useQuery(TRIGGERS, { filter: {}, after: null }, REFRESH_MS).data?.triggers.nodes;
  const dead = useQuery(DEAD_LETTERS, {}, REFRESH_MS).data?.invocations;
  const troubled = (triggers ?? []).filter(isTroubled);
  const groups = groupsOf(dead?.nodes ?? []);
  // Of the newest hundred: there may be more of each.
  const isAll = (dead?.nodes.length ?? 0) >= (dead?.totalCount.value ?? 0);
  const fine = triggers !== undefined && dead !== undefined && troubled.length === 0 && groups.length === 0;
  return (
    <section class="panel flush" aria-label="Needs attention">
      <div class="panel-head">
        <h2>Needs attention</h2>
        {dead !== undefined && dead.totalCount.value > 0 && (
          <Link class="more-link" to="/invocations?status=FAILED">
            {capped(dead.totalCount)} failed
          </Link>
        )}
      </div>
      {fine && (
        <p class="all-well">
          <Icon name="check" size={18} /> All is well: no trigger fails, nothing was given up.
        </p>
      )}
      <ul class="rows">
        {troubled.map((trigger) => (
          <TroubledTrigger key={trigger.id} trigger={trigger} />
        ))}
        {groups.map((group) => (
          <DeadGroup key={group.key} group={group} isAll={isAll} />
        ))}
      </ul>
    </section>
  );
}

function isTroubled({ status, stats }: TriggerRow): boolean {
  return status === 'PAUSED' || (stats.successRate !== null && stats.successRate < FAILING_BELOW);
}

function TroubledTrigger({ trigger }: { readonly trigger: TriggerRow }) {
  const { id, name, status, statusReason, stats, failures } = trigger;
  const last = failures.nodes[0]?.lastAttempt;
  const why = last == null ? '' : inShort({ ...last, durationMs: null });
  return (
    <li>
      <Link to={`/triggers/${id}`}>
        <span class="row-lead short">
          <Status of={status === 'PAUSED' ? 'PAUSED' : 'FAILING'} />
        </span>
        <span class="grow two-lines">
          <strong class="ellipsis">{name}</strong>
          <span class="muted small ellipsis">
            {status === 'PAUSED'
              ? `Paused: ${explainPause(statusReason ?? 'MANUAL')}`
              : `${percent(stats.successRate)} delivered${why === '' ? '' : `; last failure: ${why}`}`}
          </span>
        </span>
        <Icon name="right" size={14} />
      </Link>
    </li>
  );
}

interface Group {
  readonly key: string;
  readonly first: DeadLetter;
  readonly number: number;
}

/** By trigger and by what went wrong, the newest of each first. */
function groupsOf(letters: readonly DeadLetter[]): readonly Group[] {
  const keyOf = ({ triggerName, trigger, failureReason, lastAttempt }: DeadLetter): string =>
    [
      trigger?.id ?? triggerName,
      lastAttempt?.errorCode ?? failureReason,
      lastAttempt?.response?.statusCode,
    ].join(' ');
  return [...Map.groupBy(letters, keyOf)].flatMap(([key, [first, ...others]]) =>
    first === undefined ? [] : [{ key, first, number: others.length + 1 }],
  );
}

interface DeadGroupProps {
  readonly group: Group;
  readonly isAll: boolean;
}

function DeadGroup({ group: { first, number }, isAll }: DeadGroupProps) {
  const { triggerName, trigger, lastAttempt, failureReason, updatedAt, event, id } = first;
  const said = lastAttempt === null ? null : explain(lastAttempt);
  const search = new URLSearchParams({
    status: 'FAILED',
    ...(trigger !== null && { trigger: trigger.id }),
    ...(lastAttempt?.errorCode != null && { error: lastAttempt.errorCode }),
  });
  const to = number === 1 ? `/events/${event.id}#${id}` : `/invocations?${search}`;
  return (
    <li>
      <Link to={to}>
        <span class="row-lead short">
          <b class="group-count text-bad">
            {count(number)}
            {!isAll && '+'}
          </b>
        </span>
        <span class="grow two-lines">
          <span class="ellipsis">
            <strong>{triggerName}</strong> {number === 1 ? 'delivery' : 'deliveries'} given up
          </span>
          <span class="muted small ellipsis">{said?.what ?? humane(failureReason ?? 'FAILED')}</span>
        </span>
        <span class="muted small nowrap">
          <Ago at={updatedAt} />
        </span>
        <Icon name="right" size={14} />
      </Link>
    </li>
  );
}
