/**
 * Health checks on one core: as many as it can make, by the native prober and by Node's own sockets;
 * and ten thousand servers each asked a second after it was last asked, with and without some that
 * never answer. Servers are one nginx on another core, behind the loopback of a network namespace.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseCpuList } from '../../src/engine-options.js';
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import { grouped, markdownTable, provenance, textLine } from '../markdown.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

export interface ChecksCase {
  protocol: 'tcp' | 'http';
  /** Who asks: the native prober, or Node's own sockets. */
  by: 'native' | 'node';
  /** As many as there can be, or 10 000 servers a second apart. */
  load: 'flat out' | '10 000 / s';
  /** Percent of the servers that never answer. */
  silent: number;
}

/** What bench/checks/measure.ts prints: a run each. */
export type Readings = {
  checks: number;
  failed: number;
  late: number;
  worstMs: number;
  seconds: number;
  cpuUs: number;
  lagMs: number;
}[];

/** One case as `--json` prints it. Medians of the runs. */
export interface ChecksResult extends ChecksCase {
  scenario: 'checks';
  checksPerSecond: number;
  /** CPU time of the whole process a check, and its median absolute deviation. */
  cpuUs: number;
  madUs: number;
  /** Checks in a second of a core's time: 10⁶ ÷ cpuUs. */
  perCore: number;
  /** Begun more than 100 ms after their time, of all; null where nothing is due. */
  late: number | null;
  /** The latest of them, ms. */
  worstMs: number | null;
  /** Of the event loop, 99th percentile, ms. */
  lagMs: number;
  checks: number;
  failed: number;
  runs: number;
}

const MEASURE = fileURLToPath(new URL('../checks/measure.ts', import.meta.url));

const all: ChecksCase[] = [
  { protocol: 'tcp', by: 'native', load: 'flat out', silent: 0 },
  { protocol: 'tcp', by: 'node', load: 'flat out', silent: 0 },
  { protocol: 'http', by: 'native', load: 'flat out', silent: 0 },
  { protocol: 'http', by: 'node', load: 'flat out', silent: 0 },
  { protocol: 'tcp', by: 'native', load: '10 000 / s', silent: 0 },
  { protocol: 'tcp', by: 'native', load: '10 000 / s', silent: 20 },
];
const more: ChecksCase[] = [
  { protocol: 'http', by: 'native', load: '10 000 / s', silent: 20 },
  { protocol: 'tcp', by: 'node', load: '10 000 / s', silent: 20 },
];

function cases(filters: Filters, long: boolean): ChecksCase[] {
  const known = long || filters.protocol || filters.contestant ? [...all, ...more] : all;
  return known.filter(
    ({ protocol, by }) =>
      (filters.protocol?.includes(protocol) ?? true) && (filters.contestant?.includes(by) ?? true),
  );
}

/** The case's process; its status is not asked: what it prints is all or nothing. */
function readings(one: ChecksCase, options: Arguments, cpus: number[]): Promise<Readings> {
  const [cpu = 0, sinkCpu = cpu] = cpus;
  const { runs, milliseconds } = options;
  const order = JSON.stringify({ ...one, runs, milliseconds, sinkCpu });
  const node = [process.execPath, '--import', 'tsx', MEASURE, order];
  const child = spawn('unshare', ['--net', 'taskset', '-c', String(cpu), ...node], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, complaints] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (status) => {
      if (status === 0) return done(JSON.parse(out) as Readings);
      const message = complaints.trim() || `ended with ${status}`;
      fail(new BenchError('ERR_BENCH_NATIVE', `checks: ${message}`));
    });
  });
}

async function run(one: ChecksCase, options: Arguments): Promise<Outcome<ChecksResult>> {
  if (process.getuid?.() !== 0) {
    throw new BenchError('ERR_BENCH_LAB', 'checks: network namespaces need root');
  }
  const status = readFileSync('/proc/self/status', 'utf8');
  const free = parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0');
  const cpus = options.cpus ?? [free.at(-1) as number, free[0] as number];
  const runs = await readings(one, options, cpus);
  const sum = (value: (run: Readings[number]) => number) =>
    runs.reduce((total, each) => total + value(each), 0);
  const [checks, failed] = [sum((each) => each.checks), sum((each) => each.failed)];
  if (checks === 0 || (one.silent === 0 && failed > checks / 100)) {
    throw new BenchError('ERR_BENCH_VOID', `of ${checks} checks ${failed} failed`);
  }
  const rates = runs.map((each) => each.checks / each.seconds);
  const costs = runs.map((each) => each.cpuUs / each.checks);
  const ran = sum(({ cpuUs }) => cpuUs / 1e6) / sum(({ seconds }) => seconds);
  const paced = one.load !== 'flat out';
  return {
    result: {
      scenario: 'checks',
      ...one,
      checksPerSecond: round(median(rates), 0),
      cpuUs: round(median(costs), 1),
      madUs: round(mad(costs), 1),
      perCore: round(1e6 / median(costs), 0),
      late: paced ? sum((each) => each.late) : null,
      worstMs: paced ? round(Math.max(...runs.map(({ worstMs }) => worstMs)), 1) : null,
      lagMs: round(median(runs.map(({ lagMs }) => lagMs)), 1),
      checks,
      failed,
      runs: runs.length,
    },
    // Flat out it takes all of the CPU that it is given.
    circumstances: {
      cpus: cpus.slice(0, 1),
      ...(paced ? {} : { share: round(Math.min(1, ran), 3) }),
    },
  };
}

const nameOf = ({ protocol, by, load, silent }: ChecksCase) =>
  `${protocol} by ${by}, ${load}${silent > 0 ? `, ${silent} % silent` : ''}`;

const HEAD = [
  '',
  'a second of a core',
  'CPU µs a check',
  'made a second',
  'late',
  'latest ms',
  'event loop p99 ms',
];

function row(one: ChecksResult): string[] {
  return [
    nameOf(one),
    `**${grouped(one.perCore)}**`,
    `${one.cpuUs.toFixed(1)} ± ${one.madUs.toFixed(1)}`,
    grouped(one.checksPerSecond),
    one.late === null ? '–' : grouped(one.late),
    one.worstMs === null ? '–' : one.worstMs.toFixed(0),
    one.lagMs.toFixed(1),
  ];
}

function report(results: Results<ChecksResult>): Section {
  const markdown = `## checks: health checks on one core

${provenance(results)} Median ± median absolute deviation; the whole process (event loop, prober's thread, garbage collector) shares that CPU.

${markdownTable(
  HEAD,
  results.cases.map(({ result }) => row(result)),
)}

- **a second of a core** is 10⁶ ÷ CPU µs. **flat out**: ${TOGETHER_TEXT}. **10 000 / s**: the director's monitor with 10 000 servers in 100 services, each asked a second after its last check ended (those without an answer after their second of patience), first ones spread over a second. A check is **late** when it begins more than 100 ms after its time.
- Over the loopback the servers' half of the kernel's work (their handshake) is done on the checker's CPU and is in its CPU time.
- tcp: connected, then reset. http: a question, and the status of its answer.
- Each figure comes from [results/checks.json](results/checks.json).
`;
  return { markdown, plots: {} };
}

const TOGETHER_TEXT = '256 checks at any time, one after the other';

function figures({ cases }: Results<ChecksResult>): Figures {
  const found: Figures = { checks: {} };
  for (const { result } of cases) {
    if (result.by !== 'native' || result.protocol !== 'tcp') continue;
    if (result.load === 'flat out') found.checks!['a second'] = { value: result.perCore };
    else if (result.silent > 0) found.checks!.late = { value: result.late ?? 0 };
  }
  return Object.keys(found.checks!).length > 0 ? found : {};
}

export const checks: Scenario<ChecksCase, ChecksResult> = {
  name: 'checks',
  about: 'health checks on one core: prober and Node flat out, 10 000 servers every second',
  filters: ['protocol', 'contestant'],
  cases,
  short: (cases) => cases.filter(({ protocol, by }) => protocol === 'tcp' && by === 'native'),
  describe: nameOf,
  run,
  progress: ({ perCore, cpuUs }) => `${grouped(perCore)} a second of a core, ${cpuUs} µs`,
  tableHead: () =>
    textLine('', ['a core', 'CPU us', '± MAD', 'checks/s', 'late', 'latest ms', 'loop ms']),
  tableLine: (one) =>
    textLine(nameOf(one), [
      grouped(one.perCore),
      one.cpuUs.toFixed(1),
      one.madUs.toFixed(1),
      grouped(one.checksPerSecond),
      one.late === null ? '–' : String(one.late),
      one.worstMs === null ? '–' : one.worstMs.toFixed(0),
      one.lagMs.toFixed(1),
    ]),
  report,
  figures,
};
