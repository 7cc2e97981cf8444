/**
 * What it costs JavaScript to read the workers' counters: a copy a read, or a live view of the
 * memory itself; a bulk or a word at a time; and an object of BigInts, as a deterrent. The same
 * functions by node-addon-api and by nan, from two small addons of their own.
 */
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import type { Arguments } from '../arguments.js';
import { BenchError } from '../errors.js';
import { grouped, markdownTable, provenance, textLine } from '../markdown.js';
import type { Outcome, Results, Scenario, Section } from '../scenario.js';
import { mad, median, round } from '../statistics.js';

const WHATS = ['word', 'object', 'snapshot', 'fill', 'view word', 'view bulk'] as const;

export interface BoundaryCase {
  what: (typeof WHATS)[number];
  /** Who made the function or the memory: node-addon-api or nan. */
  api: 'napi' | 'nan';
  bytes: number;
}

/** One case as `--json` prints it. */
export interface BoundaryResult {
  scenario: 'boundary';
  what: string;
  api: string;
  /** That come over the boundary with one operation. */
  bytes: number;
  /** Median of the runs, and its median absolute deviation. */
  nsPerOp: number;
  madNs: number;
  runs: number;
}

interface Napi {
  snapshot(bytes: number): BigUint64Array;
  fill(array: BigUint64Array): void;
  word(index: number): bigint;
  object(): Record<string, bigint>;
}

interface NanOnly {
  view(bytes: number): SharedArrayBuffer;
}

const MOST_BYTES = 1 << 20;
const OBJECT_BYTES = 16 * 8;

function load<Module>(name: string): Module {
  try {
    const require = createRequire(import.meta.url);
    return (require('bindings') as (name: string) => Module)(name);
  } catch (cause) {
    const message = `${name} is not there: it is built with Node's own headers (${(cause as Error).message.split('\n')[0]})`;
    throw new BenchError('ERR_BENCH_NATIVE', message);
  }
}

/** Runs the operation `n` times and returns something of every result, so that none is left out. */
type Loop = (n: number) => number;

function loopOf({ what, api, bytes }: BoundaryCase): Loop {
  const native = load<Napi & NanOnly>(`sluice_boundary_${api}`);
  const words = bytes / 8;
  const loops: Record<BoundaryCase['what'], () => Loop> = {
    word: () => sum((i) => Number(native.word(i & 1023))),
    object: () => sum(() => Number(native.object().punted)),
    snapshot: () => sum((i) => Number(native.snapshot(bytes)[i % words])),
    fill: () => {
      const array = new BigUint64Array(words);
      return sum((i) => {
        native.fill(array);
        return Number(array[i % words]);
      });
    },
    'view word': () => {
      const view = new BigUint64Array(native.view(MOST_BYTES));
      return sum((i) => Number(Atomics.load(view, i & 1023)));
    },
    'view bulk': () => {
      const view = new BigUint64Array(native.view(bytes));
      return sum(() => {
        let total = 0;
        for (let word = 0; word < words; word++) total += Number(Atomics.load(view, word));
        return total;
      });
    },
  };
  return loops[what]();
}

function sum(operation: (index: number) => number): Loop {
  return (n) => {
    let total = 0;
    for (let i = 0; i < n; i++) total += operation(i);
    return total;
  };
}

function timed(loop: Loop, n: number): number {
  const start = process.hrtime.bigint();
  if (!(loop(n) > 0)) throw new BenchError('ERR_BENCH_VOID', 'the counters read as nothing');
  return Number(process.hrtime.bigint() - start);
}

export async function run(
  one: BoundaryCase,
  { runs, milliseconds }: Pick<Arguments, 'runs' | 'milliseconds'>,
): Promise<Outcome<BoundaryResult>> {
  const loop = loopOf(one);
  // Until the compiler is done with it, and a run is as long as it should be.
  let n = 16;
  for (let ns = 0; ns < milliseconds * 1e6 * 0.5; n *= 2) ns = timed(loop, n);
  const found: number[] = [];
  for (let i = 0; i < runs; i++) {
    await turn();
    found.push(timed(loop, n) / n);
  }
  const { what, api, bytes } = one;
  return {
    result: {
      scenario: 'boundary',
      what,
      api,
      bytes,
      nsPerOp: round(median(found), 1),
      madNs: round(mad(found), 1),
      runs,
    },
    circumstances: {},
  };
}

function cases(): BoundaryCase[] {
  const both = (what: BoundaryCase['what'], bytes: number): BoundaryCase[] =>
    (['napi', 'nan'] as const).map((api) => ({ what, api, bytes }));
  const sizes = [4096, 65_536, MOST_BYTES];
  return [
    ...both('word', 8),
    { what: 'view word', api: 'nan', bytes: 8 },
    ...both('object', OBJECT_BYTES),
    ...sizes.flatMap((bytes): BoundaryCase[] => [
      ...both('snapshot', bytes),
      ...both('fill', bytes),
      { what: 'view bulk', api: 'nan', bytes },
    ]),
  ];
}

const NAMES: Record<string, string> = {
  word: 'one word by a call',
  'view word': 'one word of the live view (`Atomics.load`)',
  object: 'an object of 16 BigInts',
  snapshot: 'a copy in a new array',
  fill: 'a copy in an array that is there',
  'view bulk': 'every word of the live view',
};
const APIS: Record<string, string> = { napi: 'node-addon-api', nan: 'nan' };

function report(results: Results<BoundaryResult>): Section {
  const rows = results.cases.map(({ result }) => [
    NAMES[result.what] ?? result.what,
    APIS[result.api] ?? result.api,
    grouped(result.bytes),
    `**${result.nsPerOp.toFixed(result.nsPerOp < 100 ? 1 : 0)}** ± ${result.madNs.toFixed(1)}`,
    (result.nsPerOp / (result.bytes / 8)).toFixed(2),
  ]);
  const head = ['', 'made by', 'bytes', 'ns an operation', 'ns a word'];
  const markdown = `## boundary: counters read in JavaScript

${provenance(results)} Median ± median absolute deviation of ${results.cases[0]!.result.runs} runs.

${markdownTable(head, rows)}

- The same functions in two addons, one of node-addon-api and one of nan. Each operation also turns one word (with the whole view: every word) into a Number, as a reader does. Only V8's own interface, which nan passes on, can show existing memory as a SharedArrayBuffer: reading a word of it is no call at all.
- Sluice reads its counters by the live view, and by a copy where nan's addon isn't built; never as objects of BigInts.
- Each figure comes from [results/boundary.json](results/boundary.json).
`;
  return { markdown, plots: {} };
}

export const boundary: Scenario<BoundaryCase, BoundaryResult> = {
  name: 'boundary',
  about: 'counters read in JavaScript: copy or live view, word or bulk, nan or node-addon-api',
  filters: [],
  cases,
  short: (cases) => cases.filter(({ bytes }) => bytes <= 4096),
  describe: ({ what, api, bytes }) => `${what}, ${api}, ${grouped(bytes)} B`,
  run,
  progress: ({ nsPerOp }) => `${nsPerOp} ns`,
  tableHead: () => textLine('', ['ns/op', '± MAD']),
  tableLine: ({ what, api, bytes, nsPerOp, madNs }) =>
    textLine(`${what}, ${api}, ${bytes} B`, [nsPerOp.toFixed(1), madNs.toFixed(1)]),
  report,
};
