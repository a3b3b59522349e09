/** One HTTP call: what was sent, what came back, where the time went, and what its failure means. */
import { curlOf } from '../../../domain/curl.ts';
import type { Attempt } from '../../api/invocation.ts';
import type { HttpHeader } from '../../api/trigger.ts';
import { Body } from '../../ui/body.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Icon } from '../../ui/icon.tsx';
import { toneOf } from '../../ui/status.tsx';
import { bytes, humane } from '../../ui/words.ts';
import { explain, inShort } from '../explain.ts';
import { Waterfall } from './waterfall.tsx';

export interface AttemptDetailProps {
  readonly attempt: Attempt;
  readonly timeoutMs: number | null;
  /** Whether to say what to do about a failure; not where the page says it already. */
  readonly advice: boolean;
}

export function AttemptDetail({ attempt, timeoutMs, advice }: AttemptDetailProps) {
  const { request, response, errorCode, errorMessage, timings } = attempt;
  const explained = explain(attempt);
  return (
    <div class="attempt-detail">
      {explained !== null && (
        <div class="callout bad">
          <Icon name="alert" />
          <div>
            <p>
              <strong>{explained.what}</strong> {advice && explained.advice}
            </p>
            <p class="muted small">
              {humane(errorCode ?? '')}
              {errorMessage !== null && `: ${errorMessage}`}
            </p>
          </div>
        </div>
      )}
      {timings !== null && <Waterfall timings={timings} timeoutMs={timeoutMs} />}
      <div class="exchange">
        <RequestPart request={request} />
        <div class="exchange-part">
          <div class="exchange-head">
            <h3>Response</h3>
            {response?.remoteAddress != null && <span class="muted">from {response.remoteAddress}</span>}
          </div>
          {response === null ? (
            <p class="muted">{attempt.status === 'RUNNING' ? 'Waiting for it…' : 'None came back.'}</p>
          ) : (
            <>
              <p class="request-line">
                <span class={`method tone-${toneOf(attempt.status)}`}>
                  {inShort({ ...attempt, errorCode: 'X' })}
                </span>
              </p>
              <Headers headers={response.headers} of="Response" />
              {response.body !== null && response.body !== '' ? (
                <Body label="Response body" text={response.body} />
              ) : (
                <p class="muted">No body</p>
              )}
              {response.bodyTruncated && <p class="muted small">Only its beginning is kept.</p>}
            </>
          )}
        </div>
      </div>
    </div>
  );
}

export function RequestPart({ request }: { readonly request: Attempt['request'] }) {
  return (
    <div class="exchange-part">
      <div class="exchange-head">
        <h3>Request</h3>
        <Copy text={curlOf(request)} what="request as curl" label="Copy as curl" />
      </div>
      <p class="request-line">
        <span class="method">POST</span> <code>{request.url}</code>
      </p>
      <Headers headers={request.headers} of="Request" />
      {request.body !== null && request.body !== '' ? (
        <Body label="Request body" text={request.body} />
      ) : (
        <p class="muted">
          {request.bodySize === 0 ? 'No body' : `${bytes(request.bodySize)}, removed by retention`}
        </p>
      )}
    </div>
  );
}

function Headers({ headers, of }: { readonly headers: readonly HttpHeader[]; readonly of: string }) {
  if (headers.length === 0) return null;
  return (
    <details class="headers">
      <summary>
        {headers.length} {of.toLowerCase()} header{headers.length === 1 ? '' : 's'}
      </summary>
      <dl>
        {headers.map(({ name, value }, index) => (
          <div key={index}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
