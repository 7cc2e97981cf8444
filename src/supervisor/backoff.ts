/** How long to wait before the next start: twice as long each time, from the beginning after a calm. */

/** Milliseconds. */
export interface BackoffOptions {
  first: number;
  most: number;
  /** Who has run for so long before it ended starts like new. */
  calm: number;
}

export const BACKOFF: BackoffOptions = { first: 100, most: 30_000, calm: 60_000 };

export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;

  constructor(options: BackoffOptions = BACKOFF) {
    this.#options = options;
    this.#next = options.first;
  }

  /** The wait after one that has run for `ranMs`. */
  wait(ranMs: number): number {
    const { first, most, calm } = this.#options;
    const wait = ranMs >= calm ? first : this.#next;
    this.#next = Math.min(wait * 2, most);
    return wait;
  }
}
