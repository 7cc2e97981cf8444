/** What the supervisor (main thread) and the control plane (a worker thread) say to each other. */

import type { Level, LogEntry } from '../log.js';
import type { EngineOptions } from '../native.js';
import type { Totals } from '../stats/totals.js';
import type { Frozen, UpgradeReport, UpgradeRequest } from '../upgrade/departure.js';
import type { Legacy } from '../upgrade/heir.js';
import type { ErrorReport } from './error-report.js';
import type { Identity } from './identity.js';
import type { MemoryChange, MemoryContents } from './memory.js';

/** Given to each control plane at its start. */
export interface ControlData {
  config: string;
  logLevel: Level;
  /** One Int32 that it counts up. */
  beats: SharedArrayBuffer;
  memory: MemoryContents;
  /** Of the process, ms since the epoch. */
  startedAt: number;
  /** Control planes before this one. */
  restarts: number;
  /** The first one of a process that takes over from another. */
  legacy: Legacy | undefined;
}

export type FromControl =
  | { type: 'log'; entry: LogEntry }
  | { type: 'keep'; changes: MemoryChange[] }
  /** Wishes of the first one, each answered by `done`. */
  | { type: 'become'; identity: Identity }
  | { type: 'engine'; options: EngineOptions }
  /** Of one that takes over: all but forwarding is done; and, it may forward. */
  | { type: 'prepared' }
  | { type: 'switch' }
  /** Answered by `upgraded`, at any time. */
  | { type: 'upgrade'; request: UpgradeRequest }
  /** To `freeze` and `count`. */
  | { type: 'frozen'; frozen: Frozen }
  | { type: 'counted'; totals: Totals }
  | { type: 'ready'; status: string; generation: number }
  | { type: 'reloading' }
  | { type: 'reloaded'; status: string }
  | { type: 'failed'; error: ErrorReport }
  | { type: 'stopped'; error: ErrorReport | undefined };

export type ToControl =
  | { type: 'done'; error: ErrorReport | undefined; totals?: Totals }
  | { type: 'upgraded'; report: UpgradeReport | undefined; error: ErrorReport | undefined }
  /** Steps of an upgrade: no changes any more, what was counted, as before, the end. */
  | { type: 'freeze' }
  | { type: 'count' }
  | { type: 'thaw' }
  | { type: 'leave' }
  | { type: 'reload' }
  | { type: 'stop' };
