/** Filters of the lists; their state is the address. */
import { useId } from 'preact/hooks';
import { EVENT_TYPES } from '../api/stats.ts';
import { TRIGGER_NAMES } from '../api/trigger.ts';
import { useQuery } from '../state/hooks.ts';
import { place, setSearch } from '../state/route.tsx';
import { Icon } from '../ui/icon.tsx';
import { humane } from '../ui/words.ts';

export const filterOf = (name: string): string => place.value.search.get(name) ?? '';

interface SelectFilterProps {
  readonly name: string;
  readonly label: string;
  /** What is shown when nothing is chosen. */
  readonly all: string;
  readonly options: readonly (readonly [value: string, label: string])[];
}

export function SelectFilter({ name, label, all, options }: SelectFilterProps) {
  const value = filterOf(name);
  const known = value === '' || options.some(([option]) => option === value);
  return (
    <label class={value === '' ? 'filter' : 'filter set'}>
      <span class="hidden">{label}</span>
      <select value={value} onChange={(event) => setSearch({ [name]: event.currentTarget.value })}>
        <option value="">{all}</option>
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
        {!known && <option value={value}>{value}</option>}
      </select>
      <Icon name="down" size={13} />
    </label>
  );
}

export function StatusFilter({ statuses }: { readonly statuses: readonly string[] }) {
  const options = statuses.map((status) => [status, humane(status)] as const);
  return <SelectFilter name="status" label="Status" all="Any status" options={options} />;
}

export function TypeFilter() {
  const list = useId();
  const { data } = useQuery(EVENT_TYPES, {});
  const value = filterOf('type');
  return (
    <label class={value === '' ? 'filter' : 'filter set'}>
      <span class="hidden">Event type</span>
      <input
        key={value === '' ? 'empty' : 'filled'}
        list={list}
        value={value}
        placeholder="Any type"
        spellcheck={false}
        autocomplete="off"
        onChange={(event) => setSearch({ type: event.currentTarget.value.trim() })}
      />
      <datalist id={list}>
        {data?.eventTypes.map(({ type }) => (
          <option key={type} value={type} />
        ))}
      </datalist>
    </label>
  );
}

export function TriggerFilter() {
  const { data } = useQuery(TRIGGER_NAMES, {});
  const options = (data?.triggers.nodes ?? []).map(({ id, name }) => [id, name] as const);
  return <SelectFilter name="trigger" label="Trigger" all="Any trigger" options={options} />;
}

const SINCE: readonly (readonly [value: string, label: string, seconds: number])[] = [
  ['15m', 'Last 15 minutes', 900],
  ['1h', 'Last hour', 3600],
  ['24h', 'Last 24 hours', 86_400],
  ['7d', 'Last 7 days', 604_800],
];

/** Either a span that ends now, or two points in time. */
export function TimeFilter() {
  const since = filterOf('since');
  const between = since === 'between';
  return (
    <>
      <SelectFilter
        name="since"
        label="Time"
        all="Any time"
        options={[...SINCE.map(([value, label]) => [value, label] as const), ['between', 'Between…']]}
      />
      {between && (
        <span class="between">
          <MomentFilter name="from" label="From" />
          <MomentFilter name="to" label="Until" />
        </span>
      )}
    </>
  );
}

function MomentFilter({ name, label }: { readonly name: string; readonly label: string }) {
  return (
    <label class="filter">
      <span class="hidden">{label}</span>
      <input
        type="datetime-local"
        value={filterOf(name)}
        onChange={(event) => setSearch({ [name]: event.currentTarget.value })}
      />
    </label>
  );
}

/** The interval the filter means. A span's start is kept to the minute, so that the list is not asked for anew each second. */
export function timeRange(nowMs: number): { from?: string; to?: string } | undefined {
  const since = filterOf('since');
  const seconds = SINCE.find(([value]) => value === since)?.[2];
  if (seconds !== undefined) {
    return { from: new Date(Math.floor(nowMs / 60_000) * 60_000 - seconds * 1000).toISOString() };
  }
  if (since !== 'between') return undefined;
  const range = { from: instant(filterOf('from')), to: instant(filterOf('to')) };
  return { ...(range.from && { from: range.from }), ...(range.to && { to: range.to }) };
}

function instant(local: string): string | null {
  const date = new Date(local);
  return local === '' || Number.isNaN(date.getTime()) ? null : date.toISOString();
}

export function ClearFilters({ names }: { readonly names: readonly string[] }) {
  if (names.every((name) => filterOf(name) === '')) return null;
  return (
    <button
      type="button"
      class="link-button"
      onClick={() => setSearch(Object.fromEntries(names.map((name) => [name, ''])))}
    >
      Clear filters
    </button>
  );
}
