/**
 * What one check's results mean, without clock, timers or sockets. A server in service is allowed
 * `retry` failures after the first, `delayBeforeRetryMs` apart; one that is out is asked once a
 * `delayLoopMs`, and one success (of every step, where a check has several) brings it back.
 */
import type { Timing } from './model.js';

export interface CheckState {
  up: boolean;
  /** A verdict has been reached since the start; until then `up` is what `alpha` says. */
  decided: boolean;
  /** Failures in a row that have not yet taken the server out. */
  failures: number;
  /** Which of the check's steps (URLs) is next. */
  step: number;
}

export interface Turn {
  state: CheckState;
  change: 'up' | 'down' | undefined;
  delayMs: number;
}

export function initialState(alpha: boolean): CheckState {
  return { up: !alpha, decided: false, failures: 0, step: 0 };
}

/** One result. `steps`: how many successes in turn make the check; `fast`: no pause between them. */
export function advance(
  timing: Timing,
  state: CheckState,
  ok: boolean,
  steps = 1,
  fast = false,
): Turn {
  const { delayLoopMs, delayBeforeRetryMs, retry } = timing;
  if (!ok) {
    if ((state.up || !state.decided) && state.failures < retry) {
      const next = { ...state, failures: state.failures + 1 };
      return { state: next, change: undefined, delayMs: delayBeforeRetryMs };
    }
    const next = { up: false, decided: true, failures: 0, step: 0 };
    return { state: next, change: state.up ? 'down' : undefined, delayMs: delayLoopMs };
  }
  const step = (state.step + 1) % steps;
  // Nothing new, as nearly always.
  if (state.up && state.decided && state.failures === 0 && state.step === step) {
    return { state, change: undefined, delayMs: delayLoopMs };
  }
  if (state.up || step === 0) {
    const next = { up: true, decided: true, failures: 0, step };
    return { state: next, change: state.up ? undefined : 'up', delayMs: delayLoopMs };
  }
  return {
    state: { ...state, failures: 0, step },
    change: undefined,
    delayMs: fast ? 0 : delayLoopMs,
  };
}

/** Total weight of live servers against a quorum with hysteresis. `up` undefined: not known yet. */
export function hasQuorum(
  up: boolean | undefined,
  weight: number,
  quorum: number,
  hysteresis: number,
): boolean {
  if (up === undefined) return weight >= quorum;
  return up ? weight >= quorum - hysteresis : weight >= quorum + hysteresis;
}
