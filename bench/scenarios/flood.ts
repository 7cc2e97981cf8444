/**
 * Legitimate traffic under a flood: four in five of its packets belong to connections that are
 * established, the fifth to new ones that begin and end. Both arrive at a rate of their own, with
 * the flood and without; a packet counts as served when it left for the server and by the local
 * port that its connection began with.
 */
import type { Arguments, Filter, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { countName, grouped, markdownTable, provenance, textLine } from '../markdown.js';
import {
  circumstancesOf,
  commonArguments,
  type NativeHost,
  type NativeRun,
  nsOf,
  requireAccounts,
  runNative,
  shareOf,
} from '../native.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { median, round } from '../statistics.js';

export interface FloodResult {
  scenario: 'flood';
  mode: string;
  /** Of the legitimate traffic and of the flood. */
  protocol: string;
  kind: string;
  /** Packets of the flood for each legitimate one. */
  factor: number;
  /** Legitimate packets served ÷ offered, all and each kind; medians of the runs. */
  goodput: number;
  establishedGoodput: number;
  newGoodput: number;
  /** Of the worst run. */
  leastGoodput: number;
  /** Part of all packets that found the receive ring full. */
  missed: number;
  /** At full speed with this mix, floor included; median of the runs. */
  nsPerPacket: number;
  /** From arrival to transmission of legitimate packets; medians of the runs, and the worst. */
  p50Ns: number;
  p99Ns: number;
  maxNs: number;
  /** The same without the flood, at the same legitimate rate. */
  quietP50Ns: number;
  quietP99Ns: number;
  quietMaxNs: number;
  quietGoodput: number;
  floorNs: number;
  /** Connections that gave way in the measured runs. */
  evicted: number;
  /** Packets a second that arrived. */
  legitimatePps: number;
  floodPps: number;
  runs: number;
  /** Packets given to the director in its measured runs, and what its counters account for. */
  offered: number;
  accounted: number;
}

interface FloodCase {
  mode: string;
  protocol: string;
  factor: string;
}

interface NativeArrivals {
  established: number;
  establishedServed: number;
  fresh: number;
  freshServed: number;
  flood: number;
  missed: number;
  unasked: number;
  evicted: number;
  cycles: number;
  p50Cycles: number;
  p99Cycles: number;
  maxCycles: number;
}

interface NativeFlood {
  mode: string;
  protocol: string;
  kind: string;
  factor: number;
  director: NativeRun[];
  floor: NativeRun[];
  quiet: NativeArrivals[];
  flooded: NativeArrivals[];
  offered: number;
  accounted: number;
}

const MATRIX = {
  mode: ['fullnat', 'nat', 'dr', 'tun', 'enat'],
  protocol: ['tcp', 'udp'],
  factor: ['1', '5', '20'],
};
const NAMES: readonly (keyof FloodCase)[] = ['mode', 'protocol', 'factor'];

function matrix(filters: Filters): FloodCase[] {
  const of = (name: keyof FloodCase) => filters[name] ?? MATRIX[name];
  return of('mode').flatMap((mode) =>
    of('protocol').flatMap((protocol) =>
      of('factor').map((factor) => ({ mode, protocol, factor })),
    ),
  );
}

/** Every factor in FullNAT, the hardest in the other modes that matter most. */
function short(): FloodCase[] {
  return matrix({}).filter(
    ({ mode, factor }) => mode === 'fullnat' || (['nat', 'dr'].includes(mode) && factor === '20'),
  );
}

function check(filters: Filters): void {
  for (const name of NAMES) {
    for (const value of filters[name] ?? []) {
      const good = name === 'factor' ? /^\d{1,3}$/.test(value) : MATRIX[name].includes(value);
      if (good) continue;
      const choice = name === 'factor' ? 'a number' : MATRIX[name].join(', ');
      throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${choice}`);
    }
  }
}

function total(runs: readonly NativeArrivals[], of: (run: NativeArrivals) => number): number {
  return runs.reduce((sum, run) => sum + of(run), 0);
}

/** Rounded down: 1 means that none was lost. */
function part(served: number, offered: number): number {
  return Math.floor((served / offered) * 1e5) / 1e5;
}

function goodputs(runs: readonly NativeArrivals[]): number[] {
  return runs.map((run) =>
    part(run.establishedServed + run.freshServed, run.established + run.fresh),
  );
}

function summarise(native: NativeFlood & NativeHost): Outcome<FloodResult> {
  requireAccounts(native);
  const { mode, protocol, kind, factor, director, floor, quiet, flooded, tscHz } = native;
  const nsOfCycles = (cycles: number) => Math.round((cycles / tscHz) * 1e9);
  const middle = (runs: readonly NativeArrivals[], of: (run: NativeArrivals) => number) =>
    nsOfCycles(median(runs.map(of)));
  const worst = (runs: readonly NativeArrivals[]) =>
    nsOfCycles(Math.max(...runs.map(({ maxCycles }) => maxCycles)));
  const seconds = total(flooded, ({ cycles }) => cycles) / tscHz;
  return {
    result: {
      scenario: 'flood',
      mode,
      protocol,
      kind,
      factor,
      goodput: median(goodputs(flooded)),
      establishedGoodput: median(
        flooded.map((run) => part(run.establishedServed, run.established)),
      ),
      newGoodput: median(flooded.map((run) => part(run.freshServed, run.fresh))),
      leastGoodput: Math.min(...goodputs(flooded)),
      missed: round(
        total(flooded, (run) => run.missed) /
          total(flooded, (run) => run.established + run.fresh + run.flood),
        5,
      ),
      nsPerPacket: round(median(director.map(nsOf)), 1),
      p50Ns: middle(flooded, ({ p50Cycles }) => p50Cycles),
      p99Ns: middle(flooded, ({ p99Cycles }) => p99Cycles),
      maxNs: worst(flooded),
      quietP50Ns: middle(quiet, ({ p50Cycles }) => p50Cycles),
      quietP99Ns: middle(quiet, ({ p99Cycles }) => p99Cycles),
      quietMaxNs: worst(quiet),
      quietGoodput: median(goodputs(quiet)),
      floorNs: round(median(floor.map(nsOf)), 1),
      evicted: total(flooded, (run) => run.evicted),
      legitimatePps: Math.round(total(flooded, (run) => run.established + run.fresh) / seconds),
      floodPps: Math.round(total(flooded, (run) => run.flood) / seconds),
      runs: flooded.length,
      offered: native.offered,
      accounted: native.accounted,
    },
    circumstances: circumstancesOf(native, { share: shareOf([...director, ...floor], tscHz) }),
  };
}

async function run(one: FloodCase, options: Arguments): Promise<Outcome<FloodResult>> {
  const { mode, protocol, factor } = one;
  const which = ['--mode', mode, '--protocol', protocol, '--factor', factor];
  return summarise(await runNative<NativeFlood>(['flood', ...commonArguments(options), ...which]));
}

const us = (ns: number) => (ns / 1000).toFixed(1);
const percent = (share: number) => `${(share * 100).toFixed(2)} %`;

function row(one: FloodResult): string[] {
  return [
    `${one.mode} ${one.kind === 'syn' ? 'SYN' : 'UDP'}`,
    `${one.factor} ×`,
    `**${percent(one.goodput)}**`,
    percent(one.establishedGoodput),
    percent(one.newGoodput),
    percent(one.leastGoodput),
    `${us(one.p50Ns)} / ${us(one.p99Ns)} / ${us(one.maxNs)}`,
    `${us(one.quietP50Ns)} / ${us(one.quietP99Ns)} / ${us(one.quietMaxNs)}`,
    grouped(one.evicted),
    countName(one.legitimatePps),
    countName(one.floodPps),
    one.nsPerPacket.toFixed(0),
    one.floorNs.toFixed(0),
  ];
}

function report(results: Results<FloodResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const markdown = `## flood: goodput while SYN or spoofed UDP overfills the table

${provenance(results)} Medians of ${all[0]!.runs} runs; maxima, the worst run and the connections that gave way of all of them.

${markdownTable(
  [
    'flood',
    'rate',
    'goodput',
    'established',
    'new',
    'worst run',
    'µs in the director p50 / p99 / max',
    'the same without the flood',
    'gave way',
    'legitimate pps',
    'flood pps',
    'ns a packet at full speed',
    'floor',
  ],
  all.map(row),
)}

- The table has room for 262 144 connections, of which 65 536 are established. Every packet of the flood comes from a client and port of its own; nobody answers it. Four in five legitimate packets belong to the established connections, the fifth to new ones that begin and end (TCP from SYN to the last ACK; UDP three or four datagrams), 5 ms from packet to packet. NAT and FullNAT see the servers' answers, too.
- Goodput is legitimate packets served ÷ offered. A packet is served if it left for the real server, and with FullNAT by the local address and port, that its connection began with. What finds the receive ring (1 024 descriptors) full is lost, and so are answers to requests that were lost.
- Packets arrive by a Poisson process. The legitimate rate is the same at every factor of a mode and protocol: what half of the director's capacity with the mix of 20 : 1 leaves it. The capacity is measured first, at full speed; ns a packet is at full speed with the row's own mix. While other programs have the core the arrivals' clock stands still; where the host keeps the whole machine from running it does not, and packets find the ring full, which the worst run shows.
- Each figure comes from [results/flood.json](results/flood.json).
`;
  return { markdown, plots: {} };
}

/** Of the hardest SYN flood, the worst mode. */
function figures({ cases }: Results<FloodResult>): Figures {
  const hardest = cases
    .map(({ result }) => result)
    .filter(({ kind, factor }) => kind === 'syn' && factor === 20)
    .sort((a, b) => a.goodput - b.goodput)[0];
  if (hardest === undefined) return {};
  return { 'syn-flood': { '': { value: hardest.goodput, note: hardest.mode } } };
}

export const flood: Scenario<FloodCase, FloodResult> = {
  name: 'flood',
  about: 'goodput and latency of legitimate traffic under a flood: mode × protocol × factor',
  filters: NAMES as readonly Filter[],
  cases(filters, long) {
    check(filters);
    if (long) return matrix(filters);
    const left = short().filter((one) =>
      NAMES.every((name) => filters[name]?.includes(one[name]) ?? true),
    );
    return left.length > 0 ? left : matrix(filters);
  },
  short: (cases) => cases.filter(({ mode, factor }) => mode === 'fullnat' && factor === '20'),
  describe: ({ mode, protocol, factor }) =>
    `${mode} ${protocol === 'tcp' ? 'SYN' : 'UDP'} at ${factor} ×`,
  run,
  progress: (one) => `goodput ${one.goodput}, p99 ${us(one.p99Ns)} µs`,
  tableHead: () =>
    textLine(
      '',
      ['goodput', 'establ.', 'new', 'worst', 'p50 µs', 'p99 µs', 'max µs', 'quiet p99'],
      28,
    ),
  tableLine: (one) =>
    textLine(
      `${one.mode} ${one.kind} ${one.factor} ×`,
      [
        one.goodput.toFixed(4),
        one.establishedGoodput.toFixed(4),
        one.newGoodput.toFixed(4),
        one.leastGoodput.toFixed(4),
        us(one.p50Ns),
        us(one.p99Ns),
        us(one.maxNs),
        us(one.quietP99Ns),
      ],
      28,
    ),
  report,
  figures,
};
