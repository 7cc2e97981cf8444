/**
 * Time in the director, from a packet's arrival to its transmission, at a share of the capacity that
 * is measured first; with a worker that polls always and with one that sleeps when nothing comes.
 * `sparse` is 300 packets a second: each finds a worker that has backed off. 0 is silence.
 */
import type { Arguments, Filter, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { markdownTable, provenance, textLine } from '../markdown.js';
import {
  circumstancesOf,
  commonArguments,
  type NativeCase,
  type NativeHost,
  type NativeRun,
  nsOf,
  requireAccounts,
  runNative,
  shareOf,
} from '../native.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { median, round } from '../statistics.js';

export interface LatencyResult {
  scenario: 'latency';
  mode: string;
  protocol: string;
  flows: number;
  /** Percent of the capacity that arrives. */
  load: number;
  /** Packets a second. */
  pps: number;
  /** Longest sleep of an idle worker, µs; 0: it polls always. */
  idle: number;
  /** Medians of the runs, and the worst of all; null where no packet comes. */
  p50Ns: number | null;
  p99Ns: number | null;
  p999Ns: number | null;
  maxNs: number | null;
  /** macswap alone at the same rate; null where that is not measured. */
  floorP50Ns: number | null;
  floorP99Ns: number | null;
  /** Part of the time that the worker used its core. */
  cpuShare: number;
  /** Part of the packets that found the receive ring full. */
  missed: number;
  /** At full speed: the capacity. */
  nsPerPacket: number;
  floorNs: number;
  runs: number;
  /** Packets given to the director in its measured runs, and what its counters account for. */
  offered: number;
  accounted: number;
}

interface LatencyCase {
  mode: string;
  load: string;
  idle: string;
}

interface NativeArrivals {
  offered: number;
  missed: number;
  cycles: number;
  cpuNs: number;
  p50Cycles: number;
  p99Cycles: number;
  p999Cycles: number;
  maxCycles: number;
}

interface NativeLatency extends NativeCase {
  sleepUs: number;
  director: NativeRun[];
  floor: NativeRun[];
  paced: NativeArrivals[];
  pacedFloor: NativeArrivals[];
  offered: number;
  accounted: number;
}

const SPARSE_PPS = 300;
const FLOWS = '100000';
const MODES = ['fullnat', 'nat', 'dr', 'tun', 'enat'];
/** Sleeps by load: where packets come all the time, a longer one would never be slept. */
const IDLE: Record<string, string[]> = {
  '10': ['0', '50'],
  '50': ['0', '50'],
  '90': ['0', '50'],
  sparse: ['0', '50', '500'],
  '0': ['0', '50', '500'],
};

function matrix(modes: readonly string[], loads: readonly string[]): LatencyCase[] {
  return modes.flatMap((mode) =>
    loads.flatMap((load) => IDLE[load]!.map((idle) => ({ mode, load, idle }))),
  );
}

function check(name: string, values: readonly string[] | undefined, known: readonly string[]) {
  for (const value of values ?? []) {
    if (known.includes(value)) continue;
    throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${known.join(', ')}`);
  }
}

function cases(filters: Filters, long: boolean): LatencyCase[] {
  const loads = ['10', '50', '90', 'sparse', '0'];
  check('mode', filters.mode, MODES);
  check('load', filters.load, loads);
  return matrix(filters.mode ?? (long ? MODES : ['fullnat']), filters.load ?? loads);
}

function summarise(native: NativeLatency & NativeHost): Outcome<LatencyResult> {
  requireAccounts(native);
  const { mode, protocol, flows, sleepUs, director, floor, paced, pacedFloor, tscHz } = native;
  const ns = (cycles: number) => Math.round((cycles / tscHz) * 1e9);
  const total = (of: (run: NativeArrivals) => number) =>
    paced.reduce((sum, run) => sum + of(run), 0);
  const offered = total((run) => run.offered);
  const seconds = total(({ cycles }) => cycles) / tscHz;
  const middle = (runs: readonly NativeArrivals[], of: (run: NativeArrivals) => number) =>
    offered === 0 || runs.length === 0 ? null : ns(median(runs.map(of)));
  const capacityNs = median(director.map(nsOf));
  const pps = Math.round(offered / seconds);
  return {
    result: {
      scenario: 'latency',
      mode,
      protocol,
      flows,
      load: Number(((pps * capacityNs) / 1e7).toPrecision(2)),
      pps,
      idle: sleepUs,
      p50Ns: middle(paced, ({ p50Cycles }) => p50Cycles),
      p99Ns: middle(paced, ({ p99Cycles }) => p99Cycles),
      p999Ns: middle(paced, ({ p999Cycles }) => p999Cycles),
      maxNs: offered === 0 ? null : ns(Math.max(...paced.map(({ maxCycles }) => maxCycles))),
      floorP50Ns: middle(pacedFloor, ({ p50Cycles }) => p50Cycles),
      floorP99Ns: middle(pacedFloor, ({ p99Cycles }) => p99Cycles),
      cpuShare: round(Math.min(1, total(({ cpuNs }) => cpuNs) / 1e9 / seconds), 3),
      missed: offered === 0 ? 0 : round(total(({ missed }) => missed) / offered, 5),
      nsPerPacket: round(capacityNs, 1),
      floorNs: round(median(floor.map(nsOf)), 1),
      runs: paced.length,
      offered: native.offered,
      accounted: native.accounted,
    },
    circumstances: circumstancesOf(native, { share: shareOf([...director, ...floor], tscHz) }),
  };
}

async function run(one: LatencyCase, options: Arguments): Promise<Outcome<LatencyResult>> {
  const { mode, load, idle } = one;
  const rate = load === 'sparse' ? ['--pps', String(SPARSE_PPS)] : ['--load', load];
  const which = ['--mode', mode, '--flows', FLOWS, '--sleep', idle, ...rate];
  return summarise(
    await runNative<NativeLatency>(['latency', ...commonArguments(options), ...which]),
  );
}

const us = (ns: number | null) => (ns === null ? '–' : (ns / 1000).toFixed(1));
const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const idleName = (idle: number) => (idle === 0 ? 'polls' : `sleeps ${idle} µs`);

function row(one: LatencyResult): string[] {
  return [
    one.mode,
    `${one.load} %`,
    idleName(one.idle),
    us(one.p50Ns),
    us(one.p99Ns),
    us(one.p999Ns),
    us(one.maxNs),
    `${us(one.floorP50Ns)} / ${us(one.floorP99Ns)}`,
    percent(one.cpuShare),
    percent(one.missed),
    one.nsPerPacket.toFixed(1),
  ];
}

const HEAD = ['mode', 'load', 'worker', 'p50 µs', 'p99', 'p99.9', 'max', 'floor p50 / p99'];

function report(results: Results<LatencyResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const markdown = `## latency: time in the director

${provenance(results)} Medians of ${all[0]!.runs} runs, and the worst of all.

${markdownTable([...HEAD, 'CPU', 'missed', 'ns at full speed'], all.map(row))}

- ${all[0]!.protocol.toUpperCase()} requests of 64 bytes of ${all[0]!.flows.toLocaleString('en').replaceAll(',', ' ')} flows in random order. They arrive by a Poisson process whether or not the worker polls; latency runs from the arrival to the transmit function, so the wait for the worker's next turn is part of it. Load is the share of the capacity that the same process measures first. **Floor**: macswap alone, at the same rate on the same port; what it has at p99 is the machine's.
- A worker that has seen no packet for 1 ms sleeps for as long as \`idle.sleep\` says, and looks again: that and the kernel's wake-up bound what a packet waits more. CPU is the time that the worker ran, of the time that it could have had.
- While other programs have the core the arrivals' clock stands still. Missed packets found all 1 024 descriptors of the receive ring in use.
- Each figure comes from [results/latency.json](results/latency.json).
`;
  return { markdown, plots: {} };
}

export const latency: Scenario<LatencyCase, LatencyResult> = {
  name: 'latency',
  about: 'time in the director by load, and an idle worker: mode × load × sleep',
  filters: ['mode', 'load'] as readonly Filter[],
  cases,
  describe: ({ mode, load, idle }) =>
    `${mode} at ${load === 'sparse' ? `${SPARSE_PPS} pps` : `${load} %`}, ${idleName(Number(idle))}`,
  run,
  progress: (one) =>
    `p50 ${us(one.p50Ns)} µs, p99 ${us(one.p99Ns)} µs, CPU ${percent(one.cpuShare)}`,
  tableHead: () => textLine('', ['p50 µs', 'p99', 'p99.9', 'max', 'floor p99', 'CPU'], 34),
  tableLine: (one) =>
    textLine(
      `${one.mode} ${one.load} %, ${idleName(one.idle)}`,
      [
        us(one.p50Ns),
        us(one.p99Ns),
        us(one.p999Ns),
        us(one.maxNs),
        us(one.floorP99Ns),
        percent(one.cpuShare),
      ],
      34,
    ),
  report,
};
