/** API keys: who has one, what it may do, and an end to it. */
import { useState } from 'preact/hooks';
import { API_KEYS, type ApiKey, REVOKE_API_KEY } from '../../api/settings.ts';
import { ask, Failure } from '../../state/ask.ts';
import { now } from '../../state/clock.ts';
import { useQuery } from '../../state/hooks.ts';
import { toast } from '../../state/toast.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { Icon } from '../../ui/icon.tsx';
import { Empty, Loading, Problem } from '../../ui/parts.tsx';
import { Ago, Moment } from '../../ui/time.tsx';
import { SecretDialog } from '../triggers/secret-dialog.tsx';
import { ApiKeyForm } from './api-key-form.tsx';

export function ApiKeys() {
  const { data, failure, reload } = useQuery(API_KEYS, {});
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  return (
    <section class="stack" aria-label="API keys">
      <div class="section-head">
        <p class="muted">For your programs: each one its own key, with no more than it needs.</p>
        <button type="button" class="button primary" onClick={() => setAdding(true)}>
          <Icon name="plus" size={15} /> Create API key
        </button>
      </div>
      <Problem failure={failure} />
      {data === null && failure === null && <Loading />}
      {data?.apiKeys.length === 0 && (
        <Empty icon="key" title="No API keys yet">
          <p>You are using the admin token. Give each program a key of its own.</p>
        </Empty>
      )}
      {data !== null && data.apiKeys.length > 0 && (
        <div class="panel flush">
          <ul class="rows keys">
            {data.apiKeys.map((key) => (
              <KeyLine key={key.id} apiKey={key} onRevoke={() => setRevoking(key)} />
            ))}
          </ul>
        </div>
      )}
      {adding && (
        <ApiKeyForm
          onClose={() => setAdding(false)}
          onDone={(shown) => {
            setAdding(false);
            setSecret(shown);
            reload();
          }}
        />
      )}
      {secret !== null && <SecretDialog what="API key" secret={secret} onClose={() => setSecret(null)} />}
      {revoking !== null && (
        <RevokeDialog
          apiKey={revoking}
          onClose={() => setRevoking(null)}
          onDone={() => {
            setRevoking(null);
            reload();
          }}
        />
      )}
    </section>
  );
}

function KeyLine({ apiKey, onRevoke }: { readonly apiKey: ApiKey; readonly onRevoke: () => void }) {
  const { name, prefix, scopes, projects, createdAt, expiresAt, lastUsedAt, revokedAt } = apiKey;
  const expired = expiresAt !== null && Date.parse(expiresAt) < now.value;
  const ended = revokedAt !== null || expired;
  return (
    <li class={ended ? 'ended' : ''}>
      <div class="row-line">
        <span class={`step-icon tone-${ended ? 'idle' : 'good'}`}>
          <Icon name={ended ? 'ban' : 'key'} size={13} />
        </span>
        <span class="grow two-lines">
          <span>
            <strong>{name}</strong> <code class="muted">{prefix}…</code>
          </span>
          <span class="scopes">
            {scopes.map((scope) => (
              <code key={scope} class="tag">
                {scope}
              </code>
            ))}
            {projects?.map((project) => (
              <span key={project} class="tag">
                project {project}
              </span>
            ))}
          </span>
        </span>
        <span class="two-lines muted small key-times">
          <span>
            {lastUsedAt === null ? (
              'Never used'
            ) : (
              <>
                Used <Ago at={lastUsedAt} />
              </>
            )}
          </span>
          <span>
            {revokedAt !== null ? (
              <>
                Revoked <Ago at={revokedAt} />
              </>
            ) : expiresAt !== null ? (
              <>
                {expired ? 'Expired' : 'Expires'} <Moment at={expiresAt} />
              </>
            ) : (
              <>
                Created <Ago at={createdAt} />
              </>
            )}
          </span>
        </span>
        {!ended && (
          <button type="button" class="button small" aria-label={`Revoke ${name}`} onClick={onRevoke}>
            Revoke
          </button>
        )}
      </div>
    </li>
  );
}

interface RevokeDialogProps {
  readonly apiKey: ApiKey;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

function RevokeDialog({ apiKey: { id, name }, onClose, onDone }: RevokeDialogProps) {
  const revoke = async (): Promise<void> => {
    try {
      const { revokeApiKey } = await ask(REVOKE_API_KEY, { input: { id } });
      const [problem] = revokeApiKey.userErrors;
      if (problem !== undefined) throw new Failure(problem.code, problem.message);
      toast('DONE', `${name} is revoked.`);
      onDone();
    } catch (error) {
      if (error instanceof Failure) toast('FAILED', error.message);
    }
  };
  return (
    <Dialog
      title={`Revoke ${name}?`}
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            Keep it
          </button>
          <button type="button" class="button danger" onClick={revoke}>
            Revoke key
          </button>
        </>
      }
    >
      <p>Programs that use it are refused at once, and their subscriptions end. This cannot be undone.</p>
    </Dialog>
  );
}
