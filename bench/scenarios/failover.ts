/**
 * A pair of directors, the master killed and its cables cut: how long until the other answers, how
 * many connections go on, and whether it waits for that while the master lives. Beside it Debian's
 * keepalived in the same namespaces.
 */
import { LabError } from '../../src/lab/command.js';
import { ALL_MODES } from '../../src/lab/five-modes.js';
import type { ModeName } from '../../src/lab/topology.js';
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import {
  BOUND_MS,
  type CourseOptions,
  probeMs,
  type Readings,
  runCourse,
} from '../failover/course.js';
import { PRIORITIES } from '../failover/pair.js';
import { grouped, markdownTable, provenance, textLine } from '../markdown.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { median, round } from '../statistics.js';

/** One case as `--json` prints it. */
export interface FailoverResult {
  scenario: 'failover';
  director: 'sluice' | 'keepalived';
  /** keepalived without IPVS in the kernel forwards nothing: `vip`. */
  mode: ModeName | 'vip';
  advertMs: number;
  /** From the kill to the first answer to a probe; median of the kills, and the longest. */
  takeoverMs: number;
  worstMs: number;
  kills: number;
  probeMs: number;
  /** Established before the first kill; answered after each. null: nothing synchronises them. */
  connections: number | null;
  survived: number | null;
  /** Changes of the role in `loadSeconds` with both alive, under full load. */
  falseTakeovers: number;
  loadSeconds: number;
  /** HTTP requests answered meanwhile, all modes together. */
  requestsPerSecond: number;
}

export interface FailoverCase {
  mode: FailoverResult['mode'];
  course: CourseOptions;
}

const ADVERTS = [10, 100, 1000];
const DIRECTORS = ['sluice', 'keepalived'] as const;
/** What is promised for. */
const MANY = 10_000;
const SOME = 500;
/** Of the usual form, by advert interval: what fits into two minutes. */
const SHORT_KILLS: Record<number, number> = { 10: 5, 100: 3, 1000: 1 };
const SHORT_LOAD_SECONDS: Record<number, number> = { 10: 20, 100: 3, 1000: 3 };
/** Ten minutes is what is promised of ours; of keepalived two say enough. */
const LONG_LOAD_SECONDS: Record<CourseOptions['director'], Record<number, number>> = {
  sluice: { 10: 600, 100: 60, 1000: 60 },
  keepalived: { 10: 120, 100: 60, 1000: 60 },
};

function connectionsOf(
  modes: readonly ModeName[],
  advertMs: number,
  long: boolean,
): CourseOptions['connections'] {
  const fastest = advertMs === Math.min(...ADVERTS);
  const many = long || modes.length === 1 ? modes : modes.filter((mode) => mode === 'fullnat');
  return Object.fromEntries(
    modes.map((mode) => [mode, fastest && many.includes(mode) ? MANY : fastest ? SOME : 100]),
  );
}

function courseOf(
  director: CourseOptions['director'],
  advertMs: number,
  modes: readonly ModeName[],
  long: boolean,
): CourseOptions {
  const connections = director === 'sluice' ? connectionsOf(modes, advertMs, long) : {};
  const loads = long ? LONG_LOAD_SECONDS[director] : SHORT_LOAD_SECONDS;
  return {
    director,
    advertMs,
    modes,
    connections,
    kills: SHORT_KILLS[advertMs] ?? 3,
    loadSeconds: loads[advertMs] ?? 3,
  };
}

function check(filters: Filters): void {
  const choices = {
    mode: [...ALL_MODES, 'vip'] as string[],
    contestant: [...DIRECTORS] as string[],
  };
  for (const name of ['mode', 'contestant'] as const) {
    for (const value of filters[name] ?? []) {
      if (choices[name].includes(value)) continue;
      const message = `--${name} ${value}: ${choices[name].join(', ')}`;
      throw new BenchError('ERR_BENCH_ARGUMENT', message);
    }
  }
  for (const value of filters.advert ?? []) {
    if (/^[1-9]\d{0,4}$/.test(value) && Number(value) % 10 === 0 && Number(value) <= 40_950)
      continue;
    const message = `--advert ${value}: milliseconds, tens of them up to 40950`;
    throw new BenchError('ERR_BENCH_ARGUMENT', message);
  }
}

function cases(filters: Filters, long: boolean): FailoverCase[] {
  check(filters);
  const wanted = (mode: string) => filters.mode?.includes(mode) ?? true;
  const modes = ALL_MODES.filter(wanted);
  const adverts = filters.advert?.map(Number) ?? ADVERTS;
  return DIRECTORS.filter((name) => filters.contestant?.includes(name) ?? true).flatMap(
    (director) =>
      adverts.flatMap((advertMs) => {
        const of = director === 'sluice' ? modes : (['vip'] as const);
        const course = courseOf(director, advertMs, modes, long);
        return of.map((mode) => ({ mode, course }));
      }),
  );
}

const courses = new WeakMap<CourseOptions, Promise<Readings>>();

/** The first case that asks makes all run that share its pair of directors. */
function readingsOf({ course }: FailoverCase): Promise<Readings> {
  const known = courses.get(course);
  if (known) return known;
  const say = (text: string) => process.stderr.write(`\n  ${text}`);
  const readings = runCourse(course, say)
    .catch((error: unknown) => {
      if (!(error instanceof LabError)) throw error;
      throw new BenchError('ERR_BENCH_LAB', `${error.code}: ${error.message}`);
    })
    .finally(() => process.stderr.write('\n  '));
  courses.set(course, readings);
  return readings;
}

async function run(one: FailoverCase, _options: Arguments): Promise<Outcome<FailoverResult>> {
  const { mode, course } = one;
  const readings = await readingsOf(one);
  const times = readings.takeoverMs[mode] ?? [];
  return {
    result: {
      scenario: 'failover',
      director: course.director,
      mode,
      advertMs: course.advertMs,
      takeoverMs: round(median(times), 1),
      worstMs: round(Math.max(...times), 1),
      kills: times.length,
      probeMs: probeMs(course.advertMs),
      connections: readings.held[mode] ?? null,
      survived: readings.survived[mode] ?? null,
      falseTakeovers: readings.falseTakeovers,
      loadSeconds: course.loadSeconds,
      requestsPerSecond: Math.round(readings.requestsPerSecond),
    },
    circumstances: {},
  };
}

const survival = ({ connections, survived }: FailoverResult) =>
  connections === null || survived === null
    ? '–'
    : `${grouped(survived)} of ${grouped(connections)}`;

function row(r: FailoverResult): string[] {
  const name = r.director === 'sluice' ? `Sluice ${r.mode}` : 'keepalived, VIP only';
  return [
    name,
    `${grouped(r.advertMs)} ms`,
    `**${r.takeoverMs}** (${r.kills}, worst ${r.worstMs})`,
    survival(r),
    `${r.falseTakeovers} in ${r.loadSeconds} s`,
    grouped(r.requestsPerSecond),
  ];
}

function report(results: Results<FailoverResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const head = [
    '',
    'adverts every',
    'takeover ms, median (kills)',
    'connections that survived',
    'false takeovers under load',
    'requests/s meanwhile',
  ];
  const probes = [...new Set(all.map((one) => one.probeMs))].sort((a, b) => a - b).join(' or ');
  const markdown = `## failover: the master is killed and its cables are cut

${provenance(results)}

${markdownTable(head, all.map(row))}

- Client, router, two directors and two servers in namespaces, all on the machine's few cores; nobody is pinned. Priorities are ${PRIORITIES.join(' and ')}, version 3, multicast, no preemption; each kill is followed by the other's return as a backup.
- **takeover**: SIGKILL and both cables down at the switch, then the time until the client, which sends echo requests to every VIP each ${probes} ms, has an answer again. An answer takes the other's Master_Down (three intervals and the skew, from the last advert, which is half an interval old on average), and the router's learning by gratuitous ARP.
- **survived**: TCP connections to nginx, established ${BOUND_MS / 1000} s or longer before the kill, that exchange data afterwards; the least of all kills. They go to and fro: the other director is killed next.
- **false takeovers**: times that anybody became master while both lived, wrk keeping the machine busy through the master.
- keepalived is Debian's, in the same namespaces with the same settings. This kernel has no IPVS, so it moves the VIP alone; its load goes through nftables' DNAT.
- Each figure comes from [results/failover.json](results/failover.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases: all }: Results<FailoverResult>): Figures {
  const ours = all.map(({ result }) => result).filter(({ director }) => director === 'sluice');
  const fastest = ours.filter(({ advertMs }) => advertMs === 10);
  const [slowest] = [...fastest].sort((a, b) => b.takeoverMs - a.takeoverMs);
  if (!slowest) return {};
  const second = ours.filter(({ advertMs }) => advertMs === 1000);
  const held = ours.filter(({ connections }) => connections !== null);
  const sum = (of: readonly FailoverResult[], key: 'connections' | 'survived') =>
    of.reduce((total, one) => total + (one[key] ?? 0), 0);
  const lost = sum(held, 'connections') - sum(held, 'survived');
  const found: Record<string, { value: number; note?: string }> = {
    'ms at 10 ms': { value: slowest.takeoverMs, note: slowest.mode },
    'false takeovers': {
      value: fastest[0]?.falseTakeovers ?? 0,
      note: `in ${slowest.loadSeconds} s`,
    },
    'connections lost': { value: lost, note: `of ${grouped(sum(held, 'connections'))}` },
  };
  if (second.length > 0) {
    const worst = Math.max(...second.map(({ takeoverMs }) => takeoverMs));
    found['s at 1 s'] = { value: round(worst / 1000, 2) };
  }
  return { failover: found };
}

export const failover: Scenario<FailoverCase, FailoverResult> = {
  name: 'failover',
  about: 'the master killed: takeover, connections that survive, false takeovers; and keepalived',
  filters: ['mode', 'advert', 'contestant'],
  cases,
  short: (all) => all.filter(({ course: { advertMs } }) => advertMs === ADVERTS[0]),
  describe: ({ mode, course: { director, advertMs } }) => `${director} ${mode}, ${advertMs} ms`,
  run,
  progress: (r) =>
    `${r.takeoverMs} ms (worst ${r.worstMs}), survived ${survival(r)}, ${r.falseTakeovers} false`,
  tableHead: () => textLine('', ['ms', 'worst', 'held', 'survived', 'false'], 28),
  tableLine: (r) =>
    textLine(
      `${r.director} ${r.mode} ${r.advertMs} ms`,
      [r.takeoverMs, r.worstMs, r.connections ?? '–', r.survived ?? '–', r.falseTakeovers].map(
        String,
      ),
      28,
    ),
  report,
  figures,
};
