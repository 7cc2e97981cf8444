/** At most so many at once; the rest wait in the order in which they came. */
export class Slots {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Calls `start` now or when its turn comes; the function returned takes it out of the queue. */
  enter(start: () => void): () => void {
    if (this.#taken < this.#limit) {
      this.#taken++;
      start();
      return () => {};
    }
    this.#waiting.add(start);
    return () => this.#waiting.delete(start);
  }

  /** Once for each `start` that was called. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
