/** A feed as a table, with what waits at its top and what is said when it is empty. */
import type { ComponentChildren } from 'preact';
import type { Feed } from '../state/feed.ts';
import { Icon } from './icon.tsx';
import { Loading, Problem } from './parts.tsx';
import { type Column, VirtualTable } from './virtual-table.tsx';
import { capped, count } from './words.ts';

interface FeedTableProps<Row extends { readonly id: string }> {
  readonly label: string;
  /** One of the rows, in words: `event`. */
  readonly noun: string;
  readonly feed: Feed<Row>;
  readonly columns: readonly Column<Row>[];
  readonly linkOf: (row: Row) => string;
  readonly empty: ComponentChildren;
}

export function FeedTable<Row extends { readonly id: string }>(props: FeedTableProps<Row>) {
  const { label, noun, feed, columns, linkOf, empty } = props;
  const { rows, waiting, failure } = feed;
  const toTop = (): void => {
    feed.showWaiting();
    document.querySelector('main')?.scrollTo({ top: 0 });
  };
  return (
    <>
      <Problem failure={failure} />
      <div class="waiting" role="status">
        {waiting.value > 0 && (
          <button type="button" class="button primary small" onClick={toTop}>
            <Icon name="up" size={13} />
            {waiting.value === 1 ? `1 new ${noun}` : `${capped(waiting)} new ${noun}s`}
          </button>
        )}
      </div>
      {rows === null && failure === null && <Loading rows={10} />}
      {rows !== null && rows.length === 0 && empty}
      {rows !== null && rows.length > 0 && (
        <div class="panel flush">
          <VirtualTable label={label} rows={rows} columns={columns} linkOf={linkOf} onEnd={feed.loadMore} />
          <p class="table-foot">{endOf(feed)}</p>
        </div>
      )}
    </>
  );
}

function endOf({ hasMore, full, rows }: Pick<Feed<unknown>, 'hasMore' | 'full' | 'rows'>): string {
  if (full) return `These are the newest ${count(rows?.length ?? 0)}. Filter by time to see older ones.`;
  return hasMore ? 'Loading more…' : 'That is all.';
}

/** Whether the page is scrolled to its top, or nearly so. */
export function atTop(): boolean {
  return (document.querySelector('main')?.scrollTop ?? 0) < 40;
}
