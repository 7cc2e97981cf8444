// Where Sluice differs from Linux IPVS on purpose. Each is listed in the README in these words,
// and each is asserted: a difference that is gone, or is another one, fails the test.

import type { Reaction } from './outcome.js';

export interface Difference {
  name: string;
  /** For the README. */
  sentence: string;
  /** Whether a reaction that differs differs in this way. */
  is: (ipvs: Reaction, sluice: Reaction) => boolean;
}

export const differences: Difference[] = [];
