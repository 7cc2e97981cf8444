/** What the supervisor (main thread) and the control plane (a worker thread) say to each other. */
import type { Identity } from '../director.js';
import type { Level, LogEntry } from '../log.js';
import type { EngineOptions } from '../native.js';
import type { Frozen, UpgradeReport, UpgradeRequest } from '../upgrade/departure.js';
import type { Legacy } from '../upgrade/heir.js';
import type { Totals } from '../upgrade/protocol.js';
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

/** An error as it crosses threads: its class is lost on the way, its code is not. */
export interface ErrorReport {
  code: string | undefined;
  message: string;
  stack: string | undefined;
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

export function reportError(error: unknown): ErrorReport {
  if (!(error instanceof Error))
    return { code: undefined, message: String(error), stack: undefined };
  const { code } = error as { code?: unknown };
  return {
    code: typeof code === 'string' ? code : undefined,
    message: error.message,
    stack: error.stack,
  };
}

/** An Error again: with a code it is told as a sentence, without one with its stack. */
export function errorFrom({ code, message, stack }: ErrorReport): Error {
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return code === undefined ? error : Object.assign(error, { code });
}
