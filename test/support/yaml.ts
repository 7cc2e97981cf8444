/** A world from a director.yaml: the way a user's configuration goes, parser and plan() included. */
import { parseConfig } from '../../src/config/load.js';
import { replayPorts } from '../../src/engine-options.js';
import { NO_SLOTS, plan, type Slots } from '../../src/plan.js';
import { macText } from './bytes.js';
import type { World } from './world.js';

/** `slots`: of the world this one follows. */
export function yamlWorld(text: string, slots: Slots = NO_SLOTS): World & { slots: Slots } {
  const loaded = parseConfig(text, 'director.yaml');
  const planned = plan(loaded.model, undefined, undefined, slots);
  const ports = replayPorts(loaded.model, (index) => loaded.locate(['ports', index]));
  return {
    snapshot: planned.snapshot,
    slots: planned.slots,
    ports: ports.map((port) => ({
      mac: macText(port.mac as Uint8Array),
      mtu: port.mtu,
      partialChecksums: port.partialChecksums,
    })),
  };
}
