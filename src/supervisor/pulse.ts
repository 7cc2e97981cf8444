/**
 * The control plane's heartbeat: a number in shared memory that its event loop counts up, and that
 * the supervisor looks at. Time is counted in looks: when the whole process has been stopped or
 * starved for a while, the watched one has had no chance either.
 */

/** Between two beats, ms. */
export const BEAT_MS = 200;
/** Between two looks, ms. */
export const LOOK_MS = 500;

export class Pulse {
  readonly #looks: number;
  #last: number | undefined;
  #missed = 0;

  /** `limitMs`: without a beat for so long it counts as hung. */
  constructor(limitMs: number) {
    this.#looks = Math.max(2, Math.ceil(limitMs / LOOK_MS));
  }

  /** To be called every LOOK_MS. False: no beat for too long. */
  look(beats: number): boolean {
    this.#missed = beats === this.#last ? this.#missed + 1 : 0;
    this.#last = beats;
    return this.#missed < this.#looks;
  }
}
