/** Goes to whatever has an id: an event, an invocation or a trigger. */
import { BY_ID } from '../api/by-id.ts';
import { ask, Failure } from '../state/ask.ts';
import { go } from '../state/route.tsx';
import { toast } from '../state/toast.ts';

export async function findById(id: string): Promise<void> {
  try {
    const { event, invocation, trigger } = await ask(BY_ID, { id });
    if (event !== null) go(`/events/${event.id}`);
    else if (invocation !== null) go(`/events/${invocation.event.id}#${id}`);
    else if (trigger !== null) go(`/triggers/${trigger.id}`);
    else toast('FAILED', 'Nothing has this id. Finished events are removed after the days of retention.');
  } catch (error) {
    if (error instanceof Failure) toast('FAILED', error.message);
  }
}
