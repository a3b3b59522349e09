/** Who changed what, newest first. */
import { useEffect, useState } from 'preact/hooks';
import type { PageInfo } from '../../api/document.ts';
import { AUDIT_LOG, type AuditEntry } from '../../api/settings.ts';
import { ask, Failure } from '../../state/ask.ts';
import { Empty, Loading, Problem } from '../../ui/parts.tsx';
import { Ago } from '../../ui/time.tsx';
import { humane } from '../../ui/words.ts';

export function AuditLog() {
  const [entries, setEntries] = useState<readonly AuditEntry[] | null>(null);
  const [pageInfo, setPageInfo] = useState<PageInfo | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const load = async (after: string | null): Promise<void> => {
    try {
      const { auditLog } = await ask(AUDIT_LOG, { after });
      setEntries((before) => [...(after === null ? [] : (before ?? [])), ...auditLog.nodes]);
      setPageInfo(auditLog.pageInfo);
    } catch (error) {
      if (error instanceof Failure) setFailure(error);
    }
  };
  // Dependencies: once, when it is opened
  useEffect(() => void load(null), []);
  if (failure !== null) return <Problem failure={failure} />;
  if (entries === null) return <Loading />;
  if (entries.length === 0) {
    return (
      <Empty icon="inbox" title="Nothing yet">
        <p>Every change of a trigger or an API key is noted here, with who made it.</p>
      </Empty>
    );
  }
  return (
    <section class="stack" aria-label="Audit log">
      <div class="panel flush">
        <ul class="rows">
          {entries.map((entry) => (
            <li key={entry.id}>
              <div class="row-line">
                <span class="grow two-lines">
                  <span class="ellipsis">
                    <strong>{humane(entry.action)}</strong> {entry.subjectName}
                  </span>
                  {entry.changes.length > 0 && (
                    <span class="muted small ellipsis">{entry.changes.join(', ')}</span>
                  )}
                </span>
                <span class="two-lines end small muted">
                  <span class="ellipsis">{entry.actor.name}</span>
                  <Ago at={entry.at} />
                </span>
              </div>
            </li>
          ))}
        </ul>
      </div>
      {pageInfo?.hasNextPage === true && (
        <button type="button" class="button more" onClick={() => void load(pageInfo.endCursor)}>
          Show more
        </button>
      )}
    </section>
  );
}
