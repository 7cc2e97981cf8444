/** bench/results/*.json → bench/REPORT.md and its plots. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Environment } from './environment.js';
import { logPlot } from './plot.js';
import { DPVS_FLOOR_NS, dpvsNs, REFERENCES, targetNs } from './reference.js';
import type { Circumstances, ForwardResult, Outcome } from './scenario.js';
import { median, round } from './statistics.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const REPORT = join(HERE, 'REPORT.md');

export interface Results {
  environment: Environment;
  cases: Outcome<ForwardResult>[];
}

function resultsPath(scenario: string): string {
  return join(HERE, 'results', `${scenario}.json`);
}

export function writeResults(
  scenario: string,
  environment: Environment,
  cases: Outcome<ForwardResult>[],
): void {
  mkdirSync(join(HERE, 'results'), { recursive: true });
  writeFileSync(resultsPath(scenario), `${JSON.stringify({ environment, cases }, null, 2)}\n`);
}

function flowsName(flows: number): string {
  if (flows >= 1e6) return `${flows / 1e6} M`;
  return flows >= 1e3 ? `${flows / 1e3} K` : String(flows);
}

const MODE_NAMES: Record<string, string> = {
  nat: 'NAT',
  dr: 'DR',
  tun: 'TUN IPIP',
  fullnat: 'FullNAT',
  enat: 'ENAT',
};

function name(result: { mode: string; protocol: string; direction: string }): string {
  const { mode, protocol, direction } = result;
  const what = direction === 'mixed' ? ', requests and replies in turn' : '';
  return `${MODE_NAMES[mode]} ${protocol.toUpperCase()}${direction === 'reply' ? ' replies' : what}`;
}

function row(result: ForwardResult): string {
  const dpvs = dpvsNs(result);
  const target = targetNs(result);
  const cells = [
    name(result),
    flowsName(result.flows),
    String(result.bytes),
    `**${result.nsPerPacket.toFixed(1)}** ± ${result.madNs.toFixed(1)}`,
    result.floorNs.toFixed(1),
    result.cyclesPerPacket.toFixed(0),
    (1e3 / result.nsPerPacket).toFixed(1),
    target === undefined ? '–' : `≤ ${target}`,
    dpvs === undefined ? '–' : String(dpvs),
    dpvs === undefined ? '–' : `${(dpvs / result.nsPerPacket).toFixed(1)} ×`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function memory({ hugepages, transparentHugeKiB }: Circumstances): string {
  const packets = hugepages
    ? 'packet buffers in hugepages'
    : 'packet buffers in 4 KiB pages (no hugepages free)';
  const tables =
    transparentHugeKiB > 0 ? 'tables in transparent huge pages' : 'tables in 4 KiB pages';
  return `${packets}, ${tables}`;
}

function plot(cases: readonly Outcome<ForwardResult>[]): string {
  const plain = cases.map(({ result }) => result).filter(({ bytes }) => bytes === 64);
  const series = REFERENCES.filter(({ direction }) => direction === 'request').flatMap((each) => {
    const ours = plain.filter(
      ({ mode, protocol, direction }) =>
        mode === each.mode && protocol === each.protocol && direction === each.direction,
    );
    const points = ours.map(({ flows, nsPerPacket }) => ({ x: flows, y: nsPerPacket }));
    const dpvs = Object.entries(each.dpvs).map(([flows, ns]) => ({ x: Number(flows), y: ns! }));
    return [
      { name: `Sluice ${name(each)}`, group: each.mode + each.protocol, dashed: false, points },
      { name: `DPVS ${name(each)}`, group: each.mode + each.protocol, dashed: true, points: dpvs },
    ];
  });
  const floor = round(median(plain.map(({ floorNs }) => floorNs)), 1);
  return logPlot({
    title: 'ns a packet, floor included, by flows in the table',
    series,
    lines: [{ name: `floor ${floor} ns`, y: floor }],
    xName: flowsName,
  });
}

function forwardSection({ environment, cases }: Results): string {
  const first = cases[0]!.circumstances;
  const share = Math.min(...cases.map(({ circumstances }) => circumstances.share));
  const shared =
    share < 0.95
      ? `The core was shared with other programs while this ran (in the worst case it was the benchmark's for ${(share * 100).toFixed(0)} % of the time): the figures count the time in which the thread ran, but not what the others did to its caches.\n\n`
      : '';
  return `## forward: established traffic, one worker

Commit ${environment.commit}, ${environment.date}. ${environment.cpu}, ${environment.cores} cores, TSC ${(first.tscHz / 1e9).toFixed(2)} GHz, Linux ${environment.kernel}; worker pinned to CPU ${first.cpu}; ${memory(first)}. Median ± median absolute deviation of ${cases[0]!.result.runs} runs, each beside a run of the floor.

${shared}![ns a packet by flows](plots/forward.svg)

| | flows | frame B | ns a packet | floor | TSC cycles | Mpps | target | DPVS ns | DPVS ÷ Sluice |
|---|---|---|---|---|---|---|---|---|---|
${cases.map(({ result }) => row(result)).join('\n')}

- The port is a DPDK null device whose receive function makes each frame (the flow's address and port and both checksums written into a template) and whose transmit function reads every byte that leaves. The **floor** is macswap alone on this port, in turn with the director's runs; every figure includes it. DPVS's floor, on a port made in the same way, was ${DPVS_FLOOR_NS} ns.
- Flows come in uniformly random order; in the mixed rows a request and a reply of independent random flows alternate within each burst. The table is filled through the packet path before, expiry runs, counters and clock are those of the live loop. The table has room for 1 M connections, the configuration's default, or for as many flows as there are.
- Frame sizes include the FCS; IMIX is 7 of 64, 4 of 594, 1 of 1518. TCP segments belong to established connections and carry no client address any more.
- Every packet offered is found in the counters as forwarded in its own way, and as a frame that left; else the case is void and the run fails. ${cases
    .reduce((sum, { result }) => sum + result.offered, 0)
    .toLocaleString('en')
    .replaceAll(',', ' ')} packets were, here.
- Each figure comes from [results/forward.json](results/forward.json).
`;
}

/** Returns where it lies. */
export function writeReport(): string {
  const path = resultsPath('forward');
  const sections: string[] = [];
  if (existsSync(path)) {
    const results = JSON.parse(readFileSync(path, 'utf8')) as Results;
    mkdirSync(join(HERE, 'plots'), { recursive: true });
    writeFileSync(join(HERE, 'plots', 'forward.svg'), plot(results.cases));
    sections.push(forwardSection(results));
  }
  const head = `# Benchmarks

Written by \`npm run bench\`; not to be edited by hand. [README](../README.md) says what Sluice is.
`;
  writeFileSync(REPORT, [head, ...sections].join('\n'));
  return REPORT;
}
