/** Where one can go. */
import type { IconName } from '../ui/icon.tsx';

export const PLACES: readonly (readonly [to: string, label: string, icon: IconName])[] = [
  ['/', 'Overview', 'overview'],
  ['/triggers', 'Triggers', 'bolt'],
  ['/events', 'Events', 'events'],
  ['/invocations', 'Invocations', 'send'],
  ['/live', 'Live tail', 'live'],
  ['/settings', 'Settings', 'settings'],
];
