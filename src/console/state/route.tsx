/** Where we are: the address is the state, filters included, so that every view can be shared and reloaded. */
import { signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';

interface Place {
  readonly path: string;
  readonly search: URLSearchParams;
}

const read = (): Place => ({ path: location.pathname, search: new URLSearchParams(location.search) });

export const place = signal<Place>(read());

addEventListener('popstate', () => {
  place.value = read();
});

export function go(to: string): void {
  if (to === location.pathname + location.search) return;
  history.pushState(null, '', to);
  const before = place.value.path;
  place.value = read();
  if (place.value.path !== before) document.querySelector('main')?.scrollTo(0, 0);
}

/** Changes parameters of the address in place; an empty value removes one. */
export function setSearch(changes: Readonly<Record<string, string>>): void {
  const search = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') search.delete(name);
    else search.set(name, value);
  }
  const text = search.toString();
  history.replaceState(null, '', location.pathname + (text === '' ? '' : `?${text}`));
  place.value = read();
}

/** A plain left click stays in the page; everything else is the browser's. */
export function follow(event: MouseEvent, to: string): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(to);
}

interface LinkProps extends Omit<JSX.IntrinsicElements['a'], 'href' | 'onClick'> {
  readonly to: string;
  readonly children: ComponentChildren;
}

export function Link({ to, children, ...rest }: LinkProps) {
  return (
    <a {...rest} href={to} onClick={(event) => follow(event, to)}>
      {children}
    </a>
  );
}
