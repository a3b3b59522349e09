/** Who may call, what this server is and allows, and who did what. */
import { place, setSearch } from '../../state/route.tsx';
import { may } from '../../state/session.ts';
import { Choice, PageHead } from '../../ui/parts.tsx';
import { ApiKeys } from './api-keys.tsx';
import { AuditLog } from './audit-log.tsx';
import { ServerFacts } from './server-facts.tsx';

type Tab = 'server' | 'keys' | 'audit';

const TABS: readonly (readonly [Tab, string])[] = [
  ['server', 'Server'],
  ['keys', 'API keys'],
  ['audit', 'Audit log'],
];

export function SettingsScreen() {
  const asked = place.value.search.get('tab');
  const tab = TABS.find(([value]) => value === asked)?.[0] ?? 'server';
  return (
    <>
      <PageHead title="Settings">
        <Choice
          label="Section"
          value={tab}
          options={TABS}
          onChange={(value) => setSearch({ tab: value === 'server' ? '' : value })}
        />
      </PageHead>
      {tab === 'server' && <ServerFacts />}
      {tab !== 'server' && !may('ADMIN') && <p class="callout warn">This needs a token with scope ADMIN.</p>}
      {tab === 'keys' && may('ADMIN') && <ApiKeys />}
      {tab === 'audit' && may('ADMIN') && <AuditLog />}
    </>
  );
}
