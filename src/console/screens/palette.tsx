/** Ctrl K: to a page, a trigger by name, or anything by its id. */
import { useEffect, useId, useMemo, useState } from 'preact/hooks';
import { TRIGGER_NAMES } from '../api/trigger.ts';
import { useQuery } from '../state/hooks.ts';
import { go } from '../state/route.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Icon, type IconName } from '../ui/icon.tsx';
import { findById } from './find-by-id.ts';
import { PLACES } from './places.ts';

interface Hit {
  readonly label: string;
  readonly note: string;
  readonly icon: IconName;
  readonly open: () => void;
}

export function Palette() {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (document.querySelector('dialog[open]') === null) setOpen(true);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <>
      <button type="button" class="find" onClick={() => setOpen(true)}>
        <Icon name="search" size={15} />
        <span>Find…</span>
        <kbd>{/Mac/.test(navigator.userAgent) ? '⌘' : 'Ctrl'} K</kbd>
      </button>
      {open && <Finder onClose={() => setOpen(false)} />}
    </>
  );
}

function Finder({ onClose }: { readonly onClose: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const { data } = useQuery(TRIGGER_NAMES, {});
  const hits = useMemo(() => findHits(text, data?.triggers.nodes ?? []), [text, data]);
  const choose = (hit: Hit | undefined): void => {
    if (hit === undefined) return;
    onClose();
    hit.open();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && hits.length > 0) {
      event.preventDefault();
      setAt((at + step + hits.length) % hits.length);
    } else if (event.key === 'Enter') choose(hits[at]);
  };
  return (
    <Dialog title="Find" onClose={onClose}>
      <input
        class="find-input"
        role="combobox"
        aria-label="Page, trigger or id"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={hits.length > 0 ? `${list}-${at}` : undefined}
        placeholder="Page, trigger, or the id of anything"
        autocomplete="off"
        spellcheck={false}
        autofocus
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div class="hits" role="listbox" id={list} aria-label="Found">
        {hits.map((hit, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the input above has the keyboard
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the input (combobox pattern)
          <div
            key={hit.label}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === at}
            onClick={() => choose(hit)}
          >
            <Icon name={hit.icon} />
            <span>{hit.label}</span>
            <span class="muted">{hit.note}</span>
          </div>
        ))}
      </div>
    </Dialog>
  );
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;
const MAX_HITS = 10;

function findHits(
  text: string,
  triggers: readonly { readonly id: string; readonly name: string; readonly type: string }[],
): readonly Hit[] {
  const wanted = text.trim().toLowerCase();
  if (UUID.test(wanted)) {
    return [{ label: wanted, note: 'find by id', icon: 'search', open: () => void findById(wanted) }];
  }
  const has = (word: string): boolean => word.toLowerCase().includes(wanted);
  const pages = PLACES.filter(([, label]) => has(label)).map(
    ([to, label, icon]): Hit => ({ label, note: 'page', icon, open: () => go(to) }),
  );
  const named = triggers
    .filter(({ name, type }) => wanted !== '' && (has(name) || has(type)))
    .map(
      ({ id, name, type }): Hit => ({
        label: name,
        note: type,
        icon: 'bolt',
        open: () => go(`/triggers/${id}`),
      }),
    );
  return [...pages, ...named].slice(0, MAX_HITS);
}
