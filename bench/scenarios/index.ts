import type { Scenario } from '../scenario.js';
import { apply } from './apply.js';
import { boundary } from './boundary.js';
import { checks } from './checks.js';
import { connect } from './connect.js';
import { failover } from './failover.js';
import { flood } from './flood.js';
import { forward } from './forward.js';
import { lab } from './lab.js';
import { latency } from './latency.js';
import { scale } from './scale.js';
import { sync } from './sync.js';
import { upgrade } from './upgrade.js';

/** In the order in which they run and are reported. */
export const SCENARIOS: readonly Scenario<unknown, unknown>[] = [
  forward,
  connect,
  scale,
  apply,
  checks,
  sync,
  failover,
  upgrade,
  flood,
  latency,
  lab,
  boundary,
];
