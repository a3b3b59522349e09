/** The settings of a trigger, to read. */
import type { Trigger } from '../../api/trigger.ts';
import { Link } from '../../state/route.tsx';
import { Copy, Id } from '../../ui/copy.tsx';
import { Ago } from '../../ui/time.tsx';
import { humane, span } from '../../ui/words.ts';

export function TriggerFacts({ trigger }: { readonly trigger: Trigger }) {
  const { retrySchedule, maxConcurrency, maxPerMinute } = trigger;
  return (
    <section class="panel">
      <h2>Settings</h2>
      <dl class="facts">
        <dt>Type</dt>
        <dd>
          <Link to={`/events?type=${encodeURIComponent(trigger.type)}`}>{trigger.type}</Link>
        </dd>
        <dt>URL</dt>
        <dd class="id">
          <code>{trigger.url}</code>
          <Copy text={trigger.url} what="URL" />
        </dd>
        <dt>Retries</dt>
        <dd>
          {trigger.retries}
          <span class="muted">
            {retrySchedule === null
              ? ', waiting longer each time'
              : `, after ${retrySchedule.map(span).join(', ')}`}
          </span>
        </dd>
        <dt>Timeout</dt>
        <dd>{trigger.timeout} ms</dd>
        <dt>Limits</dt>
        <dd>
          {[
            maxConcurrency !== null && `${maxConcurrency} in flight`,
            maxPerMinute !== null && `${maxPerMinute} per minute`,
          ]
            .filter(Boolean)
            .join(', ') || 'None of its own'}
        </dd>
        <dt>Format</dt>
        <dd>
          {humane(trigger.contentMode)}, CloudEvents {trigger.specVersion === 'V1_0' ? '1.0' : '1.0-rc1'}
        </dd>
        <dt>Headers</dt>
        <dd>
          {trigger.headers.length === 0 && 'None'}
          {trigger.headers.map(({ name, value }) => (
            <code key={name} class="block">
              {name}: {value}
            </code>
          ))}
        </dd>
        <dt>Signing</dt>
        <dd>
          {trigger.signingKeys.map((key) => (
            <span key={key.id} class="block">
              {key.algorithm === 'ED25519' ? 'Ed25519' : 'HMAC-SHA256'}
              <span class="muted">
                {key.expiresAt === null ? ' since ' : ', ends '}
                <Ago at={key.expiresAt ?? key.createdAt} />
              </span>
              {key.publicKey !== null && <Id id={key.publicKey} what="public key" />}
            </span>
          ))}
        </dd>
        <dt>Project</dt>
        <dd>{trigger.project}</dd>
        <dt>Changed</dt>
        <dd>
          <Ago at={trigger.updatedAt} />
          <span class="muted"> (version {trigger.version})</span>
        </dd>
        {trigger.description !== null && (
          <>
            <dt>Id</dt>
            <dd>
              <Id id={trigger.id} what="trigger id" />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
