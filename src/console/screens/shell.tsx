/** What is around every screen: where one can go, and whether the connection stands. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { connection } from '../state/connection.ts';
import { Link, place } from '../state/route.tsx';
import { server, signOut, token, viewer } from '../state/session.ts';
import { type Theme, theme } from '../state/theme.ts';
import { Icon, type IconName, Logo } from '../ui/icon.tsx';
import { Palette } from './palette.tsx';
import { PLACES } from './places.ts';

export function Shell({ children }: { readonly children: ComponentChildren }) {
  const { path } = place.value;
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // Dependencies: a new screen is announced by its heading getting the focus
  useEffect(() => {
    if (first.current) first.current = false;
    else main.current?.querySelector('h1')?.focus();
  }, [path]);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to content
      </button>
      <header class="side">
        <Link to="/" class="brand">
          <Logo />
          <span>Herald</span>
        </Link>
        <Palette />
        <nav aria-label="Main">
          {PLACES.map(([to, label, icon]) => {
            const here = to === '/' ? path === '/' : path.startsWith(to);
            return (
              <Link key={to} to={to} aria-current={here ? 'page' : undefined}>
                <Icon name={icon} size={17} />
                <span>{label}</span>
              </Link>
            );
          })}
        </nav>
        <div class="side-foot">
          {/* biome-ignore lint/security/noBlankTarget: our own page, which finds the token in the session it shares */}
          <a class="side-link" href="/graphql" target="_blank" rel="opener">
            <Icon name="code" size={17} />
            <span>GraphiQL</span>
            <Icon name="external" size={12} />
          </a>
          {token.value !== null && (
            <button type="button" class="side-link" onClick={() => signOut()}>
              <Icon name="leave" size={17} />
              <span>Sign out</span>
            </button>
          )}
          <ThemeSwitch />
          <Connection />
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Lost />
        {children}
      </main>
    </div>
  );
}

const CONNECTION = {
  OPEN: ['good', 'Live'],
  CONNECTING: ['idle', 'Connecting'],
  LOST: ['bad', 'Reconnecting'],
} as const;

function Connection() {
  const [tone, text] = CONNECTION[connection.value];
  return (
    <p class="connection" role="status" title={`Signed in as ${viewer.value?.name ?? ''}`}>
      <span class={`pulse tone-${tone}`} />
      <span>{text}</span>
      <span class="version">{server.value?.version}</span>
    </p>
  );
}

function Lost() {
  if (connection.value !== 'LOST') return null;
  return (
    <div class="callout warn lost" role="status">
      <Icon name="alert" />
      <p>The connection to Herald is lost. Trying again; what you see may be out of date.</p>
    </div>
  );
}

const THEMES: readonly (readonly [Theme, string, IconName])[] = [
  ['SYSTEM', 'As the system', 'system'],
  ['LIGHT', 'Light', 'sun'],
  ['DARK', 'Dark', 'moon'],
];

function ThemeSwitch() {
  return (
    <fieldset class="choice themes">
      <legend class="hidden">Colours</legend>
      {THEMES.map(([value, label, icon]) => (
        <button
          key={value}
          type="button"
          aria-label={label}
          title={label}
          aria-pressed={theme.value === value}
          onClick={() => {
            theme.value = value;
          }}
        >
          <Icon name={icon} size={14} />
        </button>
      ))}
    </fieldset>
  );
}
