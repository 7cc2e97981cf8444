/**
 * Real programs through namespaces: wrk and iperf3 on the client, nginx and iperf3 on the server,
 * and between them Sluice in each mode, testpmd's mac forwarding on the same kind of port, or what
 * else one would put there. All contestants of a run take turns in rounds, on the same two CPUs.
 */
import { LabError } from '../../src/lab/command.js';
import type { Arguments, Filters } from '../arguments.js';
import { BenchError } from '../errors.js';
import type { Contestant } from '../lab/contestant.js';
import { isYardstickOf, type Readings, runCourse, type Station, YARDSTICK } from '../lab/course.js';
import { Forwarding, Nftables } from '../lab/kernel.js';
import { CONNECTIONS, MEASURES, type Measure, STREAMS, UNITS } from '../lab/measure.js';
import { ratioPlot } from '../lab/plot.js';
import type { Port } from '../lab/port.js';
import { Haproxy, NginxStream } from '../lab/proxy.js';
import { BODY_BYTES } from '../lab/server.js';
import { Sluice } from '../lab/sluice.js';
import { Testpmd } from '../lab/testpmd.js';
import { markdownTable, provenance, textLine } from '../markdown.js';
import { type Figures, TARGETS } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

/** One case as `--json` prints it. */
export interface LabResult {
  scenario: 'lab';
  contestant: string;
  mode: string;
  /** What goes through the contestant: `both` ways, or `requests` alone. */
  path: string;
  port: Port;
  measure: Measure;
  /** Median of the rounds. */
  value: number;
  unit: string;
  madValue: number;
  /** Median of the rounds' own ratios to testpmd on the same port and path; null: none ran. */
  toTestpmd: number | null;
  /** Medians of what wrk says; null for iperf3. */
  p50Us: number | null;
  p99Us: number | null;
  runs: number;
  /** Requests without an answer and transfers that broke off, in all rounds. */
  failed: number;
}

export interface LabCase {
  station: Station;
  /** All that run together with it. */
  together: readonly Station[];
}

const OURS = 'sluice';

function contestants(): Contestant[] {
  return [
    new Sluice('af_packet'),
    new Testpmd('af_packet'),
    new Sluice('af_xdp'),
    new Testpmd('af_xdp'),
    new Forwarding(),
    new Nftables(false),
    new Nftables(true),
    new Haproxy(),
    new NginxStream(),
  ];
}

function stations(): Station[] {
  return contestants().flatMap((contestant) =>
    contestant.lanes.flatMap((lane) =>
      MEASURES.map((measure) => ({ contestant, lane, measure }) as const),
    ),
  );
}

/** What fits into three minutes: every mode, testpmd, and the peer that comes first to mind. */
function isShort({ contestant, measure }: Station): boolean {
  return (
    contestant.port !== 'af_xdp' &&
    [OURS, YARDSTICK, 'nftables-dnat'].includes(contestant.name) &&
    measure !== 'iperf-down'
  );
}

const dimensions = ({ contestant, lane, measure }: Station) => ({
  contestant: contestant.name,
  mode: lane.mode,
  port: contestant.port,
  measure,
});
type Dimension = keyof ReturnType<typeof dimensions>;
const DIMENSIONS: readonly Dimension[] = ['contestant', 'mode', 'port', 'measure'];

function narrowed(all: readonly Station[], filters: Filters): Station[] {
  const wanted = all.filter((station) =>
    DIMENSIONS.every((name) => filters[name]?.includes(dimensions(station)[name]) ?? true),
  );
  // testpmd's mode is nobody's: it comes along with whatever is compared with it.
  const compared = (station: Station) => wanted.some((one) => isYardstickOf(station, one));
  const left = filters.contestant?.includes(YARDSTICK) ?? true;
  return all.filter((station) => wanted.includes(station) || (left && compared(station)));
}

function check(all: readonly Station[], filters: Filters): void {
  for (const name of DIMENSIONS) {
    const known = new Set(all.map((station) => dimensions(station)[name]));
    for (const value of filters[name] ?? []) {
      if ((known as Set<string>).has(value)) continue;
      const choice = [...known].join(', ');
      throw new BenchError('ERR_BENCH_ARGUMENT', `--${name} ${value}: ${choice}`);
    }
  }
}

/** wrk and iperf3 count whole seconds. */
const secondsOf = ({ milliseconds, long }: Arguments) =>
  Math.max(long ? 2 : 1, Math.round(milliseconds / 1000));

const courses = new WeakMap<readonly Station[], Promise<Readings>>();

/** The first case that asks makes all of them run. */
function readingsOf(one: LabCase, options: Arguments): Promise<Readings> {
  const known = courses.get(one.together);
  if (known) return known;
  const say = (text: string) => process.stderr.write(`\n  ${text}`);
  const course = runCourse(one.together, options.runs, secondsOf(options), say)
    .catch((error: unknown) => {
      if (!(error instanceof LabError)) throw error;
      throw new BenchError('ERR_BENCH_LAB', `${error.code}: ${error.message}`);
    })
    .finally(() => process.stderr.write('\n  '));
  courses.set(one.together, course);
  return course;
}

function typical(values: readonly (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? null : round(median(known), 0);
}

async function run(one: LabCase, options: Arguments): Promise<Outcome<LabResult>> {
  const { station, together } = one;
  const { of, othersBusy } = await readingsOf(one, options);
  const readings = of.get(station)!;
  const yardstick = together.find((other) => isYardstickOf(other, station));
  const testpmd = yardstick && of.get(yardstick)!.map(({ value }) => value);
  const values = readings.map(({ value }) => value);
  const ratios = testpmd?.map((value, index) => values[index]! / value);
  const failed = readings.reduce((sum, each) => sum + each.failed, 0);
  const digits = UNITS[station.measure] === 'Gb/s' ? 3 : 0;
  const { contestant, mode, port, measure } = dimensions(station);
  if (failed > 0 && contestant === OURS) {
    const why = readings.find(({ trouble }) => trouble)?.trouble;
    throw new BenchError('ERR_BENCH_VOID', `${failed} requests failed${why ? `: ${why}` : ''}`);
  }
  return {
    result: {
      scenario: 'lab',
      contestant,
      mode,
      path: station.lane.path,
      port,
      measure,
      value: round(median(values), digits),
      unit: UNITS[measure],
      madValue: round(mad(values), digits),
      toTestpmd: ratios ? round(median(ratios), 3) : null,
      p50Us: typical(readings.map(({ p50Us }) => p50Us)),
      p99Us: typical(readings.map(({ p99Us }) => p99Us)),
      runs: readings.length,
      failed,
    },
    circumstances: { othersBusy: round(median(othersBusy), 2) },
  };
}

const PATHS: Record<string, string> = { both: 'both ways', requests: 'requests' };

function nameOf({ contestant, mode, path, port }: LabResult): string {
  const how = ['mac', 'forward'].includes(mode) ? PATHS[path]! : mode;
  const base = contestant === how || how === 'proxy' ? contestant : `${contestant} ${how}`;
  return port === 'af_xdp' ? `${base}, af_xdp` : base;
}

const figureOf = ({ unit, value }: LabResult) => value.toFixed(unit === 'Gb/s' ? 2 : 0);
const ratioOf = ({ toTestpmd }: LabResult) => (toTestpmd === null ? '–' : toTestpmd.toFixed(2));
const latencyOf = ({ p50Us, p99Us }: LabResult) =>
  p50Us === null || p99Us === null
    ? '–'
    : `${(p50Us / 1000).toFixed(1)} / ${(p99Us / 1000).toFixed(1)}`;

/** Results of one contestant in one mode. */
function rows(all: readonly LabResult[]): Map<string, LabResult[]> {
  const found = new Map<string, LabResult[]>();
  for (const result of all) {
    const name = nameOf(result);
    found.set(name, [...(found.get(name) ?? []), result]);
  }
  return found;
}

function cell(result: LabResult | undefined): string {
  if (!result) return '–';
  const spread = result.madValue.toFixed(result.unit === 'Gb/s' ? 2 : 0);
  const ratio = result.contestant === OURS ? ` · **${ratioOf(result)}**` : '';
  const failed = result.failed > 0 ? ` (${result.failed} failed)` : '';
  return `${figureOf(result)} ± ${spread}${ratio}${failed}`;
}

const LEAST = TARGETS.find(({ id }) => id === 'lab')?.goals[0]?.least ?? 1;

/** Everybody against testpmd on af_packet with the same path; for Sluice that is `toTestpmd`. */
function plot(all: readonly LabResult[]): string {
  const yardstick = (result: LabResult) =>
    all.find(
      ({ contestant, port, path, measure }) =>
        contestant === YARDSTICK &&
        port === (result.port === 'kernel' ? 'af_packet' : result.port) &&
        path === result.path &&
        measure === result.measure,
    )?.value;
  const drawn = [...rows(all)].map(([name, results]) => ({
    name,
    points: results.flatMap((result) => {
      const base = yardstick(result);
      if (base === undefined) return [];
      return [{ series: result.measure, x: result.toTestpmd ?? result.value / base }];
    }),
  }));
  return ratioPlot("In the lab, as multiples of testpmd's mac forwarding", drawn, LEAST);
}

function report(results: Results<LabResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const measures = MEASURES.filter((name) => all.some(({ measure }) => measure === name));
  const busy = Math.max(...results.cases.map((each) => each.circumstances.othersBusy ?? 0));
  const body = [...rows(all)].map(([name, of]) => {
    const by = (measure: Measure) => of.find((result) => result.measure === measure);
    const keep = by('keepalive');
    return [name, ...measures.map((each) => cell(by(each))), keep ? latencyOf(keep) : '–'];
  });
  const head = ['', ...measures.map((each) => `${each}, ${UNITS[each]}`), 'p50 / p99 ms'];
  const shared =
    busy < 0.05
      ? ''
      : `\n\nOther programs kept ${(busy * 100).toFixed(0)} % of the machine busy in the pauses: the absolute figures are too low and scatter; the ratios come from neighbouring runs.`;
  const markdown = `## lab: real clients and servers, against testpmd and the usual peers

${provenance(results)} Median ± median absolute deviation of ${all[0]!.runs} rounds. Behind the dot: the median of the rounds' ratios to testpmd's mac forwarding with the same path.${shared}

![Multiples of testpmd](plots/lab.svg)

${markdownTable(head, body)}

- A client, the contestant and one server in namespaces, cables of veth, Ethernet segmentation and merging and checksum offloads off for everybody. The director's forwarding has the last CPU for itself, client and server share the first; receive packet steering keeps the kernel's own work on the CPU of whoever receives. All contestants take turns in every round.
- keepalive and connect: wrk, one thread, ${CONNECTIONS} connections, nginx answering ${BODY_BYTES} B; connect opens a connection a request; latency is keepalive's. iperf-up and iperf-down: iperf3 with ${STREAMS} streams.
- testpmd forwards in mode \`mac\` with Sluice's rings, memory and burst, the kernel kept off its frames too. NAT and FullNAT are compared with testpmd in both directions, DR, TUN and ENAT with testpmd for the requests alone: their servers answer the client directly.
- TUN's real servers take a header off every request, and ENAT's rewrite addresses in eBPF, on the CPU that client and server share and that is busy throughout: at 40 K requests a second each per cent there is 0.25 µs a request. testpmd's servers do neither. In the director both cost a few ns a packet more than DR (see forward); what they lose against DR's ratio is their servers'.
- nginx-stream and haproxy-tcp run one thread on the director's CPU; ip-forward and nftables run there as soft interrupts.
- Each figure comes from [results/lab.json](results/lab.json). Sluice's rows are void when a single request fails.
`;
  return { markdown, plots: { lab: plot(all) } };
}

/** A mode is as good as its worst measure. */
function figures({ cases }: Results<LabResult>): Figures {
  const found: Figures = { lab: {} };
  for (const { result, circumstances } of cases) {
    const { othersBusy = 0 } = circumstances;
    const { contestant, port, mode, measure, toTestpmd } = result;
    if (contestant !== OURS || port !== 'af_packet' || toTestpmd === null) continue;
    const known = found.lab![mode];
    if (known && known.value <= toTestpmd) continue;
    const busy = othersBusy < 0.05 ? '' : ` on a machine ${round(othersBusy * 100, 0)} % busy`;
    found.lab![mode] = { value: round(toTestpmd, 2), note: `${measure}${busy}` };
  }
  return found;
}

export const lab: Scenario<LabCase, LabResult> = {
  name: 'lab',
  about: 'wrk and iperf3 through namespaces: every mode, testpmd, nftables, HAProxy, nginx stream',
  filters: DIMENSIONS,
  cases(filters, long) {
    const all = stations();
    check(all, filters);
    const short = long ? [] : narrowed(all.filter(isShort), filters);
    const together = short.length > 0 ? short : narrowed(all, filters);
    return together.map((station) => ({ station, together }));
  },
  short(cases) {
    const together = cases
      .map(({ station }) => station)
      .filter((station) => dimensions(station).measure === 'keepalive');
    return together.map((station) => ({ station, together }));
  },
  describe: ({ station }) => {
    const { contestant, mode, port, measure } = dimensions(station);
    return `${contestant} ${mode} (${station.lane.path}), ${port}, ${measure}`;
  },
  run,
  progress: (result) => `${figureOf(result)} ${result.unit}, ${ratioOf(result)} of testpmd`,
  tableHead: () => textLine('', ['', 'median', '± MAD', '÷ testpmd', 'p50/p99 ms'], 36),
  tableLine: (result) =>
    textLine(
      `${nameOf(result)}, ${result.measure}`,
      [
        result.unit,
        figureOf(result),
        result.madValue.toFixed(result.unit === 'Gb/s' ? 2 : 0),
        ratioOf(result),
        latencyOf(result),
      ],
      36,
    ),
  report,
  figures,
};
