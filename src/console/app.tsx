/** Who is not known yet meets the login; who is, the screen of the address. */
import { effect } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { WHO_AND_WHERE } from './api/settings.ts';
import { Login } from './screens/login.tsx';
import { Screen } from './screens/screen.tsx';
import { Shell } from './screens/shell.tsx';
import { ask, Failure } from './state/ask.ts';
import { connect, disconnect, reconnects } from './state/connection.ts';
import { askOtherTabs, server, signIn, token, viewer } from './state/session.ts';
import { Toasts } from './ui/toasts.tsx';

const RETRY_MS = 1000;

/** Finds out who the token's holder is; without a token too, as AUTH=off needs none. */
async function identify(): Promise<'KNOWN' | 'STRANGER' | 'UNREACHABLE'> {
  if (token.value === null) {
    const other = await askOtherTabs();
    if (other !== null) signIn(other);
  }
  try {
    const answer = await ask(WHO_AND_WHERE, {});
    viewer.value = answer.viewer;
    server.value = answer.server;
    connect();
    return 'KNOWN';
  } catch (error) {
    const gone = error instanceof Failure && error.code !== 'UNAUTHENTICATED';
    return gone ? 'UNREACHABLE' : 'STRANGER';
  }
}

export function App() {
  const [looked, setLooked] = useState<'NOT_YET' | 'UNREACHABLE' | 'DONE'>('NOT_YET');
  const [again, setAgain] = useState(0);
  const holder = token.value;

  // Dependencies: a new token, or another try, asks again
  useEffect(() => {
    if (viewer.value !== null) return;
    void identify().then((outcome) => {
      setLooked(outcome === 'UNREACHABLE' ? 'UNREACHABLE' : 'DONE');
      if (outcome === 'UNREACHABLE') setTimeout(() => setAgain((count) => count + 1), RETRY_MS);
    });
  }, [holder, again]);

  if (viewer.value !== null) {
    return (
      <>
        <Shell>
          <Screen />
        </Shell>
        <Toasts />
      </>
    );
  }
  if (looked === 'DONE') return <Login />;
  return looked === 'NOT_YET' ? null : <p class="splash">Herald cannot be reached. Trying again…</p>;
}

effect(() => {
  if (viewer.value === null) disconnect();
});

// A restart may have been an upgrade.
effect(() => {
  if (reconnects.value === 0) return;
  ask(WHO_AND_WHERE, {}).then(
    (answer) => {
      server.value = answer.server;
    },
    () => {},
  );
});
