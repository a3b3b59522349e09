/** What this server is, allows and keeps. */
import { server, viewer } from '../../state/session.ts';
import { Copy } from '../../ui/copy.tsx';
import { bytes, count, milliseconds } from '../../ui/words.ts';

export function ServerFacts() {
  const facts = server.value;
  if (facts === null) return null;
  const { limits } = facts;
  return (
    <div class="settings-grid">
      <section class="panel">
        <h2>Server</h2>
        <dl class="facts wide">
          <dt>Release</dt>
          <dd>Herald {facts.version}</dd>
          <dt>Source of events</dt>
          <dd class="id">
            <code>{facts.defaultSource}</code>
            <Copy text={facts.defaultSource} what="source" />
          </dd>
          <dt>Finished events are kept</dt>
          <dd>{facts.retentionDays} days</dd>
          <dt>API</dt>
          <dd class="id">
            <code>{location.origin}/graphql</code>
            <Copy text={`${location.origin}/graphql`} what="address of the API" />
          </dd>
        </dl>
      </section>
      <section class="panel">
        <h2>Where webhooks may go</h2>
        <p class="policy">{facts.egressPolicy}</p>
        <p class="muted">
          Judged when the connection is made, whatever the name resolves to. Set with <code>EGRESS</code> and{' '}
          <code>EGRESS_ALLOW_CIDRS</code>.
        </p>
      </section>
      <section class="panel">
        <h2>Limits</h2>
        <dl class="facts wide">
          <dt>Data of an event</dt>
          <dd>{bytes(limits.maxDataSize)}</dd>
          <dt>Events in a batch</dt>
          <dd>{count(limits.maxBatchSize)}</dd>
          <dt>Retries</dt>
          <dd>{limits.maxRetries}</dd>
          <dt>Timeout</dt>
          <dd>{milliseconds(limits.maxTimeout)}</dd>
          <dt>Due at most</dt>
          <dd>{count(limits.maxScheduleDays)} days ahead</dd>
          <dt>Page of a list</dt>
          <dd>{limits.maxPageSize}</dd>
        </dl>
      </section>
      <section class="panel">
        <h2>You</h2>
        <dl class="facts wide">
          <dt>Signed in as</dt>
          <dd>{viewer.value?.name}</dd>
          <dt>May</dt>
          <dd class="scopes">
            {viewer.value?.scopes.map((scope) => (
              <code key={scope} class="tag">
                {scope}
              </code>
            ))}
          </dd>
          <dt>Projects</dt>
          <dd>{viewer.value?.projects?.join(', ') ?? 'All'}</dd>
        </dl>
      </section>
    </div>
  );
}
