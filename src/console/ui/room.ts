/** How much room the window gives a table; the styles agree with it. */
import { computed, type ReadonlySignal, signal } from '@preact/signals';

/** Whether columns that can be missed are shown. */
export const wide = follow('not all and (max-width: 1100px)');

const phone = follow('(max-width: 900px)');
/** The height of a table's row in px: two lines on phones. */
export const rowHeight = computed(() => (phone.value ? 62 : 44));

function follow(query: string): ReadonlySignal<boolean> {
  const media = matchMedia(query);
  const matches = signal(media.matches);
  media.addEventListener('change', () => {
    matches.value = media.matches;
  });
  return matches;
}
