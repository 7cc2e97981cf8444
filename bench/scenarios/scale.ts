/**
 * What a FullNAT connection costs in memory, all included, and what a packet costs among as many as
 * the machine holds.
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
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

/** One case as `--json` prints it. */
export interface ScaleResult {
  scenario: 'scale';
  mode: string;
  protocol: string;
  family: number;
  /** Growth of resident memory, huge pages included, from a million connections to this many. */
  bytesPerConnection: number;
  connections: number;
  /** Asked for, if memory had been there. */
  wanted: number;
  /** Packets of flows in random order at that fill: median of the runs, floor included. */
  nsPerPacket: number;
  madNs: number;
  floorNs: number;
  /** That filling the table through the packet path took. */
  fillSeconds: number;
  /** Available when it began. */
  availableMiB: number;
  runs: number;
  offered: number;
  accounted: number;
}

interface ScaleCase {
  /** undefined: as many as there can be. */
  connections: string | undefined;
}

interface NativeScale extends Omit<ScaleResult, 'nsPerPacket' | 'madNs' | 'floorNs' | 'runs'> {
  director: NativeRun[];
  floor: NativeRun[];
  availableKiB: number;
  transparentHugeKiB: number;
}

/** The target's; `--long` goes on to as many as the machine holds. */
const SHORT = '100000000';

function cases(filters: Filters, long: boolean): ScaleCase[] {
  for (const value of filters.connections ?? []) {
    if (/^[1-9]\d{6,8}$/.test(value)) continue;
    throw new BenchError('ERR_BENCH_ARGUMENT', `--connections ${value}: a number from 2000000 on`);
  }
  const wanted = filters.connections ?? (long ? [SHORT, undefined] : [SHORT]);
  return wanted.map((connections) => ({ connections }));
}

function summarise(native: NativeScale & NativeHost): Outcome<ScaleResult> {
  requireAccounts(native);
  const { mode, protocol, family, connections, wanted, offered, accounted } = native;
  const { tscHz, transparentHugeKiB } = native;
  const ns = native.director.map(nsOf);
  return {
    result: {
      scenario: 'scale',
      mode,
      protocol,
      family,
      bytesPerConnection: round(native.bytesPerConnection, 1),
      connections,
      wanted,
      nsPerPacket: round(median(ns), 1),
      madNs: round(mad(ns), 1),
      floorNs: round(median(native.floor.map(nsOf)), 1),
      fillSeconds: round(native.fillSeconds, 1),
      availableMiB: Math.floor(native.availableKiB / 1024),
      runs: ns.length,
      offered,
      accounted,
    },
    circumstances: circumstancesOf(native, {
      transparentHugeKiB,
      share: shareOf([...native.director, ...native.floor], tscHz),
    }),
  };
}

async function run(one: ScaleCase, options: Arguments): Promise<Outcome<ScaleResult>> {
  const args = ['scale', ...commonArguments(options)];
  if (one.connections !== undefined) args.push('--connections', one.connections);
  return summarise(await runNative<NativeScale>(args));
}

function row(result: ScaleResult): string[] {
  return [
    countName(result.connections),
    `**${result.bytesPerConnection.toFixed(1)}**`,
    `**${result.nsPerPacket.toFixed(1)}** ± ${result.madNs.toFixed(1)}`,
    result.floorNs.toFixed(1),
    result.fillSeconds.toFixed(0),
    grouped(result.availableMiB),
  ];
}

const HEAD = [
  'FullNAT connections',
  'bytes each',
  'ns a packet',
  'floor',
  'filled in s',
  'MiB free',
];

function report(results: Results<ScaleResult>): Section {
  const reduced = results.cases.filter(({ result }) => result.connections < result.wanted);
  const why = reduced.map(
    ({ result }) =>
      ` Memory for ${countName(result.wanted)} was not there: 3 GiB are left to the rest of the machine.`,
  );
  const markdown = `## scale: as many connections as the machine holds, one worker

${provenance(results)}

${markdownTable(
  HEAD,
  results.cases.map(({ result }) => row(result)),
)}

- Bytes a connection: growth of the process's resident memory (huge pages included) from a million connections to that many, divided by the difference. Each number is held by a director of its own whose table was made for it, so the buckets are in the figure as well as records, local ports and the timing wheel.${[...new Set(why)].join('')}
- The table is filled through the packet path, by the three packets of each flow that carry its client's address. Then packets of flows in uniformly random order are forwarded, beside the floor; frames and port are those of \`forward\`. Nothing expires meanwhile: that is \`connect\`'s.
- Each figure comes from [results/scale.json](results/scale.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases: all }: Results<ScaleResult>): Figures {
  const best = all
    .map(({ result }) => result)
    .reduce((most, one) => (one.connections > most.connections ? one : most));
  return {
    memory: { '': { value: best.bytesPerConnection } },
    capacity: {
      connections: { value: best.connections },
      'ns a packet': { value: best.nsPerPacket, floor: best.floorNs },
    },
  };
}

export const scale: Scenario<ScaleCase, ScaleResult> = {
  name: 'scale',
  about: 'bytes a FullNAT connection, and packets among as many as the machine holds',
  filters: ['connections'],
  cases,
  describe: ({ connections }) =>
    connections === undefined ? 'as many as there can be' : grouped(Number(connections)),
  run,
  progress: ({ connections, bytesPerConnection, nsPerPacket }) =>
    `${grouped(connections)} connections, ${bytesPerConnection} B each, ${nsPerPacket} ns a packet`,
  tableHead: () => textLine('', ['B/conn', 'ns/packet', '± MAD', 'floor', 'fill s']),
  tableLine: (result) =>
    textLine(`scale ${grouped(result.connections)} connections`, [
      result.bytesPerConnection.toFixed(1),
      result.nsPerPacket.toFixed(1),
      result.madNs.toFixed(1),
      result.floorNs.toFixed(1),
      result.fillSeconds.toFixed(1),
    ]),
  report,
  figures,
};
