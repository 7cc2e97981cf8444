/** What a file in bench/scenarios/ exports; bench/README.md tells how to add one. */
import type { Arguments, Filter, Filters } from './arguments.js';
import type { Environment } from './environment.js';
import type { Calm } from './quiet.js';
import type { Figures } from './reference.js';

/** What the report says of a case besides its result; each scenario knows some of it. */
export interface Circumstances {
  tscHz?: number;
  /** That the measured threads were pinned to. */
  cpus?: number[];
  /** Hold the packet buffers. */
  hugepages?: boolean;
  transparentHugeKiB?: number;
  /** Part of the wall-clock time that the cores were the benchmark's. */
  share?: number;
  /** Of the measured runs: left out, and counted, with a floor that the machine's others raised. */
  calm?: Calm;
  /** Part of all CPUs that other programs kept busy while nothing was measured. */
  othersBusy?: number;
}

export interface Outcome<Result> {
  result: Result;
  circumstances: Circumstances;
}

/** An outcome as it is kept. */
export interface Recorded<Result> extends Outcome<Result> {
  /** The scenario's describe() of it. */
  name?: string;
  /** Where it is not of the file's own environment: see `--again`. */
  measured?: Pick<Environment, 'commit' | 'native' | 'date'>;
}

/** bench/results/SCENARIO.json */
export interface Results<Result> {
  environment: Environment;
  selection: 'usual' | 'long';
  cases: Recorded<Result>[];
}

/** A scenario's part of the report. */
export interface Section {
  /** From its `## ` heading on; plots are referred to as `plots/NAME.svg`. */
  markdown: string;
  /** SVG by name, without an extension. */
  plots: Record<string, string>;
}

/** `Result` is what --json prints of a case; its first field is `scenario`, the scenario's name. */
export interface Scenario<Case, Result> {
  name: string;
  /** One line for `--help`. */
  about: string;
  /** The filters it understands. A scenario that doesn't understand a given one is left out. */
  filters: readonly Filter[];
  /** Without filters the usual selection; with `long` the whole matrix. */
  cases(filters: Filters, long: boolean): Case[];
  /** What `--short` leaves of these; all, where a scenario says nothing. */
  short?(cases: Case[]): Case[];
  /** A case in a few words, for progress. */
  describe(one: Case): string;
  /** Throws BenchError; ERR_BENCH_VOID when the accounts don't hold. */
  run(one: Case, options: Arguments): Promise<Outcome<Result>>;
  /** A result in a few words, for progress. */
  progress(result: Result): string;
  /** The table on stdout: its head, and the line of a result. Each ends in a newline. */
  tableHead(): string;
  tableLine(result: Result): string;
  /** Pure. `results` has at least one case. */
  report(results: Results<Result>): Section;
  /** What it has measured for rows of the target table. */
  figures?(results: Results<Result>): Figures;
}
