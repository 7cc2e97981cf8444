import type { Director } from '../../src/lab/director.js';
import { ALL_MODES, fiveModesYaml } from '../../src/lab/five-modes.js';
import type { Lab } from '../../src/lab/lab.js';
import { type ModeName, VIP } from '../../src/lab/topology.js';
import type { Contestant, Lane } from './contestant.js';
import type { Driver } from './port.js';

const RETURNS: readonly ModeName[] = ['nat', 'fullnat'];

/** All modes in one director, each with a VIP of its own. */
export class Sluice implements Contestant {
  readonly name = 'sluice';
  readonly lanes: readonly Lane[];
  #director: Director | undefined;

  constructor(readonly port: Driver) {
    this.lanes = ALL_MODES.map((mode) => ({
      mode,
      path: RETURNS.includes(mode) ? 'both' : 'requests',
      address: VIP[mode],
    }));
  }

  async start(lab: Lab): Promise<void> {
    if (!this.#director) {
      const socket = lab.path('sluice.sock');
      const yaml = fiveModesYaml(lab, socket, { driver: this.port });
      this.#director = lab.director({ yaml, socket });
    }
    await this.#director.start();
  }

  async stop(): Promise<void> {
    await this.#director?.stop();
  }
}
