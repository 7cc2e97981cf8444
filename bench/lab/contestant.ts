/** What may stand between the client and the server, one at a time and in the same place. */
import type { Lab } from '../../src/lab/lab.js';
import type { Port } from './port.js';

/** What goes through the contestant; replies may go from the server straight to the client. */
export type Path = 'both' | 'requests';

/** One way of using a contestant: what the client has to address. */
export interface Lane {
  /** A forwarding mode, or what comes closest to it. */
  mode: string;
  path: Path;
  address: string;
}

export interface Contestant {
  readonly name: string;
  readonly port: Port;
  readonly lanes: readonly Lane[];
  /** Returns when it forwards. */
  start(lab: Lab): Promise<void>;
  stop(lab: Lab): Promise<void>;
}
