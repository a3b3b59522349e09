/** An invocation's address leads to its event, where it is shown among the others. */
import { useEffect } from 'preact/hooks';
import { INVOCATION_EVENT } from '../../api/invocation.ts';
import { useQuery } from '../../state/hooks.ts';
import { go } from '../../state/route.tsx';
import { Empty, Loading, Problem } from '../../ui/parts.tsx';

export function InvocationRedirect({ id }: { readonly id: string }) {
  const { data, failure } = useQuery(INVOCATION_EVENT, { id });
  const eventId = data?.invocation?.event.id;
  useEffect(() => {
    if (eventId !== undefined) go(`/events/${eventId}#${id}`);
  }, [eventId, id]);
  if (data !== null && data.invocation === null) {
    return (
      <Empty icon="question" title="There is no such invocation">
        <p>Finished events are removed after the days of retention.</p>
      </Empty>
    );
  }
  return failure === null ? <Loading /> : <Problem failure={failure} />;
}
