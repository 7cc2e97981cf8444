/** What connection sync costs: the thread that tells and hears, and the workers. */
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { markdownTable, provenance, textLine } from '../markdown.js';
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
  /** Of a worker's core that tells of 200 000 new connections a second, and of one that adopts them. */
  tellShare: number;
  adoptShare: number;
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

/** New connections a second that the target speaks of. */
const RATE = 200_000;

function summarise(native: NativeSync & NativeHost): Outcome<SyncResult> {
  requireAccounts(native);
  const { send, receive, adopt, tell } = native;
  const ns = (runs: NativeRun[]) => round(median(runs.map(nsOf)), 1);
  const spread = (runs: NativeRun[]) => round(mad(runs.map(nsOf)), 1);
  const slower = Math.max(ns(send), ns(receive));
  return {
    result: {
      scenario: 'sync',
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
      tellShare: round((ns(tell) * RATE) / 1e9, 4),
      adoptShare: round((ns(adopt) * RATE) / 1e9, 4),
      runs: send.length,
      offered: native.offered,
      accounted: native.accounted,
    },
    circumstances: circumstancesOf(native, {
      share: shareOf([...send, ...receive, ...adopt, ...tell], native.tscHz),
    }),
  };
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function report(results: Results<SyncResult>): Section {
  const rows = results.cases.flatMap(({ result: r }) => [
    ['sync thread: ring → datagram → kernel', `**${r.sendNs}** ± ${r.sendMadNs}`, ''],
    [
      'sync thread: kernel → checked, resolved → ring',
      `**${r.receiveNs}** ± ${r.receiveMadNs}`,
      '',
    ],
    ['worker: connection → ring', `**${r.tellNs}** ± ${r.tellMadNs}`, percent(r.tellShare)],
    ['worker: ring → connection', `**${r.adoptNs}** ± ${r.adoptMadNs}`, percent(r.adoptShare)],
  ]);
  const [first] = results.cases;
  const markdown = `## sync: telling another director of connections

${provenance(results)}

${markdownTable(['', 'ns a connection', 'of a core at 200 K new a second'], rows)}

- Thread CPU time. The datagrams go through the kernel's loopback interface and are sealed and checked; the slower side makes ${first?.result.connectionsPerSecond.toLocaleString('en').replaceAll(',', ' ')} connections a second a core.
- Worker: ${first?.result.connections.toLocaleString('en').replaceAll(',', ' ')} established FullNAT connections, each adopted as news of one that is known, and told by a sweep over the table. The shares of a core are these figures times the rate; packets are not forwarded meanwhile.
- Each figure comes from [results/sync.json](results/sync.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases }: Results<SyncResult>): Figures {
  const [first] = cases;
  if (!first) return {};
  const { connectionsPerSecond, tellShare } = first.result;
  return {
    sync: {
      'a second': { value: connectionsPerSecond },
      'share at 200 K': { value: tellShare, note: 'worker’s part, without packets' },
    },
  };
}

/** Connections in the worker's table; undefined: sluice_bench's own number. */
type SyncCase = string | undefined;

function cases(filters: Filters): SyncCase[] {
  for (const value of filters.connections ?? []) {
    if (/^[1-9]\d{3,6}$/.test(value) && Number(value) <= 1_000_000) continue;
    throw new BenchError(
      'ERR_BENCH_ARGUMENT',
      `--connections ${value}: a number from 1000 to 1000000`,
    );
  }
  return filters.connections ?? [undefined];
}

export const sync: Scenario<SyncCase, SyncResult> = {
  name: 'sync',
  about: 'connection sync: what the thread and the workers spend on a connection',
  filters: ['connections'],
  cases,
  describe: () => 'thread and worker',
  run: async (connections, options: Arguments) => {
    const args = ['sync', ...commonArguments(options)];
    if (connections !== undefined) args.push('--connections', connections);
    return summarise(await runNative<NativeSync>(args));
  },
  progress: ({ sendNs, receiveNs, tellNs, adoptNs }) =>
    `send ${sendNs} ns, receive ${receiveNs} ns; worker: tell ${tellNs} ns, adopt ${adoptNs} ns`,
  tableHead: () => textLine('', ['send ns', 'receive ns', 'tell ns', 'adopt ns', 'a second']),
  tableLine: (r) =>
    textLine('sync', [
      r.sendNs.toFixed(1),
      r.receiveNs.toFixed(1),
      r.tellNs.toFixed(1),
      r.adoptNs.toFixed(1),
      String(r.connectionsPerSecond),
    ]),
  report,
  figures,
};
