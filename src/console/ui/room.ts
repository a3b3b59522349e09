/** How much room the window gives a table; the styles agree with it. */
import { computed, signal } from '@preact/signals';

/** On a phone a row has two lines; a small window leaves out what can be missed. */
export type Room = 'PHONE' | 'SMALL' | 'WIDE';

const phone = matchMedia('(max-width: 900px)');
const small = matchMedia('(max-width: 1100px)');
const roomNow = (): Room => (phone.matches ? 'PHONE' : small.matches ? 'SMALL' : 'WIDE');

export const room = signal(roomNow());
for (const query of [phone, small]) {
  query.addEventListener('change', () => {
    room.value = roomNow();
  });
}

/** The height of a table's row in px. */
export const rowHeight = computed(() => (room.value === 'PHONE' ? 62 : 44));
