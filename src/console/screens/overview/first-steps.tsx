/** For who has no trigger yet: what to do first. */
import { TRIGGER_NAMES } from '../../api/trigger.ts';
import { useQuery } from '../../state/hooks.ts';
import { Link } from '../../state/route.tsx';
import { Icon } from '../../ui/icon.tsx';

export function FirstSteps() {
  const { data } = useQuery(TRIGGER_NAMES, {});
  if (data === null || data.triggers.nodes.length > 0) return null;
  return (
    <section class="panel welcome">
      <h2>Welcome to Herald</h2>
      <ol>
        <li>
          <strong>Add a trigger</strong>: an event type and the URL that is to get it.
        </li>
        <li>
          <strong>Trigger it</strong> from its row, or queue an event over the API.
        </li>
        <li>
          <strong>Watch it arrive</strong>, attempt by attempt.
        </li>
      </ol>
      <Link class="button primary" to="/triggers?add=">
        <Icon name="plus" size={15} /> Add your first trigger
      </Link>
    </section>
  );
}
