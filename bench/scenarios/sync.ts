/** What connection sync costs: the thread that tells and hears, and the workers. */
import type { Arguments, Filters } from '../arguments.js';
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
import { mad, median, round } from '../statistics.js';

/** One case as `--json` prints it; ns a connection, medians of the runs. */
export interface SyncResult {
  scenario: 'sync';
  family: 4 | 6;
  /** In the worker's table while it adopts and tells. */
  connections: number;
  /** Sync thread: from the worker's ring into the kernel, and from the kernel into the ring. */
  sendNs: number;
  sendMadNs: number;
  receiveNs: number;
  receiveMadNs: number;
  /** Worker: from the ring into its table, and from its table into the ring. */
  adoptNs: number;
  adoptMadNs: number;
  tellNs: number;
  tellMadNs: number;
  /** By the slower of the thread's two sides. */
  connectionsPerSecond: number;
  /**
   * A worker that forwards flat out, ns a packet, with 200 000 new connections a second among its
   * packets: without sync and with it, and the part of its speed that is lost (median of the rounds).
   */
  aloneNs: number;
  syncedNs: number;
  lostShare: number;
  newPerSecond: number;
  /** Of those that began in the runs with sync, and for which the ring had no room. */
  toldShare: number;
  overflowed: number;
  /** Turns of the worker without sync, and while everything was told to a peer, µs: p99.9, longest. */
  quietTurnUs: number;
  quietLongestUs: number;
  bulkTurnUs: number;
  bulkLongestUs: number;
  bulkTold: number;
  rounds: number;
  runs: number;
  offered: number;
  accounted: number;
}

interface NativeSync {
  connections: number;
  send: NativeRun[];
  receive: NativeRun[];
  adopt: NativeRun[];
  tell: NativeRun[];
  offered: number;
  accounted: number;
}

interface NativeForward {
  connections: number;
  alone: NativeRun[];
  synced: NativeRun[];
  begun: number;
  told: number;
  overflowed: number;
  quietNs: number;
  quietMostNs: number;
  bulkNs: number;
  bulkMostNs: number;
  bulkTold: number;
  offered: number;
  accounted: number;
}

const sum = <T>(of: readonly T[], what: (one: T) => number) =>
  of.reduce((total, one) => total + what(one), 0);
const cpuSeconds = (runs: readonly NativeRun[]) => sum(runs, ({ cpuNs }) => cpuNs) / 1e9;

/** With and without in one process, so that neighbouring runs are compared. */
function forwarding(rounds: readonly NativeForward[]) {
  for (const round of rounds) requireAccounts(round);
  const middle = (runs: readonly NativeRun[]) => median(runs.map(nsOf));
  const of = (what: (one: NativeForward) => number, digits: number) =>
    round(median(rounds.map(what)), digits);
  return {
    aloneNs: of(({ alone }) => middle(alone), 1),
    syncedNs: of(({ synced }) => middle(synced), 1),
    lostShare: of(({ alone, synced }) => 1 - middle(alone) / middle(synced), 4),
    newPerSecond: of(({ begun, synced }) => begun / cpuSeconds(synced), 0),
    toldShare: of(({ begun, told }) => told / begun, 3),
    overflowed: sum(rounds, ({ overflowed }) => overflowed),
    quietTurnUs: of(({ quietNs }) => quietNs / 1000, 1),
    quietLongestUs: round(Math.max(...rounds.map(({ quietMostNs }) => quietMostNs)) / 1000, 0),
    bulkTurnUs: of(({ bulkNs }) => bulkNs / 1000, 1),
    bulkLongestUs: round(Math.max(...rounds.map(({ bulkMostNs }) => bulkMostNs)) / 1000, 0),
    bulkTold: of(({ bulkTold }) => bulkTold, 0),
    rounds: rounds.length,
  };
}

function summarise(
  family: SyncResult['family'],
  native: NativeSync & NativeHost,
  rounds: readonly (NativeForward & NativeHost)[],
): Outcome<SyncResult> {
  requireAccounts(native);
  const { send, receive, adopt, tell } = native;
  const ns = (runs: NativeRun[]) => round(median(runs.map(nsOf)), 1);
  const spread = (runs: NativeRun[]) => round(mad(runs.map(nsOf)), 1);
  const slower = Math.max(ns(send), ns(receive));
  return {
    result: {
      scenario: 'sync',
      family,
      connections: native.connections,
      sendNs: ns(send),
      sendMadNs: spread(send),
      receiveNs: ns(receive),
      receiveMadNs: spread(receive),
      adoptNs: ns(adopt),
      adoptMadNs: spread(adopt),
      tellNs: ns(tell),
      tellMadNs: spread(tell),
      connectionsPerSecond: Math.round(1e9 / slower),
      ...forwarding(rounds),
      runs: send.length,
      offered: native.offered + sum(rounds, ({ offered }) => offered),
      accounted: native.accounted + sum(rounds, ({ accounted }) => accounted),
    },
    circumstances: circumstancesOf(native, {
      share: shareOf(
        [
          ...[...send, ...receive, ...adopt, ...tell],
          ...rounds.flatMap(({ alone, synced }) => [...alone, ...synced]),
        ],
        native.tscHz,
      ),
    }),
  };
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function report(results: Results<SyncResult>): Section {
  const parts = results.cases.map(({ result: r }) => [
    name(r),
    `**${r.sendNs}** ± ${r.sendMadNs}`,
    `**${r.receiveNs}** ± ${r.receiveMadNs}`,
    `**${r.tellNs}** ± ${r.tellMadNs}`,
    `**${r.adoptNs}** ± ${r.adoptMadNs}`,
    `**${grouped(r.connectionsPerSecond)}**`,
  ]);
  const forwards = results.cases.map(({ result: r }) => [
    name(r),
    r.aloneNs.toFixed(1),
    r.syncedNs.toFixed(1),
    `**${percent(r.lostShare)}**`,
    grouped(r.newPerSecond),
    `${percent(r.toldShare)}, ${grouped(r.overflowed)} without room`,
    `${r.quietTurnUs} (${grouped(r.quietLongestUs)})`,
    `${r.bulkTurnUs} (${grouped(r.bulkLongestUs)})`,
    grouped(r.bulkTold),
  ]);
  const [first] = results.cases;
  const markdown = `## sync: telling another director of connections

${provenance(results)}

${markdownTable(
  [
    'ns a connection',
    'sync thread: ring → datagram → kernel',
    'sync thread: kernel → checked, resolved → ring',
    'worker: connection → ring',
    'worker: ring → connection',
    'connections a second a core, by the slower side of the thread',
  ],
  parts,
)}

- Thread CPU time. The datagrams go through the kernel's loopback interface and are sealed and checked.
- Worker: ${grouped(first?.result.connections ?? 0)} established FullNAT connections, each adopted as news of one that is known, and told by a sweep over the table.

A worker that forwards flat out, ns a packet:

${markdownTable(
  [
    '',
    'without sync',
    'with sync',
    'speed lost',
    'new connections a second',
    'told of those begun',
    'turn p99.9 µs (longest), without sync',
    'while everything is told',
    'told then',
  ],
  forwards,
)}

- FullNAT UDP of 100 000 flows in random order, and new connections among them, as many a second of the worker's time as the table says, each of two packets 10 ms apart. The live sync thread seals and sends on another CPU; default settings. ${first?.result.rounds} processes, each first without and then with sync; medians, and the median of their own shares.
- While everything is told, as to a backup that joins, packets go on. A turn, of up to 32 packets, is measured by the thread's own clock, which holds interrupts and what the host does meanwhile, too.
- Each figure comes from [results/sync.json](results/sync.json).
`;
  return { markdown, plots: {} };
}

const name = ({ family }: SyncResult) => `IPv${family}`;

function figures({ cases }: Results<SyncResult>): Figures {
  const [first] = cases.filter(({ result }) => result.family !== 6);
  if (!first) return {};
  const { connectionsPerSecond, lostShare, newPerSecond } = first.result;
  return {
    sync: {
      'a second': { value: connectionsPerSecond },
      'speed lost': { value: lostShare, note: `at ${countName(newPerSecond)} new` },
    },
  };
}

/** Processes that forward with and without. */
const ROUNDS = 5;

interface SyncCase {
  family: SyncResult['family'];
  /** In the worker's table; undefined: sluice_bench's own number. */
  connections: string | undefined;
}

function cases(filters: Filters): SyncCase[] {
  const families = (filters.family ?? ['4', '6']).map((family): SyncResult['family'] => {
    if (family === '4' || family === '6') return family === '4' ? 4 : 6;
    throw new BenchError('ERR_BENCH_ARGUMENT', `--family ${family}: 4 or 6`);
  });
  for (const value of filters.connections ?? []) {
    if (/^[1-9]\d{3,6}$/.test(value) && Number(value) <= 1_000_000) continue;
    throw new BenchError(
      'ERR_BENCH_ARGUMENT',
      `--connections ${value}: a number from 1000 to 1000000`,
    );
  }
  const counts = filters.connections ?? [undefined];
  return families.flatMap((family) => counts.map((connections) => ({ family, connections })));
}

export const sync: Scenario<SyncCase, SyncResult> = {
  name: 'sync',
  about: 'connection sync: what the thread and the workers spend on a connection',
  filters: ['family', 'connections'],
  cases,
  describe: ({ family }) => `IPv${family}, thread and worker`,
  run: async ({ family, connections }, options: Arguments) => {
    const common = ['--family', String(family), ...commonArguments(options)];
    const args = ['sync', ...common];
    if (connections !== undefined) args.push('--connections', connections);
    const native = await runNative<NativeSync>(args);
    const rounds: (NativeForward & NativeHost)[] = [];
    for (let left = ROUNDS; left > 0; left--) {
      rounds.push(await runNative<NativeForward>(['sync-forward', ...common]));
    }
    return summarise(family, native, rounds);
  },
  progress: ({ sendNs, receiveNs, tellNs, adoptNs, lostShare }) =>
    `send ${sendNs} ns, receive ${receiveNs} ns; worker: tell ${tellNs} ns, adopt ${adoptNs} ns, ${percent(lostShare)} of its speed`,
  tableHead: () =>
    textLine('', ['send ns', 'receive ns', 'tell ns', 'adopt ns', 'a second', 'lost']),
  tableLine: (r) =>
    textLine(`sync ${name(r)}`, [
      r.sendNs.toFixed(1),
      r.receiveNs.toFixed(1),
      r.tellNs.toFixed(1),
      r.adoptNs.toFixed(1),
      String(r.connectionsPerSecond),
      percent(r.lostShare),
    ]),
  report,
  figures,
};
