/** Copies a text, and says that it did. */
import { useState } from 'preact/hooks';
import { Icon } from './icon.tsx';

const SAID_MS = 1500;

interface CopyProps {
  readonly text: string;
  /** What is copied, for the button's name: `Copy id`. */
  readonly what: string;
  /** Shown beside the icon; none for the icon alone. */
  readonly label?: string;
}

export function Copy({ text, what, label }: CopyProps) {
  const [copied, setCopied] = useState(false);
  const copy = async (event: MouseEvent): Promise<void> => {
    event.stopPropagation();
    event.preventDefault();
    await write(text);
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  };
  return (
    <button
      type="button"
      class={label === undefined ? 'icon-button small' : 'button small'}
      aria-label={label === undefined ? `Copy ${what}` : undefined}
      title={`Copy ${what}`}
      onClick={copy}
    >
      <Icon name={copied ? 'check' : 'copy'} size={13} />
      {label !== undefined && (copied ? 'Copied' : label)}
      <span class="hidden" role="status">
        {copied ? `${what} copied` : ''}
      </span>
    </button>
  );
}

/** Over plain http on another host there is no clipboard API. */
async function write(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    (document.querySelector('dialog[open]') ?? document.body).append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
}

export function Id({ id, what = 'id' }: { readonly id: string; readonly what?: string }) {
  return (
    <span class="id">
      <code>{id}</code>
      <Copy text={id} what={what} />
    </span>
  );
}
