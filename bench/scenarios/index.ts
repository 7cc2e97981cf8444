import type { Scenario } from '../scenario.js';
import { forward } from './forward.js';
import { lab } from './lab.js';

/** In the order in which they run and are reported. */
export const SCENARIOS: readonly Scenario<unknown, unknown>[] = [forward, lab];
