/**
 * What clients' own connections tell of a server, without clock, timers or counters: failures in a
 * row, or too large a part of those in a window, put it out for a time that doubles with every
 * repetition. Whoever comes back is on probation: one more failure suffices until a connection has
 * been answered.
 */
import type { HandshakeFigures } from '../stats/counters.js';
import type { PassiveCheck } from './model.js';

export interface PassiveState {
  /** Counters at the last observation. */
  seen: HandshakeFigures | undefined;
  /** Since the last answered connection. */
  inARow: number;
  /** Oldest first; as much of them as the window holds. */
  samples: { atMs: number; good: number; bad: number }[];
  /** Undefined: not ejected. */
  untilMs: number | undefined;
  /** Ejections that still lengthen the next one. */
  ejections: number;
  /** When it was last put back. */
  backMs: number | undefined;
}

export function passiveState(): PassiveState {
  return {
    seen: undefined,
    inARow: 0,
    samples: [],
    untilMs: undefined,
    ejections: 0,
    backMs: undefined,
  };
}

export type Verdict =
  | { wants: 'ejection'; why: string }
  | { wants: 'return'; why: string }
  | undefined;

/** Takes in the counters as they are now. `nowMs`: since the epoch. */
export function observe(
  check: PassiveCheck,
  state: PassiveState,
  figures: HandshakeFigures,
  nowMs: number,
): { state: PassiveState; verdict: Verdict } {
  const before = state.seen ?? figures;
  const good = figures.answered - before.answered;
  const bad = figures.refused + figures.unanswered - before.refused - before.unanswered;
  const next = { ...state, seen: figures };
  // Counters that went back are somebody else's.
  if (good < 0 || bad < 0) return { state: next, verdict: undefined };
  if (state.untilMs !== undefined) {
    // What still comes belongs to connections of before. A clock that was set back must not keep a
    // server out for longer than ever.
    if (nowMs < state.untilMs && state.untilMs - nowMs <= check.maxEjectionMs) {
      return { state: next, verdict: undefined };
    }
    return {
      state: { ...next, untilMs: undefined, backMs: nowMs, inARow: check.failures - 1 },
      verdict: { wants: 'return', why: 'its time is over' },
    };
  }
  next.inARow = good > 0 ? 0 : state.inARow + bad;
  next.samples = state.samples.filter(({ atMs }) => nowMs - atMs < check.windowMs);
  if (good + bad > 0) next.samples.push({ atMs: nowMs, good, bad });
  if (next.inARow >= check.failures && bad > 0) {
    const why = `${next.inARow} connections in a row refused or unanswered`;
    return { state: next, verdict: { wants: 'ejection', why } };
  }
  const why = check.ratio === undefined ? undefined : tooMany(check, check.ratio, next.samples);
  return { state: next, verdict: why === undefined ? undefined : { wants: 'ejection', why } };
}

function tooMany(
  check: PassiveCheck,
  ratio: number,
  samples: PassiveState['samples'],
): string | undefined {
  const bad = samples.reduce((sum, one) => sum + one.bad, 0);
  const all = samples.reduce((sum, one) => sum + one.good + one.bad, 0);
  if (all < check.minimum || bad * 100 < ratio * all) return undefined;
  return `${bad} of ${all} connections in ${check.windowMs / 1000} s refused or unanswered`;
}

/** Puts it out: for twice as long as the last time, unless it has been well for a while since. */
export function eject(check: PassiveCheck, state: PassiveState, nowMs: number): PassiveState {
  const wellMs = state.backMs === undefined ? 0 : Math.max(0, nowMs - state.backMs);
  const ejections = Math.max(0, state.ejections - Math.floor(wellMs / check.maxEjectionMs));
  const ms = Math.min(check.ejectionMs * 2 ** Math.min(ejections, 30), check.maxEjectionMs);
  return { ...state, inARow: 0, samples: [], untilMs: nowMs + ms, ejections: ejections + 1 };
}

/** How many of `servers` passive checks may leave without new connections, whatever for. */
export function mostOut(check: PassiveCheck, servers: number): number {
  const part = Math.floor((servers * check.maxEjected) / 100);
  return Math.max(part, servers > 1 ? 1 : 0);
}
