/** What a file in bench/scenarios/ exports. */
import type { Arguments, Filters } from './arguments.js';

/** One case as `--json` prints it. */
export interface ForwardResult {
  scenario: 'forward';
  mode: string;
  protocol: string;
  family: number;
  flows: number;
  /** Ethernet frame with FCS; `imix`: 7 of 64, 4 of 594, 1 of 1518. */
  bytes: number | 'imix';
  direction: string;
  /** Median of the runs, floor included. */
  nsPerPacket: number;
  /** Median absolute deviation of the runs. */
  madNs: number;
  /** Median of macswap alone on the same port, measured between the runs. */
  floorNs: number;
  /** TSC cycles, floor included. */
  cyclesPerPacket: number;
  runs: number;
  /** Packets given to the director in its measured runs, and what its counters account for. */
  offered: number;
  accounted: number;
}

/** What the report says besides. */
export interface Circumstances {
  tscHz: number;
  cpu: number;
  hugepages: boolean;
  transparentHugeKiB: number;
  /** Part of the wall-clock time that the core was the benchmark's. */
  share: number;
}

export interface Outcome<Result> {
  result: Result;
  circumstances: Circumstances;
}

export interface Scenario<Case, Result> {
  name: string;
  /** One sentence for `--help`. */
  about: string;
  /** Without filters the short selection; with `long` the whole matrix. */
  cases(filters: Filters, long: boolean): Case[];
  /** A case in a few words, for progress. */
  describe(one: Case): string;
  run(one: Case, options: Arguments): Promise<Outcome<Result>>;
}
