import type { StatsWindow } from '../../api/stats.ts';
import { Choice } from '../../ui/parts.tsx';

export const WINDOWS: readonly (readonly [StatsWindow, string])[] = [
  ['LAST_HOUR', '1 h'],
  ['LAST_24_HOURS', '24 h'],
  ['LAST_7_DAYS', '7 d'],
  ['LAST_30_DAYS', '30 d'],
];

interface WindowChoiceProps {
  readonly value: StatsWindow;
  readonly onChange: (value: StatsWindow) => void;
}

/** How far back to look. */
export function WindowChoice({ value, onChange }: WindowChoiceProps) {
  return <Choice label="Time span" value={value} options={WINDOWS} onChange={onChange} />;
}
