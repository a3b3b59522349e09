/** All triggers: how they fare, and everything one can do with them. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { TRIGGERS, type TriggerRow } from '../../api/trigger.ts';
import { ask, Failure } from '../../state/ask.ts';
import { useQuery } from '../../state/hooks.ts';
import { place, setSearch } from '../../state/route.tsx';
import { may } from '../../state/session.ts';
import { toast } from '../../state/toast.ts';
import { Icon } from '../../ui/icon.tsx';
import { Empty, Loading, PageHead, Problem } from '../../ui/parts.tsx';
import { capped } from '../../ui/words.ts';
import { ClearFilters, filterOf, StatusFilter, TypeFilter } from '../filters.tsx';
import { TriggerDialogs, type TriggerTask } from './trigger-dialogs.tsx';
import { TriggerTable } from './trigger-table.tsx';

const REFRESH_MS = 5000;
const SEARCH_MS = 200;

export function TriggersScreen() {
  const [task, setTask] = useState<TriggerTask | null>(null);
  const filter = {
    search: filterOf('q') || null,
    type: filterOf('type') || null,
    status: filterOf('status') === '' ? null : [filterOf('status')],
  };
  const { data, failure, reload } = useQuery(TRIGGERS, { filter, after: null }, REFRESH_MS);
  const more = useMore(JSON.stringify(filter));
  const adding = place.value.search.get('add');
  useEffect(() => {
    if (adding === null) return;
    setSearch({ add: '' });
    setTask({ kind: 'ADD', type: adding });
  }, [adding]);

  const rows = useMemo(() => [...(data?.triggers.nodes ?? []), ...more.rows], [data, more.rows]);
  const connection = data?.triggers;
  const next = more.pageInfo ?? connection?.pageInfo;
  const filtered = filterOf('q') + filterOf('type') + filterOf('status') !== '';
  return (
    <>
      <PageHead
        title="Triggers"
        lead={connection === undefined ? 'Event type → webhook' : `${capped(connection.totalCount)} triggers`}
      >
        {may('TRIGGERS_WRITE') && (
          <button type="button" class="button primary" onClick={() => setTask({ kind: 'ADD', type: '' })}>
            <Icon name="plus" size={15} /> Add trigger
          </button>
        )}
      </PageHead>
      <search class="filters" aria-label="Filter triggers">
        <Search />
        <StatusFilter statuses={['ACTIVE', 'PAUSED', 'DISABLED']} />
        <TypeFilter />
        <ClearFilters names={['q', 'status', 'type']} />
      </search>
      <Problem failure={failure} />
      {connection === undefined && failure === null && <Loading />}
      {connection !== undefined && rows.length === 0 && (
        <Empty icon="bolt" title={filtered ? 'No trigger matches' : 'No triggers yet'}>
          <p>A trigger sends every event of its type to a URL, signed, with retries.</p>
          {!filtered && may('TRIGGERS_WRITE') && (
            <button type="button" class="button primary" onClick={() => setTask({ kind: 'ADD', type: '' })}>
              <Icon name="plus" size={15} /> Add trigger
            </button>
          )}
        </Empty>
      )}
      {rows.length > 0 && <TriggerTable rows={rows} onTask={setTask} />}
      {next?.hasNextPage === true && (
        <button type="button" class="button more" onClick={() => void more.load(filter, next.endCursor)}>
          Show more
        </button>
      )}
      {task !== null && <TriggerDialogs task={task} onClose={() => setTask(null)} onChanged={reload} />}
    </>
  );
}

function Search() {
  const value = filterOf('q');
  const [timer, setTimer] = useState<ReturnType<typeof setTimeout>>();
  return (
    <label class="filter search">
      <span class="hidden">Search triggers</span>
      <Icon name="search" size={14} />
      <input
        type="search"
        value={value}
        placeholder="Name, URL or description"
        spellcheck={false}
        autocomplete="off"
        onInput={({ currentTarget }) => {
          clearTimeout(timer);
          const text = currentTarget.value;
          setTimer(setTimeout(() => setSearch({ q: text.trim() }), SEARCH_MS));
        }}
      />
    </label>
  );
}

interface More {
  readonly rows: readonly TriggerRow[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null } | null;
  readonly load: (filter: object, after: string | null) => Promise<void>;
}

/** The pages after the first one; forgotten when the filter changes. */
function useMore(key: string): More {
  const [state, setState] = useState<Omit<More, 'load'>>({ rows: [], pageInfo: null });
  // Dependencies: another filter is another list
  useEffect(() => setState({ rows: [], pageInfo: null }), [key]);
  return {
    ...state,
    async load(filter, after) {
      try {
        const { triggers } = await ask(TRIGGERS, { filter, after });
        setState({ rows: [...state.rows, ...triggers.nodes], pageInfo: triggers.pageInfo });
      } catch (error) {
        if (error instanceof Failure) toast('FAILED', error.message);
      }
    },
  };
}
