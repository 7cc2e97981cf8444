/**
 * Established traffic of one worker. Flows come in uniformly random order, the table is filled
 * through the packet path (UDP by the packets that carry the client's address, TCP by handshakes),
 * and every packet is accounted for by the director's counters, or the case is void.
 */
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { countName, grouped, markdownTable, provenance, textLine } from '../markdown.js';
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
import { logPlot } from '../plot.js';
import { type Calm, quiet } from '../quiet.js';
import { DPVS_FLOOR_NS, dpvsNs, type Figures, targetOf } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

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

export interface ForwardCase {
  mode: string;
  protocol: string;
  family: string;
  flows: string;
  bytes: string;
  direction: string;
}

const MODES = ['nat', 'dr', 'tun', 'fullnat', 'enat'];
const FLOWS = ['1000', '100000', '1000000', '10000000'];

/** What may be asked for, and (but for flows) all there is. */
const MATRIX: Record<keyof ForwardCase, string[]> = {
  mode: MODES,
  protocol: ['udp', 'tcp'],
  family: ['4', '6'],
  flows: FLOWS,
  bytes: ['64', '512', '1500', 'imix'],
  direction: ['request', 'reply', 'mixed'],
};

function short(): ForwardCase[] {
  const small = FLOWS.slice(0, 3);
  const cases: ForwardCase[] = [];
  const add = (part: Partial<ForwardCase>, flows: string[]) => {
    for (const count of flows) {
      cases.push({
        mode: 'fullnat',
        protocol: 'udp',
        family: '4',
        bytes: '64',
        direction: 'request',
        ...part,
        flows: count,
      });
    }
  };
  add({}, FLOWS);
  add({ protocol: 'tcp' }, small);
  for (const mode of ['dr', 'tun', 'nat', 'enat']) add({ mode }, small);
  add({ direction: 'mixed' }, small);
  add({ direction: 'reply' }, ['100000']);
  add({ mode: 'nat', protocol: 'tcp', direction: 'reply' }, ['100000']);
  for (const bytes of ['512', '1500', 'imix']) add({ bytes }, ['100000']);
  add({ family: '6' }, small);
  add({ family: '6', mode: 'dr' }, small);
  return cases;
}

/** udp6 is UDP over IPv6. */
function withFamily(protocol: string, family: string | number): string {
  return String(family) === '6' ? `${protocol}6` : protocol;
}

/** Replies pass the director in NAT and FullNAT only; ENAT is IPv4's alone. */
function canBe(one: ForwardCase): boolean {
  if (one.mode === 'enat' && one.family === '6') return false;
  return one.direction === 'request' || one.mode === 'nat' || one.mode === 'fullnat';
}

function matrix(filters: Filters): ForwardCase[] {
  let cases: Partial<ForwardCase>[] = [{}];
  for (const name of Object.keys(MATRIX) as (keyof ForwardCase)[]) {
    const values = filters[name] ?? MATRIX[name];
    cases = cases.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return (cases as ForwardCase[]).filter(canBe);
}

function check(filters: Filters): void {
  for (const [name, values] of Object.entries(filters)) {
    const known = MATRIX[name as keyof ForwardCase];
    for (const value of values) {
      const good = name === 'flows' ? /^[1-9]\d{0,7}$/.test(value) : known.includes(value);
      if (good) continue;
      const choice = name === 'flows' ? 'a number' : known.join(', ');
      throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${choice}`);
    }
  }
}

interface NativeForward extends NativeCase {
  director: NativeRun[];
  floor: NativeRun[];
  offered: number;
  accounted: number;
  transparentHugeKiB: number;
}

function summarise(native: NativeForward & NativeHost & { calm: Calm }): Outcome<ForwardResult> {
  requireAccounts(native);
  const ns = native.director.map(nsOf);
  const { mode, protocol, family, flows, bytes, direction, offered, accounted } = native;
  const { tscHz, transparentHugeKiB, calm } = native;
  return {
    result: {
      scenario: 'forward',
      mode,
      protocol,
      family,
      flows,
      bytes,
      direction,
      nsPerPacket: round(median(ns), 2),
      madNs: round(mad(ns), 2),
      floorNs: round(median(native.floor.map(nsOf)), 2),
      cyclesPerPacket: round((median(ns) * tscHz) / 1e9, 1),
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

async function run(one: ForwardCase, options: Arguments): Promise<Outcome<ForwardResult>> {
  const { mode, protocol, family, flows, bytes, direction } = one;
  const args = ['forward', ...commonArguments(options)];
  for (const [name, value] of Object.entries({ mode, protocol, family, flows, bytes, direction })) {
    args.push(`--${name}`, value);
  }
  const kind = [withFamily(protocol, family), bytes, direction].join();
  const measure = () => runNative<NativeForward>(args);
  return summarise(await quiet.measure(kind, options, ['offered', 'accounted'], measure));
}

const MODE_NAMES: Record<string, string> = {
  nat: 'NAT',
  dr: 'DR',
  tun: 'TUN IPIP',
  fullnat: 'FullNAT',
  enat: 'ENAT',
};

function nameOf({ mode, protocol, family, direction }: Omit<NativeCase, 'flows' | 'bytes'>) {
  const what = direction === 'mixed' ? ', requests and replies in turn' : '';
  const kind = `${MODE_NAMES[mode]} ${protocol.toUpperCase()}${family === 6 ? ' over IPv6' : ''}`;
  return `${kind}${direction === 'reply' ? ' replies' : what}`;
}

function targetNs(result: ForwardResult): number | undefined {
  return targetOf(result)?.goal.most;
}

function row(result: ForwardResult): string[] {
  const dpvs = dpvsNs(result);
  const target = targetNs(result);
  return [
    nameOf(result),
    countName(result.flows),
    String(result.bytes),
    `**${result.nsPerPacket.toFixed(1)}** ± ${result.madNs.toFixed(1)}`,
    result.floorNs.toFixed(1),
    result.cyclesPerPacket.toFixed(0),
    (1e3 / result.nsPerPacket).toFixed(1),
    target === undefined ? '–' : `≤ ${target}`,
    dpvs === undefined ? '–' : String(dpvs),
    dpvs === undefined ? '–' : `${(dpvs / result.nsPerPacket).toFixed(1)} ×`,
  ];
}

/** Requests of 64 bytes: ours, and DPVS's dashed where it was measured. */
function plot(results: readonly ForwardResult[]): string {
  const plain = results.filter(
    ({ bytes, direction, family }) => bytes === 64 && direction === 'request' && family === 4,
  );
  const series = [...new Set(plain.map(nameOf))].flatMap((name) => {
    const ours = plain.filter((one) => nameOf(one) === name);
    const dpvs = ours.flatMap((one) => {
      const ns = dpvsNs(one);
      return ns === undefined ? [] : [{ x: one.flows, y: ns }];
    });
    const points = ours.map(({ flows, nsPerPacket }) => ({ x: flows, y: nsPerPacket }));
    return [
      { name: `Sluice ${name}`, group: name, dashed: false, points },
      { name: `DPVS ${name}`, group: name, dashed: true, points: dpvs },
    ];
  });
  const floor = round(median(plain.map(({ floorNs }) => floorNs)), 1);
  return logPlot({
    title: 'ns a packet, floor included, by flows in the table',
    series,
    lines: [{ name: `floor ${floor} ns`, y: floor }],
    xName: countName,
  });
}

const HEAD = ['', 'flows', 'frame B', 'ns a packet', 'floor', 'TSC cycles', 'Mpps', 'target'];

function report(results: Results<ForwardResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const offered = all.reduce((sum, one) => sum + one.offered, 0);
  const markdown = `## forward: established traffic, one worker

${provenance(results)} Median ± median absolute deviation of ${all[0]!.runs} runs, each beside a run of the floor.

![ns a packet by flows](plots/forward.svg)

${markdownTable([...HEAD, 'DPVS ns', 'DPVS ÷ Sluice'], all.map(row))}

- The port is a DPDK null device whose receive function makes each frame (the flow's address and port and both checksums written into a template) and whose transmit function reads every byte that leaves. The **floor** is macswap alone on this port, in turn with the director's runs; every figure includes it. DPVS's floor, on a port made in the same way, was ${DPVS_FLOOR_NS} ns.
- Flows come in uniformly random order; in the mixed rows a request and a reply of independent random flows alternate within each burst. The table is filled through the packet path before, expiry runs, counters and clock are those of the live loop. The table has room for 1 M connections, the configuration's default, or for as many flows as there are.
- Frame sizes include the FCS; IMIX is 7 of 64, 4 of 594, 1 of 1518; in IPv6 the shortest of UDP is 66 and of TCP 78. TCP segments belong to established connections and carry no client address any more.
- Every packet offered is found in the counters as forwarded in its own way, and as a frame that left; else the case is void and the run fails. ${grouped(offered)} packets were, here.
- Each figure comes from [results/forward.json](results/forward.json).
`;
  return { markdown, plots: { forward: plot(all) } };
}

function figures({ cases }: Results<ForwardResult>): Figures {
  const found: Figures = {};
  for (const { result } of cases) {
    const row = targetOf(result);
    if (row === undefined) continue;
    found[row.target.id] ??= {};
    found[row.target.id]![row.goal.at] = {
      value: round(result.nsPerPacket, 1),
      floor: round(result.floorNs, 1),
    };
  }
  return found;
}

export const forward: Scenario<ForwardCase, ForwardResult> = {
  name: 'forward',
  about: 'established traffic of one worker: mode × protocol × flows × frame size × direction',
  filters: ['mode', 'protocol', 'family', 'flows', 'bytes', 'direction'],
  /** Filters narrow the usual selection; where nothing of it is left, the whole matrix. */
  cases(filters, long) {
    check(filters);
    if (long) return matrix(filters);
    const left = short().filter((one) =>
      (Object.keys(MATRIX) as (keyof ForwardCase)[]).every(
        (name) => filters[name]?.includes(one[name]) ?? true,
      ),
    );
    return left.length > 0 ? left : matrix(filters);
  },
  short: (cases) =>
    cases.filter(({ mode, flows, bytes, direction }) => {
      const ends = flows === '1000' || flows === '1000000';
      return ends && bytes === '64' && direction === 'request' && mode !== 'enat';
    }),
  describe: ({ mode, protocol, family, flows, bytes, direction }) =>
    `${mode} ${withFamily(protocol, family)} ${grouped(Number(flows))} flows, ${bytes} B, ${direction}`,
  run,
  progress: ({ nsPerPacket, floorNs }) => `${nsPerPacket} ns, floor ${floorNs}`,
  tableHead: () => textLine('', ['ns/packet', '± MAD', 'floor', 'cycles', 'DPVS', 'target']),
  tableLine(result) {
    const { mode, protocol, family, flows, bytes, direction } = result;
    return textLine(
      `${mode} ${withFamily(protocol, family)} ${direction}, ${flows} flows, ${bytes} B`,
      [
        result.nsPerPacket.toFixed(1),
        result.madNs.toFixed(1),
        result.floorNs.toFixed(1),
        result.cyclesPerPacket.toFixed(0),
        String(dpvsNs(result) ?? '–'),
        String(targetNs(result) ?? '–'),
      ],
    );
  },
  report,
  figures,
};
