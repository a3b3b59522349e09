/** The live tail: everything as it happens, stopped and resumed without a gap. */
import { useMemo } from 'preact/hooks';
import { ACTIVITY_KINDS, type ActivityFilter } from '../../api/activity.ts';
import { place, setSearch } from '../../state/route.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Empty, PageHead } from '../../ui/parts.tsx';
import { humane, plural } from '../../ui/words.ts';
import { ClearFilters, SelectFilter, TriggerFilter, TypeFilter } from '../filters.tsx';
import { TailLines } from './tail-lines.tsx';
import { useTail } from './use-tail.ts';

export function LiveScreen() {
  const { search } = place.value;
  const paused = search.get('paused') === '1';
  const filter = useMemo<ActivityFilter>(
    () => ({
      ...(search.get('kind') && { kind: [search.get('kind') ?? ''] }),
      ...(search.get('type') && { eventType: [search.get('type') ?? ''] }),
      ...(search.get('trigger') && { triggerId: [search.get('trigger') ?? ''] }),
    }),
    [search],
  );
  const tail = useTail(filter, paused);
  return (
    <>
      <PageHead
        title="Live tail"
        lead={
          paused ? 'Paused. Nothing is missed: it goes on where it stopped.' : 'Everything, as it happens'
        }
      >
        {tail.lines.length > 0 && (
          <button type="button" class="button" onClick={tail.clear}>
            Clear
          </button>
        )}
        <button
          type="button"
          class={paused ? 'button primary' : 'button'}
          aria-pressed={paused}
          onClick={() => setSearch({ paused: paused ? '' : '1' })}
        >
          <Icon name={paused ? 'play' : 'pause'} size={14} /> {paused ? 'Resume' : 'Pause'}
        </button>
      </PageHead>
      <search class="filters" aria-label="Filter the live tail">
        <SelectFilter
          name="kind"
          label="Kind"
          all="Everything"
          options={ACTIVITY_KINDS.map((kind) => [kind, humane(kind)] as const)}
        />
        <TypeFilter />
        <TriggerFilter />
        <ClearFilters names={['kind', 'type', 'trigger']} />
        <span class="muted push">{plural(tail.lines.length, 'line')}</span>
      </search>
      {tail.lines.length === 0 ? (
        <Empty icon="live" title={paused ? 'Paused' : 'Listening…'}>
          <p>Events, attempts and changes of triggers appear here the moment they happen.</p>
        </Empty>
      ) : (
        <TailLines lines={tail.lines} />
      )}
    </>
  );
}
