import { dismiss, toasts } from '../state/toast.ts';
import { Icon } from './icon.tsx';

/** The messages of the moment, in a region that screen readers announce. */
export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, kind, text }) => (
        <div key={id} class={kind === 'DONE' ? 'toast' : 'toast bad'}>
          <Icon name={kind === 'DONE' ? 'check' : 'alert'} />
          <span>{text}</span>
          <button type="button" class="icon-button small" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon name="cross" size={13} />
          </button>
        </div>
      ))}
    </div>
  );
}
