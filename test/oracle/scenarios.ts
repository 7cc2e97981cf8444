// The table: every scenario that Linux IPVS and Sluice are both put through.

import { forwarding } from './scenarios/forwarding.js';
import { fragmented } from './scenarios/fragments.js';
import { icmpErrors } from './scenarios/icmp.js';
import { local } from './scenarios/local.js';
import { mtuAndStatistics } from './scenarios/mtu.js';
import { persistence } from './scenarios/persistence.js';
import { removal } from './scenarios/removal.js';
import { scheduling } from './scenarios/scheduling.js';
import { sctp } from './scenarios/sctp.js';
import { sixes } from './scenarios/six.js';
import { tunnels } from './scenarios/tunnels.js';
import type { Scenario } from './scene.js';

export const scenarios: Scenario[] = [
  ...forwarding,
  ...icmpErrors,
  ...local,
  ...removal,
  ...fragmented,
  ...mtuAndStatistics,
  ...scheduling,
  ...persistence,
  ...tunnels,
  ...sctp,
  // Behind IPv4's, whose room of addresses they take nothing of.
  ...sixes,
];
