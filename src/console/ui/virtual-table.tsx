/**
 * A table of any length: only the rows in view are in the page. The page's own scroll moves it; arrows move the focus
 * from row to row.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { go } from '../state/route.tsx';
import { rowHeight, wide } from './room.ts';

export interface Column<Row> {
  readonly name: string;
  /** A track of the grid, e.g. `minmax(8rem, 1fr)`. */
  readonly width: string;
  /** It can be missed: a small window leaves it out. */
  readonly wideOnly?: true;
  readonly align?: 'end';
  readonly cell: (row: Row) => ComponentChildren;
}

interface VirtualTableProps<Row extends { readonly id: string }> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  /** Where a row leads; its first column should hold the link itself. */
  readonly linkOf: (row: Row) => string;
  readonly onEnd?: () => void;
}

/** Rows above and below the view that are in the page too. */
const OVERSCAN = 8;
/** Rows from the end at which more are asked for. */
const NEAR_END = 30;

export function VirtualTable<Row extends { readonly id: string }>(props: VirtualTableProps<Row>) {
  const { label, rows, linkOf, onEnd } = props;
  const columns = props.columns.filter(({ wideOnly }) => wide.value || wideOnly === undefined);
  const body = useRef<HTMLDivElement>(null);
  const height = rowHeight.value;
  const [{ from, to }, setView] = useState({ from: 0, to: 40 });

  const measure = useRef(() => {});
  measure.current = () => {
    const scroller = body.current?.closest('main');
    if (body.current === null || scroller == null) return;
    const top = scroller.getBoundingClientRect().top - body.current.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - OVERSCAN);
    const last = Math.min(rows.length, Math.ceil((top + scroller.clientHeight) / height) + OVERSCAN);
    if (first !== from || last !== to) setView({ from: first, to: Math.max(first, last) });
    if (last > rows.length - NEAR_END) onEnd?.();
  };
  useLayoutEffect(() => measure.current());
  useEffect(() => {
    const scroller = body.current?.closest('main');
    const onScroll = (): void => measure.current();
    scroller?.addEventListener('scroll', onScroll, { passive: true });
    addEventListener('resize', onScroll);
    return () => {
      scroller?.removeEventListener('scroll', onScroll);
      removeEventListener('resize', onScroll);
    };
  }, []);

  const tracks = columns.map(({ width }) => width).join(' ');
  return (
    <div
      class="table"
      role="table"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      style={{ '--tracks': tracks }}
      onKeyDown={moveFocus}
    >
      <div role="rowgroup" class="table-head">
        <div role="row" class="table-row" aria-rowindex={1}>
          {columns.map(({ name, align }) => (
            <span key={name} role="columnheader" class={classOf(align)}>
              {name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" ref={body} style={{ height: `${rows.length * height}px` }} class="table-body">
        <div style={{ transform: `translateY(${from * height}px)` }} role="presentation">
          {rows.slice(from, to).map((row, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the row's link is what the keyboard uses
            <div
              key={row.id}
              role="row"
              class="table-row"
              aria-rowindex={from + index + 2}
              style={{ height: `${height}px` }}
              onClick={(event) => openRow(event, linkOf(row))}
            >
              {columns.map(({ name, align, cell }) => (
                <span key={name} role="cell" class={classOf(align)}>
                  {cell(row)}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

const classOf = (align: 'end' | undefined): string => (align === undefined ? '' : `align-${align}`);

/** The whole row is a target for the mouse, unless something in it was meant, or text was being selected. */
function openRow(event: MouseEvent, to: string): void {
  const inner = event.target instanceof Element && event.target.closest('a, button, [role=menu]');
  if (inner || getSelection()?.isCollapsed === false) return;
  if (event.metaKey || event.ctrlKey) window.open(to, '_blank');
  else go(to);
}

function moveFocus(event: KeyboardEvent): void {
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  if (step === 0 || !(event.target instanceof Element)) return;
  const row = event.target.closest('[role=row]');
  const next = step === 1 ? row?.nextElementSibling : row?.previousElementSibling;
  const link = next?.querySelector<HTMLElement>('a');
  if (link == null) return;
  event.preventDefault();
  link.focus();
  link.scrollIntoView({ block: 'nearest' });
}
