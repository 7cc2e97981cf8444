/** All checkers, and how often those run that have no timing of their own. */
import type { Check, Timing } from '../model.js';
import { bfd } from './bfd.js';
import type { Probe } from './checker.js';
import { dns } from './dns.js';
import { file } from './file.js';
import { http } from './http.js';
import { misc } from './misc.js';
import { ping } from './ping.js';
import { smtp } from './smtp.js';
import { tcp } from './tcp.js';
import { udp } from './udp.js';

export type { Outcome, Target } from './checker.js';

/** A file and BIRD are local and cheap to ask, and their word is final: no retries. */
const WATCH = { retry: 0, delayBeforeRetryMs: 0, logAllFailures: false, warmupMs: 0 };
const FILE_TIMING: Timing = { ...WATCH, delayLoopMs: 1_000, alpha: false };
const BFD_TIMING: Timing = { ...WATCH, delayLoopMs: 200, alpha: true };

export function timingOf(check: Check): Timing {
  if (check.type === 'file') return FILE_TIMING;
  return check.type === 'bfd' ? { ...BFD_TIMING, alpha: check.alpha } : check;
}

/** Successes in turn that make the check. */
export function stepsOf(check: Check): number {
  return check.type === 'http' ? check.urls.length : 1;
}

/** keepalived's word for it, as its log has it. */
export function nameOf(check: Check): string {
  if (check.type === 'http') return check.tls ? 'SSL_GET' : 'HTTP_GET';
  return `${check.type.toUpperCase()}_CHECK`;
}

const PROBES: { [Type in Check['type']]: Probe<Extract<Check, { type: Type }>> } = {
  tcp,
  http,
  smtp,
  dns,
  udp,
  ping,
  misc,
  file,
  bfd,
};

export const probe: Probe<Check> = (check, target, step, signal) =>
  (PROBES[check.type] as Probe<Check>)(check, target, step, signal);
