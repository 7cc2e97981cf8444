/** One check of one server, again and again: timers and probes around the pure machine. */
import { type Outcome, probe, stepsOf, type Target, timingOf } from './checkers/index.js';
import { advance, type CheckState, initialState } from './machine.js';
import type { Check } from './model.js';
import type { Slots } from './slots.js';
import type { RunnerState } from './state.js';

/** What the runner needs of the world: replaced in tests. */
export interface World {
  probe: typeof probe;
  random(): number;
  setTimeout(action: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

export const REAL_WORLD: World = {
  probe,
  random: Math.random,
  setTimeout: (action, ms) => setTimeout(action, ms).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
};

export interface Observer {
  /** After each result: what it changed, if anything. */
  result(runner: CheckRunner, outcome: Outcome, change: 'up' | 'down' | undefined): void;
  /** Nothing was asked, and nothing is changed: the next turn tries again. */
  notTried(outcome: Outcome): void;
  /** It is due and has to wait for others to end. */
  queued(): void;
  /** A probe threw: a bug of ours, counted as a failure. */
  bug(error: unknown): void;
}

export class CheckRunner {
  readonly check: Check;
  readonly #target: Target;
  readonly #world: World;
  readonly #slots: Slots;
  readonly #observer: Observer;
  readonly #abort = new AbortController();
  #state: CheckState;
  #outcome: Outcome | undefined;
  #timer: unknown;
  #leaveQueue: () => void = () => {};
  /** Made once: ten thousand checks a second make work enough for the garbage collector. */
  readonly #run = () => void this.#probe();
  readonly #due = () => {
    this.#leaveQueue = this.#slots.enter(this.#run);
    if (this.#slots.waiting > 0) this.#observer.queued();
  };

  constructor(check: Check, target: Target, slots: Slots, observer: Observer, world: World) {
    this.check = check;
    this.#target = target;
    this.#slots = slots;
    this.#observer = observer;
    this.#world = world;
    this.#state = initialState(timingOf(check).alpha);
  }

  get up(): boolean {
    return this.#state.up;
  }

  /** The last result; undefined before the first. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** Every failure is worth a line while the server is in service. */
  get tellsAll(): boolean {
    return this.#state.up && timingOf(this.check).logAllFailures;
  }

  /**
   * The first probe comes at a random time of the warm-up, so that checks spread out. A check that
   * goes on with what it knew is in no hurry, and is not late either.
   */
  start(resumed?: RunnerState): void {
    const { warmupMs, delayLoopMs } = timingOf(this.check);
    if (resumed) {
      this.#state = resumed.machine;
      this.#outcome = resumed.outcome;
    }
    this.#in(this.#world.random() * (resumed ? delayLoopMs : warmupMs));
  }

  state(): RunnerState {
    const outcome = this.#outcome;
    return outcome ? { machine: this.#state, outcome } : { machine: this.#state };
  }

  /** No result is reported any more. */
  stop(): void {
    this.#abort.abort();
    this.#leaveQueue();
    this.#world.clearTimeout(this.#timer);
  }

  #in(ms: number): void {
    this.#timer = this.#world.setTimeout(this.#due, ms);
  }

  async #probe(): Promise<void> {
    let outcome: Outcome;
    try {
      const { check } = this;
      outcome = await this.#world.probe(check, this.#target, this.#state.step, this.#abort.signal);
    } catch (error) {
      this.#observer.bug(error);
      outcome = { ok: false, detail: 'the checker failed' };
    }
    this.#slots.leave();
    if (this.#abort.signal.aborted) return;
    const { check } = this;
    if (outcome.notTried) {
      this.#in(timingOf(check).delayLoopMs);
      this.#observer.notTried(outcome);
      return;
    }
    const fast = check.type === 'http' && check.fastRecovery;
    const turn = advance(timingOf(check), this.#state, outcome.ok, stepsOf(check), fast);
    this.#state = turn.state;
    this.#outcome = outcome;
    this.#in(turn.delayMs);
    this.#observer.result(this, outcome, turn.change);
  }
}
