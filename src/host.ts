/** What a director has of the process around it. */

import type { Logger } from './log.js';
import type { EngineOptions } from './native.js';
import type { Totals } from './stats/totals.js';
import type { Identity } from './supervisor/identity.js';
import type { Memory } from './supervisor/memory.js';
import type { UpgradeReport, UpgradeRequest } from './upgrade/departure.js';
import type { Legacy } from './upgrade/heir.js';

export interface Host {
  log: Logger;
  /** What an earlier control plane of this process has left, and what this one leaves. */
  memory: Memory;
  /** Of the process, ms since the epoch. */
  startedAt: number;
  /** Control planes before this one. */
  restarts: number;
  /** Goes on as `director.user`, in which case it may begin again. */
  become(identity: Identity): Promise<void>;
  /** The first control plane of a process that takes over from another has this to do. */
  succession?: Succession | undefined;
  /** Has another process take over from this one; freeze() to leave() follow. */
  upgrade?: (request: UpgradeRequest) => Promise<UpgradeReport>;
  /** Starts the process's engine. Like become() not called where an earlier control plane has. */
  startEngine(options: EngineOptions): Promise<void>;
}

export interface Succession extends Legacy {
  /** All but forwarding is done; until it may be. */
  prepared(): Promise<void>;
  /** Until it forwards. */
  switched(): Promise<Totals>;
}
