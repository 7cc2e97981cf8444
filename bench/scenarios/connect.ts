/**
 * New connections of one worker at a constant fill: each begins as another expires, and all that
 * expiry does is in the measured time. A UDP connection is its first packet; a TCP connection is
 * whole, from SYN to the last ACK, its segments 64 Ki connections apart.
 */
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
import { type Calm, quiet } from '../quiet.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

/** One case as `--json` prints it. */
export interface ConnectResult {
  scenario: 'connect';
  mode: string;
  protocol: string;
  family: number;
  /** Median of the runs: all packets of a connection and its expiry, floor included. */
  nsPerConnection: number;
  /** Median absolute deviation of the runs. */
  madNs: number;
  /** Macswap alone of as many packets as a connection has. */
  floorNs: number;
  packetsPerConnection: number;
  /** Alive while measured: those in hand and those that rest until their timeout. */
  connections: number;
  /** In the measured runs. */
  created: number;
  expired: number;
  runs: number;
  /** Packets given to the director in its measured runs, and what its counters account for. */
  offered: number;
  accounted: number;
}

export interface ConnectCase {
  mode: string;
  protocol: string;
  family: string;
  connections: string;
}

const RESTING = ['100000', '1000000', '10000000'];
const MATRIX: Record<keyof ConnectCase, string[]> = {
  mode: ['fullnat', 'nat', 'dr', 'tun', 'enat'],
  protocol: ['udp', 'tcp'],
  family: ['4'],
  connections: RESTING,
};
const DIMENSIONS = Object.keys(MATRIX) as (keyof ConnectCase)[];

/** Every mode at a million; FullNAT, whose figure is wanted, at all fills. */
function isShort({ mode, protocol, connections }: ConnectCase): boolean {
  return connections === '1000000' || (mode === 'fullnat' && protocol === 'udp');
}

function check(filters: Filters): void {
  for (const name of DIMENSIONS) {
    for (const value of filters[name] ?? []) {
      const number = /^[1-9]\d{3,8}$/.test(value);
      if (name === 'connections' ? number : MATRIX[name].includes(value)) continue;
      const choice = name === 'connections' ? 'a number from 1000 on' : MATRIX[name].join(', ');
      throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${choice}`);
    }
  }
}

function matrix(filters: Filters): ConnectCase[] {
  let cases: Partial<ConnectCase>[] = [{}];
  for (const name of DIMENSIONS) {
    const values = filters[name] ?? MATRIX[name];
    cases = cases.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return cases as ConnectCase[];
}

interface NativeConnect {
  mode: string;
  protocol: string;
  family: number;
  connections: number;
  packetsPerConnection: number;
  director: NativeRun[];
  floor: NativeRun[];
  offered: number;
  accounted: number;
  begun: number;
  created: number;
  expired: number;
  transparentHugeKiB: number;
}

function summarise(native: NativeConnect & NativeHost & { calm: Calm }): Outcome<ConnectResult> {
  requireAccounts(native);
  if (native.begun !== native.created || native.created === 0) {
    const message = `of ${native.begun} connections that began ${native.created} were made`;
    throw new BenchError('ERR_BENCH_VOID', message);
  }
  const { mode, protocol, family, packetsPerConnection, connections } = native;
  const { created, expired, offered, accounted, tscHz, transparentHugeKiB, calm } = native;
  const ofConnection = (run: NativeRun) => nsOf(run) * packetsPerConnection;
  const ns = native.director.map(ofConnection);
  return {
    result: {
      scenario: 'connect',
      mode,
      protocol,
      family,
      nsPerConnection: round(median(ns), 1),
      madNs: round(mad(ns), 1),
      floorNs: round(median(native.floor.map(ofConnection)), 1),
      packetsPerConnection,
      connections,
      created,
      expired,
      runs: ns.length,
      offered,
      accounted,
    },
    circumstances: circumstancesOf(native, {
      transparentHugeKiB,
      calm,
      share: shareOf([...native.director, ...native.floor], tscHz),
    }),
  };
}

async function run(one: ConnectCase, options: Arguments): Promise<Outcome<ConnectResult>> {
  const args = ['connect', ...commonArguments(options)];
  for (const name of ['mode', 'protocol', 'connections'] as const) {
    args.push(`--${name}`, one[name]);
  }
  const { mode, protocol, connections } = one;
  // The floor makes the same frames, from as many flows: that is in its time.
  const kind = ['connect', mode, protocol, connections].join();
  const sums = ['offered', 'accounted', 'begun', 'created', 'expired'] as const;
  const measure = () => runNative<NativeConnect>(args);
  return summarise(await quiet.measure(kind, options, sums, measure));
}

const MODE_NAMES: Record<string, string> = {
  nat: 'NAT',
  dr: 'DR',
  tun: 'TUN IPIP',
  fullnat: 'FullNAT',
  enat: 'ENAT',
};

/** DPVS 1.10 on a machine of this kind, every packet a new flow with expiry running; TCP: SYNs. */
const DPVS_NS: Record<string, string> = {
  'fullnat udp': '1 834',
  'dr udp': '1 502',
  'fullnat tcp': '2 253 (SYN alone)',
};

function dpvsOf({ mode, protocol }: ConnectResult): string {
  return DPVS_NS[`${mode} ${protocol}`] ?? '–';
}

function row(result: ConnectResult): string[] {
  const { mode, protocol, nsPerConnection, packetsPerConnection } = result;
  return [
    `${MODE_NAMES[mode]} ${protocol.toUpperCase()}`,
    countName(result.connections),
    String(packetsPerConnection),
    `**${nsPerConnection.toFixed(0)}** ± ${result.madNs.toFixed(0)}`,
    result.floorNs.toFixed(1),
    (1e3 / nsPerConnection).toFixed(2),
    (nsPerConnection / packetsPerConnection).toFixed(0),
    dpvsOf(result),
  ];
}

const HEAD = ['', 'alive', 'packets', 'ns a connection', 'floor', 'M/s', 'ns a packet', 'DPVS ns'];

function report(results: Results<ConnectResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const created = all.reduce((sum, one) => sum + one.created, 0);
  const expired = all.reduce((sum, one) => sum + one.expired, 0);
  const markdown = `## connect: new connections at a constant fill, one worker

${provenance(results)} Median ± median absolute deviation of ${all[0]!.runs} runs, each beside a run of the floor.

${markdownTable(HEAD, all.map(row))}

- As many connections expire as begin: ${grouped(created)} were made in the measured runs, ${grouped(expired)} expired in them. The clock is virtual and moves with the connections that begin, so that timeouts are the defaults (300 s for UDP, 120 s for what a finished TCP connection rests in) while the table stays at its fill; the timing wheel, the release of tuples, records and local ports are all in the figure.
- UDP: the connection's first packet, which with FullNAT and ENAT carries the client's address. TCP: handshake, a segment of data, FINs and the last ACK, five segments of the client and, where they pass the director, three of the server; a connection's next segment comes 64 Ki connections later, when its record has left the caches.
- Before anything is measured every connection has been used once more in an order without a pattern, so that records expire, and are used again, in no order that a prefetcher knows.
- Frames, port and floor are those of \`forward\`; the floor is of as many packets as a connection has. Every packet and every connection offered is found in the counters, or the case is void.
- Each figure comes from [results/connect.json](results/connect.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases }: Results<ConnectResult>): Figures {
  const found = cases.find(
    ({ result: { mode, protocol, connections } }) =>
      mode === 'fullnat' && protocol === 'udp' && countName(connections) === '1 M',
  );
  if (found === undefined) return {};
  const { nsPerConnection, floorNs, connections } = found.result;
  const note = `${countName(connections)} alive`;
  return { 'new-flow': { '': { value: nsPerConnection, floor: floorNs, note } } };
}

export const connect: Scenario<ConnectCase, ConnectResult> = {
  name: 'connect',
  about: 'new connections of one worker with expiry running: mode × protocol × connections',
  filters: ['mode', 'protocol', 'family', 'connections'],
  /** Filters narrow the usual selection; where nothing of it is left, the whole matrix. */
  cases(filters, long) {
    check(filters);
    const all = matrix(filters);
    const left = long || filters.connections !== undefined ? [] : all.filter(isShort);
    return left.length > 0 ? left : all;
  },
  short: (cases) =>
    cases.filter(({ mode, connections }) => mode === 'fullnat' && connections === '1000000'),
  describe: ({ mode, protocol, connections }) =>
    `${mode} ${protocol}, ${grouped(Number(connections))} resting`,
  run,
  progress: ({ nsPerConnection, floorNs }) => `${nsPerConnection} ns, floor ${floorNs}`,
  tableHead: () => textLine('', ['ns/conn', '± MAD', 'floor', 'packets', 'alive']),
  tableLine: (result) =>
    textLine(`connect ${result.mode} ${result.protocol}`, [
      result.nsPerConnection.toFixed(1),
      result.madNs.toFixed(1),
      result.floorNs.toFixed(1),
      String(result.packetsPerConnection),
      countName(result.connections),
    ]),
  report,
  figures,
};
