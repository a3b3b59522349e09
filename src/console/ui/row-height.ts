/** The height of a table's row in px: two lines on phones. The styles agree with it. */
import { signal } from '@preact/signals';

const narrow = matchMedia('(max-width: 760px)');
const heightOf = (): number => (narrow.matches ? 62 : 44);

export const rowHeight = signal(heightOf());
narrow.addEventListener('change', () => {
  rowHeight.value = heightOf();
});
