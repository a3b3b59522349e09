/** Is everything fine, and if not, where to look. */
import { DELIVERY_STATS, type StatsWindow } from '../../api/stats.ts';
import { DeliveryChart, EventsChart, LatencyChart, RetriesChart } from '../../charts/delivery-chart.tsx';
import { useQuery } from '../../state/hooks.ts';
import { place, setSearch } from '../../state/route.tsx';
import { Loading, PageHead, Problem } from '../../ui/parts.tsx';
import { Attention } from './attention.tsx';
import { Figures } from './figures.tsx';
import { FirstSteps } from './first-steps.tsx';
import { Operations } from './operations.tsx';
import { QueuePanel } from './queue-panel.tsx';
import { WINDOWS, WindowChoice } from './window-choice.tsx';

const REFRESH_MS = 3000;

export function OverviewScreen() {
  const asked = place.value.search.get('window');
  const window: StatsWindow = WINDOWS.find(([value]) => value === asked)?.[0] ?? 'LAST_24_HOURS';
  const { data, failure } = useQuery(DELIVERY_STATS, { window }, REFRESH_MS);
  return (
    <>
      <PageHead title="Overview">
        <WindowChoice value={window} onChange={(value) => setSearch({ window: value })} />
      </PageHead>
      <Problem failure={failure} />
      <FirstSteps />
      {data === null ? (
        failure === null && <Loading />
      ) : (
        <>
          <section class="panel" aria-label="Figures">
            <Figures stats={data.stats} />
          </section>
          <div class="overview-grid">
            <div class="overview-column">
              <section class="panel">
                <h2>Attempts</h2>
                <DeliveryChart stats={data.stats} window={window} />
              </section>
              <Attention />
              <section class="panel">
                <h2>Events queued</h2>
                <EventsChart stats={data.stats} window={window} />
              </section>
            </div>
            <div class="overview-column">
              <section class="panel">
                <h2>Latency</h2>
                <LatencyChart stats={data.stats} window={window} />
              </section>
              <Operations />
              <QueuePanel />
              <section class="panel">
                <h2>Retries</h2>
                <RetriesChart stats={data.stats} window={window} />
              </section>
            </div>
          </div>
        </>
      )}
    </>
  );
}
