/**
 * What a monitor knows, as plain JSON: a control plane that was restarted goes on from it instead
 * of asking every server anew. Checks are known by a digest of their settings, so that a check
 * which the configuration has changed meanwhile starts anew, as it does at a reload.
 */
import { createHash } from 'node:crypto';
import type { Outcome } from './checkers/index.js';
import type { CheckState } from './machine.js';
import type { Check } from './model.js';
import type { PassiveState } from './passive.js';

/** Grows when a state of before can't be read any more; such a one is then not used. */
export const STATE_VERSION = 2;

export interface RunnerState {
  machine: CheckState;
  /** The last result, where there is one. */
  outcome?: Outcome;
}

export interface ServerRecord {
  checks: Record<string, RunnerState>;
  passive?: PassiveState;
}

export interface MonitorState {
  version: typeof STATE_VERSION;
  /** By server key, then by checkId(). */
  servers: Record<string, ServerRecord>;
  /** By service key: whether it has its quorum. A service that is not judged yet is not in it. */
  quorums: Record<string, boolean>;
}

/** The same for a server's nth check as long as its settings are the same. */
export function checkId(index: number, check: Check): string {
  return `${index} ${createHash('sha1').update(JSON.stringify(check)).digest('base64url')}`;
}
