/** All scenarios, in the order in which they run. */
import type { Scenario } from './scenario.ts';
import { acceptScenario } from './scenarios/accept.ts';
import { drainScenario } from './scenarios/drain.ts';
import { idleScenario } from './scenarios/idle.ts';
import { latencyScenario } from './scenarios/latency.ts';
import { liveScenario } from './scenarios/live.ts';
import { neighboursScenario } from './scenarios/neighbours.ts';
import { punctualityScenario } from './scenarios/punctuality.ts';
import { scaleScenario } from './scenarios/scale.ts';
import { statsScenario } from './scenarios/stats.ts';
import { twoWorkersScenario } from './scenarios/two-workers.ts';

export const SCENARIOS: readonly Scenario[] = [
  drainScenario,
  acceptScenario,
  latencyScenario,
  punctualityScenario,
  scaleScenario,
  neighboursScenario,
  twoWorkersScenario,
  idleScenario,
  liveScenario,
  statsScenario,
];
