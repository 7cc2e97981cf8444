import type { ForwardResult, Scenario } from '../scenario.js';
import { forward } from './forward.js';

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario<unknown, ForwardResult>[] = [
  forward as Scenario<unknown, ForwardResult>,
];
