/** All scenarios, in the order in which they run. */
import type { Scenario } from './scenario.ts';
import { acceptScenario } from './scenarios/accept.ts';
import { drainScenario } from './scenarios/drain.ts';

export const SCENARIOS: readonly Scenario[] = [drainScenario, acceptScenario];
