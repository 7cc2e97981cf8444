/**
 * Measuring on a machine that others share. What neighbours do to caches, memory and clock shows in
 * the floor, which runs beside each of the director's runs and does the same work every time. So
 * runs are chosen by their floor alone, never by what the director took in them: as long as too few
 * of a case's runs had a quiet floor, it is measured again, and those with the lowest floors count.
 */
import { type NativeHost, type NativeRun, nsOf } from './native.js';
import { round } from './statistics.js';

/** A floor is quiet that is no further above the lowest of its kind seen so far. */
export const QUIET = 1.08;
/** How often a case is measured at most. */
const TRIES = 4;
/** For measuring again, in all cases of this process: ms. */
const SPARE_MS = 240_000;
/** Shorter runs tell nothing of the machine: ms. */
const TELLING_MS = 100;

export interface Paired {
  /** In turn: each of the director's runs has a floor of the same index. */
  director: NativeRun[];
  floor: NativeRun[];
}

export interface Calm {
  /** What the floors that are compared with this one's have in common. */
  kind: string;
  /** Of the runs that count, the highest floor, and the lowest known of its kind: ns a packet. */
  floorNs: number;
  lowestNs: number;
  /** Runs measured and left out, for their floors. */
  leftOut: number;
  /** Runs that count although their floor is not quiet, since there were no better ones. */
  disturbed: number;
}

export class Quiet {
  readonly #lowest = new Map<string, number>();
  #spareMs = SPARE_MS;

  /** Of an earlier process: floors of this one are held against what was measured there, too. */
  learn({ kind, lowestNs }: Calm): void {
    this.#lowest.set(kind, Math.min(this.#lowest.get(kind) ?? lowestNs, lowestNs));
  }

  /** By all that is known by now. */
  isQuiet({ kind, floorNs, lowestNs }: Calm): boolean {
    return floorNs <= Math.min(this.#lowest.get(kind) ?? lowestNs, lowestNs) * QUIET;
  }

  /**
   * `kind`: what floors have in common that are compared. `measure` makes `options.runs` runs;
   * `summed` names the fields that add up when it is called again. The result's `director` and
   * `floor` hold `options.runs` runs, the others' packets stay in the sums.
   */
  async measure<Native extends Paired & NativeHost>(
    kind: string,
    options: { runs: number; milliseconds: number },
    summed: readonly (keyof Native)[],
    measure: () => Promise<Native>,
  ): Promise<Native & { calm: Calm }> {
    let all = await measure();
    const tries = options.milliseconds < TELLING_MS ? 1 : TRIES;
    for (let i = 1; i < tries && this.#quietOf(kind, all) < options.runs; i++) {
      if (this.#spareMs <= 0) break;
      const began = performance.now();
      all = added(all, await measure(), summed);
      this.#spareMs -= performance.now() - began;
    }
    return { ...all, ...this.#best(kind, all, options.runs) };
  }

  /** Of a kind's floors the highest that is quiet: ns a packet. */
  #bound(kind: string, { floor }: Paired): number {
    const lowest = Math.min(this.#lowest.get(kind) ?? Number.POSITIVE_INFINITY, ...floor.map(nsOf));
    this.#lowest.set(kind, lowest);
    return lowest * QUIET;
  }

  #quietOf(kind: string, runs: Paired): number {
    const bound = this.#bound(kind, runs);
    return runs.floor.filter((run) => nsOf(run) <= bound).length;
  }

  #best(kind: string, { director, floor }: Paired, count: number): Paired & { calm: Calm } {
    const bound = this.#bound(kind, { director, floor });
    const order = floor.map((_, at) => at).sort((a, b) => nsOf(floor[a]!) - nsOf(floor[b]!));
    const chosen = order.slice(0, count);
    return {
      director: chosen.map((at) => director[at]!),
      floor: chosen.map((at) => floor[at]!),
      calm: {
        kind,
        floorNs: round(nsOf(floor[chosen.at(-1)!]!), 2),
        lowestNs: round(bound / QUIET, 2),
        leftOut: order.length - chosen.length,
        disturbed: chosen.filter((at) => nsOf(floor[at]!) > bound).length,
      },
    };
  }
}

function added<Native extends Paired>(
  one: Native,
  other: Native,
  summed: readonly (keyof Native)[],
): Native {
  const all: Native = {
    ...other,
    director: [...one.director, ...other.director],
    floor: [...one.floor, ...other.floor],
  };
  for (const field of summed) {
    (all[field] as number) = (one[field] as number) + (other[field] as number);
  }
  return all;
}

/** Of this process's cases. */
export const quiet = new Quiet();
