/** Where an attempt's time went, phase after phase. */
import type { Timings } from '../../api/invocation.ts';
import { milliseconds } from '../../ui/words.ts';

interface Phase {
  readonly name: string;
  readonly meaning: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface WaterfallProps {
  readonly timings: Timings;
  readonly timeoutMs: number | null;
}

export function Waterfall({ timings, timeoutMs }: WaterfallProps) {
  const phases = phasesOf(timings);
  const totalMs = Math.max(timings.totalMs ?? 0, ...phases.map(({ toMs }) => toMs), 0.001);
  const summary = phases.map(({ name, fromMs, toMs }) => `${name} ${milliseconds(toMs - fromMs)}`).join(', ');
  return (
    <div class="waterfall">
      <p class="hidden">Timings: {summary}</p>
      <div aria-hidden="true">
        {phases.map(({ name, meaning, fromMs, toMs }) => (
          <div class="phase" key={name} title={meaning}>
            <span class="phase-name">{name}</span>
            <span class="phase-track">
              <i
                class={`phase-bar phase-${name.toLowerCase()}`}
                style={{
                  left: `${(fromMs / totalMs) * 100}%`,
                  width: `max(2px, ${((toMs - fromMs) / totalMs) * 100}%)`,
                }}
              />
            </span>
            <span class="phase-ms">{milliseconds(toMs - fromMs)}</span>
          </div>
        ))}
        <div class="phase total">
          <span class="phase-name">Total</span>
          <span class="phase-track" />
          <span class="phase-ms" title={timeoutMs === null ? '' : `of ${milliseconds(timeoutMs)} allowed`}>
            {milliseconds(totalMs)}
          </span>
        </div>
      </div>
    </div>
  );
}

/** Each figure says when its phase was over, counted from the start; a phase that was not needed has none. */
function phasesOf(timings: Timings): readonly Phase[] {
  const ends = [
    ['DNS', 'Looking up the name', timings.dnsMs],
    ['Connect', 'Opening the TCP connection', timings.connectMs],
    ['TLS', 'Agreeing on encryption', timings.tlsMs],
    ['Wait', 'From the request to the status line', timings.firstByteMs],
    [timings.firstByteMs === null ? 'Wait' : 'Receive', 'Until the end', timings.totalMs],
  ] as const;
  let atMs = 0;
  const phases: Phase[] = [];
  for (const [name, meaning, toMs] of ends) {
    if (toMs === null) continue;
    phases.push({ name, meaning, fromMs: atMs, toMs: Math.max(atMs, toMs) });
    atMs = Math.max(atMs, toMs);
  }
  return phases;
}
