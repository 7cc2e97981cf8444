/** At most so many at once; the rest wait in the order in which they came, and none is lost. */
export class Slots {
  /** More than before start as soon as one leaves; those beyond a lower one go on. */
  limit: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `start` now or when its turn comes; the function returned takes it out of the queue. */
  enter(start: () => void): () => void {
    if (this.#taken < this.limit) {
      this.#taken++;
      start();
      return NOTHING;
    }
    this.#waiting.add(start);
    return () => this.#waiting.delete(start);
  }

  /** Once for each `start` that was called. */
  leave(): void {
    this.#taken--;
    for (const next of this.#waiting) {
      if (this.#taken >= this.limit) return;
      this.#waiting.delete(next);
      this.#taken++;
      next();
    }
  }
}

const NOTHING = () => {};
