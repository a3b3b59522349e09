/** Short messages that go away by themselves; read out by screen readers. */
import { signal } from '@preact/signals';

export interface Toast {
  readonly id: number;
  readonly kind: 'DONE' | 'FAILED';
  readonly text: string;
}

export const toasts = signal<readonly Toast[]>([]);
const SHOWN_MS = 6000;
let lastId = 0;

export function toast(kind: Toast['kind'], text: string): void {
  const id = ++lastId;
  toasts.value = [...toasts.value.slice(-3), { id, kind, text }];
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}
