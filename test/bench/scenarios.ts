/** All scenarios, in the order in which they run. */
import type { Scenario } from './scenario.ts';
import { acceptScenario } from './scenarios/accept.ts';
import { drainScenario } from './scenarios/drain.ts';
import { latencyScenario } from './scenarios/latency.ts';
import { neighboursScenario } from './scenarios/neighbours.ts';

export const SCENARIOS: readonly Scenario[] = [
  drainScenario,
  acceptScenario,
  latencyScenario,
  neighboursScenario,
];
