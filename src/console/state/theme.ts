/** Light, dark, or as the system has it. */
import { effect, signal } from '@preact/signals';

export type Theme = 'SYSTEM' | 'LIGHT' | 'DARK';
const KEY = 'herald-theme';

function kept(): Theme {
  const value = localStorage.getItem(KEY);
  return value === 'LIGHT' || value === 'DARK' ? value : 'SYSTEM';
}

export const theme = signal<Theme>(kept());

effect(() => {
  localStorage.setItem(KEY, theme.value);
  const { dataset } = document.documentElement;
  if (theme.value === 'SYSTEM') delete dataset.theme;
  else dataset.theme = theme.value.toLowerCase();
});
