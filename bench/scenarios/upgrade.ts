/**
 * Hot upgrade: a new process takes over from a running director while clients go on. What they lose,
 * and for how long nothing is answered.
 */
import { LabError } from '../../src/lab/command.js';
import { ALL_MODES, startFiveModes } from '../../src/lab/five-modes.js';
import { Lab } from '../../src/lab/lab.js';
import type { ModeName } from '../../src/lab/topology.js';
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { grouped, markdownTable, provenance, textLine } from '../markdown.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { median, round } from '../statistics.js';
import { endSuccessor, quietLoad, upgradeUnderLoad } from '../upgrade/course.js';

export interface UpgradeResult {
  scenario: 'upgrade';
  mode: ModeName;
  upgrades: number;
  /** Of the dataplane: from the old process's last frame to the new one's first; median and longest. */
  switchMs: number;
  worstSwitchMs: number;
  /** Longest time without an answer in a UDP stream of `rate` a second, of all upgrades. */
  gapMs: number;
  rate: number;
  /** The same with the same clients for the same time, and without an upgrade. */
  baselineGapMs: number;
  /** Of the stream. */
  packets: number;
  lostPackets: number;
  /** TCP connections held and used all the time. */
  connections: number;
  survived: number;
  /** Requests on new connections meanwhile. */
  requests: number;
  failedRequests: number;
}

export interface UpgradeCase {
  mode: ModeName;
  held: number;
  upgrades: number;
}

const RATE = 1_000;

function cases(filters: Filters, long: boolean): UpgradeCase[] {
  for (const value of filters.mode ?? []) {
    if ((ALL_MODES as readonly string[]).includes(value)) continue;
    throw new BenchError('ERR_BENCH_ARGUMENT', `--mode ${value}: ${ALL_MODES.join(', ')}`);
  }
  const modes = ALL_MODES.filter((mode) => filters.mode?.includes(mode) ?? true);
  return modes.map((mode) => ({ mode, held: long ? 500 : 100, upgrades: long ? 5 : 2 }));
}

async function measure({ mode, held, upgrades }: UpgradeCase): Promise<UpgradeResult> {
  return await Lab.use({ realServers: 2 }, async (lab) => {
    const { director } = await startFiveModes(lab, { modes: [mode] });
    try {
      const load = { modes: [mode], held, rate: RATE };
      const { reports, seen, lastedMs } = await upgradeUnderLoad(lab, director, load, upgrades);
      const [one] = seen;
      const [quiet] = await quietLoad(lab, load, lastedMs);
      if (!one?.udp || !quiet?.udp)
        throw new BenchError('ERR_BENCH_VOID', 'the stream has told nothing');
      const switches = reports.map((report) => report.gapMs);
      return {
        scenario: 'upgrade',
        mode,
        upgrades,
        switchMs: round(median(switches), 1),
        worstSwitchMs: round(Math.max(...switches), 1),
        gapMs: round(one.udp.gapMs, 1),
        baselineGapMs: round(quiet.udp.gapMs, 1),
        rate: RATE,
        packets: one.udp.sent,
        lostPackets: one.udp.sent - one.udp.answered,
        connections: one.held,
        survived: one.held - one.broken,
        requests: one.new,
        failedRequests: one.failed,
      };
    } finally {
      await endSuccessor(director);
    }
  });
}

async function run(one: UpgradeCase, _options: Arguments): Promise<Outcome<UpgradeResult>> {
  try {
    return { result: await measure(one), circumstances: {} };
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    throw new BenchError('ERR_BENCH_LAB', `${error.code}: ${error.message}`);
  }
}

const of = (part: number, whole: number) => `${grouped(part)} of ${grouped(whole)}`;

function report(results: Results<UpgradeResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const head = [
    '',
    'switch ms, median (worst)',
    'longest gap ms',
    'without an upgrade',
    'packets lost',
    'connections that survived',
    'requests failed',
  ];
  const rows = all.map((r) => [
    r.mode,
    `**${r.switchMs}** (${r.worstSwitchMs})`,
    `**${r.gapMs}**`,
    String(r.baselineGapMs),
    of(r.lostPackets, r.packets),
    of(r.survived, r.connections),
    of(r.failedRequests, r.requests),
  ]);
  const [first] = all;
  const markdown = `## upgrade: a new process takes over from a running director

${provenance(results)}

${markdownTable(head, rows)}

- Client, router, director and two servers in namespaces, af_packet ports; each case is ${first?.upgrades} upgrades, one after the other, of one lab.
- **switch**: from the moment from which frames are the new process's to its first turn with them, as it measures itself. The old one works off what it has got and tells what has changed in between.
- **longest gap**: between two answers of a UDP stream of ${grouped(first?.rate ?? 0)} queries a second, over the whole time. It has the client's and the server's waiting for a CPU in it: a process that starts takes one of the few. **Without an upgrade**: the same clients and the same director for the same time afterwards, while nothing happens.
- **survived**: TCP connections that exchange data five times a second throughout. **requests**: each on a connection of its own.
- Each figure comes from [results/upgrade.json](results/upgrade.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases: all }: Results<UpgradeResult>): Figures {
  const results = all.map(({ result }) => result);
  const [slowest] = [...results].sort((a, b) => b.gapMs - a.gapMs);
  if (!slowest) return {};
  const held = results.reduce((sum, one) => sum + one.connections, 0);
  const lost = held - results.reduce((sum, one) => sum + one.survived, 0);
  return {
    upgrade: {
      'ms gap': { value: slowest.gapMs, note: `${slowest.mode}, ${slowest.baselineGapMs} without` },
      'connections lost': { value: lost, note: `of ${grouped(held)}` },
    },
  };
}

export const upgrade: Scenario<UpgradeCase, UpgradeResult> = {
  name: 'upgrade',
  about: 'a hot upgrade while clients go on: packet gap, connections and packets lost',
  filters: ['mode'],
  cases,
  short: (all) => all.filter(({ mode }) => mode === 'fullnat'),
  describe: ({ mode, held, upgrades }) => `${mode}, ${held} connections, ${upgrades} upgrades`,
  run,
  progress: (r) =>
    `switch ${r.switchMs} ms, gap ${r.gapMs} ms (${r.baselineGapMs} without), lost ${r.lostPackets} packets, survived ${of(r.survived, r.connections)}`,
  tableHead: () => textLine('', ['switch', 'gap ms', 'without', 'lost', 'survived', 'failed'], 12),
  tableLine: (r) =>
    textLine(
      r.mode,
      [r.switchMs, r.gapMs, r.baselineGapMs, r.lostPackets, r.survived, r.failedRequests].map(
        String,
      ),
      12,
    ),
  report,
  figures,
};
