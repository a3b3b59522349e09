/** A state as colour, icon and word, so that none of the three has to be seen. */
import { Icon, type IconName } from './icon.tsx';
import { humane } from './words.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'idle';

const LOOKS: Readonly<Record<string, readonly [tone: Tone, icon: IconName]>> = {
  SUCCEEDED: ['good', 'check'],
  ACTIVE: ['good', 'check'],
  FAILED: ['bad', 'cross'],
  FAILING: ['bad', 'cross'],
  RETRYING: ['warn', 'retry'],
  ABANDONED: ['warn', 'alert'],
  RUNNING: ['busy', 'send'],
  IN_PROGRESS: ['busy', 'send'],
  QUEUED: ['busy', 'inbox'],
  SCHEDULED: ['idle', 'clock'],
  HELD: ['warn', 'pause'],
  PAUSED: ['warn', 'pause'],
  DISABLED: ['idle', 'ban'],
  CANCELLED: ['idle', 'ban'],
  UNMATCHED: ['idle', 'question'],
};

export const toneOf = (status: string): Tone => LOOKS[status]?.[0] ?? 'idle';
export const iconOf = (status: string): IconName => LOOKS[status]?.[1] ?? 'dot';

export function Status({ of: status, title }: { readonly of: string; readonly title?: string }) {
  return (
    <span class={`status tone-${toneOf(status)}`} title={title}>
      <Icon name={iconOf(status)} size={12} />
      {humane(status)}
    </span>
  );
}
