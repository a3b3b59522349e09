/** Which screen an address shows. */
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { Link, place } from '../state/route.tsx';
import { Empty } from '../ui/parts.tsx';
import { EventScreen } from './event/event-screen.tsx';
import { InvocationRedirect } from './event/invocation-redirect.tsx';
import { EventsScreen } from './events-screen.tsx';
import { InvocationsScreen } from './invocations-screen.tsx';
import { LiveScreen } from './live/live-screen.tsx';
import { OverviewScreen } from './overview/overview-screen.tsx';
import { SettingsScreen } from './settings/settings-screen.tsx';
import { TriggerScreen } from './triggers/trigger-screen.tsx';
import { TriggersScreen } from './triggers/triggers-screen.tsx';

interface Route {
  readonly title: string;
  readonly pattern: RegExp;
  readonly show: (id: string) => ComponentChildren;
}

const ID = '([\\da-f-]{36})';

const ROUTES: readonly Route[] = [
  { title: 'Overview', pattern: /^\/$/, show: () => <OverviewScreen /> },
  { title: 'Triggers', pattern: /^\/triggers$/, show: () => <TriggersScreen /> },
  {
    title: 'Trigger',
    pattern: RegExp(`^/triggers/${ID}$`),
    show: (id) => <TriggerScreen key={id} id={id} />,
  },
  { title: 'Events', pattern: /^\/events$/, show: () => <EventsScreen /> },
  { title: 'Event', pattern: RegExp(`^/events/${ID}$`), show: (id) => <EventScreen key={id} id={id} /> },
  { title: 'Invocations', pattern: /^\/invocations$/, show: () => <InvocationsScreen /> },
  {
    title: 'Invocation',
    pattern: RegExp(`^/invocations/${ID}$`),
    show: (id) => <InvocationRedirect key={id} id={id} />,
  },
  { title: 'Live tail', pattern: /^\/live$/, show: () => <LiveScreen /> },
  { title: 'Settings', pattern: /^\/settings$/, show: () => <SettingsScreen /> },
];

export function Screen() {
  const { path } = place.value;
  const route = ROUTES.find(({ pattern }) => pattern.test(path));
  const title = route?.title ?? 'Not found';
  useEffect(() => {
    document.title = `${title} · Herald`;
  }, [title]);
  if (route === undefined) {
    return (
      <div class="page">
        <Empty icon="question" title="There is no such page">
          <Link class="button" to="/">
            To the overview
          </Link>
        </Empty>
      </div>
    );
  }
  return <div class="page">{route.show(route.pattern.exec(path)?.[1] ?? '')}</div>;
}
