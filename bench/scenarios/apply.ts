/**
 * Publications: 100 K real servers in 1, 1 K or 10 K services, one weight changed among them, while
 * a worker on another core forwards. Everything between the changed model and workers that use it
 * counts: plan() and encodeSnapshot() here, Snapshot::parse and the swap in sluice_bench, which does
 * as Engine::publish does. The changed model shares nothing with the one before, as after a reload.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { summaryOf } from '../../src/changes/words.js';
import { parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import { diffModels } from '../../src/model-diff.js';
import { ALL_UP, type Planned, plan } from '../../src/plan.js';
import { encodeSnapshot } from '../../src/snapshot.js';
import type { Arguments } from '../arguments.js';
import { grouped, markdownTable, provenance, textLine } from '../markdown.js';
import { circumstancesOf, NativeDialogue, requireAccounts } from '../native.js';
import type { Figures } from '../reference.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

export interface ApplyCase {
  services: number;
  servers: number;
  scheduler: string;
}

/** One case as `--json` prints it. Times are medians in ms. */
export interface ApplyResult {
  scenario: 'apply';
  services: number;
  servers: number;
  scheduler: string;
  /** From the changed model to workers that use it, and its median absolute deviation. */
  publishMs: number;
  madMs: number;
  /** Parts of publishMs: plan(); encodeSnapshot(); parsing, routes and the swap in C++. */
  planMs: number;
  encodeMs: number;
  nativeMs: number;
  /** The log's summary of what has changed, afterwards. */
  diffMs: number;
  /** The first publication, of everything; and reading and checking the YAML file before it. */
  firstMs: number;
  configMs: number;
  /** Longest time between two turns of the worker from the change to 50 ms after it; the worst. */
  gapUs: number;
  /** The same in 50 ms without a publication. */
  calmGapUs: number;
  lost: number;
  runs: number;
  offered: number;
  accounted: number;
}

/** Packets go to the first service. */
export function yamlOf({ services, servers, scheduler }: ApplyCase): string {
  const parts = [
    `director: { maxServices: ${services}, maxServers: ${servers} }
ports:
  - name: bench
    mac: 02:00:00:00:01:01
    addresses: [198.51.100.1/24, 192.0.2.1/24]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:09:fe }
  - { address: 198.51.100.254, mac: 02:00:00:00:08:fe }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
  - { to: 10.0.0.0/8, via: 198.51.100.254 }
services:
`,
  ];
  let server = 0;
  for (let service = 0; service < services; service++) {
    parts.push(`  - name: s${service}
    listen: 203.0.113.${10 + (service % 200)}:${80 + Math.floor(service / 200)}
    protocol: udp
    mode: fullnat
    scheduler: ${scheduler}
    localAddresses: [198.51.100.200, 198.51.100.201]
    servers:
`);
    const end = Math.floor(((service + 1) * servers) / services);
    for (; server < end; server++) {
      const host = `10.${server >> 16}.${(server >> 8) & 255}.${server & 255}`;
      parts.push(`      - { address: ${host}:8080, weight: ${1 + (server % 3)} }\n`);
    }
  }
  return parts.join('');
}

/** Nothing of the model that came before is in it. */
function withNewWeight(model: Model, service: number, weight: number): Model {
  const next = structuredClone(model);
  const [server] = next.services[service]?.servers ?? [];
  if (server) server.weight = weight;
  return next;
}

function timed<T>(action: () => T): { value: T; ms: number } {
  const start = performance.now();
  const value = action();
  return { value, ms: performance.now() - start };
}

/** CPU time that the event loop's thread has had, ms. */
function cpuMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6;
}

interface Answer {
  parseMs: number;
  routesMs: number;
  swapMs: number;
  gapUs?: number;
  calmGapUs?: number;
}

interface Publication extends Answer {
  planned: Planned;
  planMs: number;
  encodeMs: number;
  /** Of planMs and encodeMs: CPU time. */
  cpuMs: number;
}

const BEGIN = new Uint8Array(4);

async function publish(
  native: NativeDialogue,
  model: Model,
  last: Planned | undefined,
): Promise<Publication> {
  native.tell(BEGIN);
  // It has to leave this process before the event loop is busy.
  await sleep(1);
  const before = cpuMs();
  const { value: planned, ms: planMs } = timed(() => plan(model, ALL_UP, undefined, last?.slots));
  const { value: bytes, ms: encodeMs } = timed(() => encodeSnapshot(planned.snapshot));
  const ran = cpuMs() - before;
  native.tell(new Uint8Array(Uint32Array.of(bytes.length).buffer));
  native.tell(bytes);
  return { planned, planMs, encodeMs, cpuMs: ran, ...(await native.answer<Answer>()) };
}

const nativeMs = ({ parseMs, routesMs, swapMs }: Answer) => parseMs + routesMs + swapMs;
const shareOf = (changes: readonly Publication[]) => {
  const ran = changes.reduce((sum, one) => sum + one.cpuMs, 0);
  const passed = changes.reduce((sum, { planMs, encodeMs }) => sum + planMs + encodeMs, 0);
  return round(Math.min(1, ran / passed), 3);
};
const totalMs = (one: Publication) => one.planMs + one.encodeMs + nativeMs(one);

async function measure(
  native: NativeDialogue,
  one: ApplyCase,
  runs: number,
): Promise<Outcome<ApplyResult>> {
  const { value: loaded, ms: configMs } = timed(() => parseConfig(yamlOf(one), 'bench.yaml'));
  const first = await publish(native, loaded.model, undefined);
  const changes: Publication[] = [];
  const diffs: number[] = [];
  let last = first;
  let before = loaded.model;
  for (let run = 0; run < runs; run++) {
    // The first service, then others: in the first, packets notice.
    const model = withNewWeight(loaded.model, (run * 37) % one.services, 50 + run);
    const next = await publish(native, model, last.planned);
    changes.push(next);
    diffs.push(timed(() => summaryOf(diffModels(before, model))).ms);
    before = model;
    last = next;
  }
  const end = await native.finish<{ offered: number; accounted: number; lost: number }>();
  requireAccounts(end);
  const middle = (value: (change: Publication) => number) => round(median(changes.map(value)), 2);
  return {
    result: {
      scenario: 'apply',
      ...one,
      publishMs: middle(totalMs),
      madMs: round(mad(changes.map(totalMs)), 2),
      planMs: middle(({ planMs }) => planMs),
      encodeMs: middle(({ encodeMs }) => encodeMs),
      nativeMs: middle(nativeMs),
      diffMs: round(median(diffs), 2),
      firstMs: round(totalMs(first), 1),
      configMs: round(configMs, 0),
      gapUs: round(Math.max(...changes.map(({ gapUs = 0 }) => gapUs)), 1),
      calmGapUs: round(Math.max(...changes.map(({ calmGapUs = 0 }) => calmGapUs)), 1),
      lost: end.lost,
      runs,
      offered: end.offered,
      accounted: end.accounted,
    },
    circumstances: circumstancesOf(end, { share: shareOf(changes) }),
  };
}

export async function run(
  one: ApplyCase,
  options: Pick<Arguments, 'runs' | 'cpus'>,
): Promise<Outcome<ApplyResult>> {
  const args = ['apply', '--services', String(one.services), '--servers', String(one.servers)];
  if (options.cpus !== undefined) args.push('--cpu', options.cpus.join(','));
  const native = new NativeDialogue(args);
  try {
    return await measure(native, one, options.runs);
  } finally {
    native.kill();
  }
}

const SERVERS = 100_000;

function cases(_filters: unknown, long: boolean): ApplyCase[] {
  const of = (services: number, scheduler: string) => ({ services, servers: SERVERS, scheduler });
  const short = [of(1, 'wrr'), of(1_000, 'wrr'), of(10_000, 'wrr')];
  return long ? [...short, of(1, 'mh'), of(1_000, 'mh'), of(10_000, 'mh')] : short;
}

const HEAD = ['services', 'servers', 'scheduler', 'publish ms', 'plan', 'encode', 'C++', 'lost'];

function row(one: ApplyResult): string[] {
  return [
    grouped(one.services),
    grouped(one.servers),
    one.scheduler,
    `**${one.publishMs.toFixed(1)}** ± ${one.madMs.toFixed(1)}`,
    one.planMs.toFixed(1),
    one.encodeMs.toFixed(1),
    one.nativeMs.toFixed(1),
    String(one.lost),
    one.gapUs.toFixed(0),
    one.calmGapUs.toFixed(0),
    one.diffMs.toFixed(1),
    one.firstMs.toFixed(0),
    grouped(one.configMs),
  ];
}

function report(results: Results<ApplyResult>): Section {
  const all = results.cases.map(({ result }) => result);
  const offered = all.reduce((sum, one) => sum + one.offered, 0);
  const head = [...HEAD, 'worst gap µs', 'without', 'diff ms', 'first ms', 'YAML ms'];
  const markdown = `## apply: a changed weight, published

${provenance(results)} Wall-clock times; median ± median absolute deviation of ${all[0]!.runs} changes.

${markdownTable(head, all.map(row))}

- **publish** is the way from a changed model to workers that use it: plan, encode, and in C++ parse, routes and the swap until the worker's second turn. The model shares no object with the one before it, as after a reload. JavaScript's event loop stands still for plan, encode, C++ and the diff that the log shows; a reload also reads and checks the file (**YAML**), and nothing else of the control plane runs meanwhile. Workers don't notice: they are other threads, and swap a pointer.
- **first** is the first publication, of everything.
- A worker forwards FullNAT UDP of 10 K flows all the while. The **worst gap** is the longest time between two of its turns from the change until 50 ms after the swap, the worst of all changes; beside it the same in 50 ms without a publication. ${grouped(offered)} packets were offered here, and all of them forwarded${all.some(({ lost }) => lost > 0) ? ' but for those in the table' : ''}.
- Each figure comes from [results/apply.json](results/apply.json).
`;
  return { markdown, plots: {} };
}

function figures({ cases }: Results<ApplyResult>): Figures {
  const large = cases.map(({ result }) => result).filter(({ services }) => services === 10_000);
  if (large.length === 0) return {};
  const worst = large.reduce((a, b) => (a.publishMs > b.publishMs ? a : b));
  const lost = large.reduce((sum, one) => sum + one.lost, 0);
  return {
    publish: {
      ms: { value: round(worst.publishMs, 1), note: worst.scheduler },
      'packets lost': { value: lost },
    },
  };
}

export const apply: Scenario<ApplyCase, ApplyResult> = {
  name: 'apply',
  about: 'publish time and worst packet gap: 1 to 10 K services with 100 K real servers',
  filters: [],
  cases,
  short: (cases) => cases.slice(-1),
  describe: ({ services, servers, scheduler }) =>
    `${grouped(services)} services, ${grouped(servers)} servers, ${scheduler}`,
  run,
  progress: ({ publishMs, gapUs, lost }) => `${publishMs} ms, gap ${gapUs} µs, lost ${lost}`,
  tableHead: () =>
    textLine('', ['publish ms', '± MAD', 'plan', 'encode', 'C++', 'gap us', 'calm us', 'lost']),
  tableLine: (one) =>
    textLine(`${one.services} services, ${one.servers} servers, ${one.scheduler}`, [
      one.publishMs.toFixed(1),
      one.madMs.toFixed(1),
      one.planMs.toFixed(1),
      one.encodeMs.toFixed(1),
      one.nativeMs.toFixed(1),
      one.gapUs.toFixed(0),
      one.calmGapUs.toFixed(0),
      String(one.lost),
    ]),
  report,
  figures,
};
