/** MISC_CHECK: a program's exit status, which may also set the server's weight. */
import type { MiscCheck } from '../model.js';
import { runScript } from '../script.js';
import { failure, type Probe } from './checker.js';

export const misc: Probe<MiscCheck> = async (check, _target, _step, signal) => {
  const { status, detail } = await runScript(check.script, check.timeoutMs, signal);
  if (status === 0) return { ok: true, detail };
  if (status === undefined || status === 1 || !check.dynamic) return failure(detail);
  return { ok: true, detail, weight: { set: status - 2 } };
};
