/**
 * Runs test/**\/*.test.ts, each file in a process of its own (EAL starts once a process, and a crash
 * in native code must fail one file only), and counts honestly: a file that ran no test, printed no
 * totals or died is a failure, whatever uvu's own exit status says.
 *
 *   tsx test/runner.ts [--root DIR] [--timeout SECONDS] [FILTER ...]
 *
 * A filter is a part of a path. What a file says in its first lines: `// serial`, it runs alone, after
 * all others; `// lab`, it has directors that forward, and runs beside one other of its kind (everything
 * under test/lab, and under test/bench, where accounts are looked at and no times); `// timeout: 300`,
 * it may take so long, and begins before others. The rest, builds with sanitizers among them, keeps
 * all CPUs busy.
 *
 * Labs and serial files have real clients, servers and clocks, and a CPU that is taken away for a
 * second fails them too. Up to AGAIN of them that failed are run once more, alone; what they said at
 * first is printed, and each is listed as unsteady in the summary. A failure of any other file stands.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { type FileResult, runFile } from './support/runFile.js';

/** Files at once, where there is more than one CPU: a third fills the waits of two. */
const LANES: Record<Kind, number> = { plain: 3, lab: 2, serial: 1 };
/** More real-time files than this that fail are no bad luck: none is run again. */
const AGAIN = 2;
/** Of the files that took longest so many are listed at the end. */
const SLOWEST = 10;

type Kind = 'plain' | 'lab' | 'serial';

interface TestFile {
  path: string;
  name: string;
  kind: Kind;
  timeoutMs: number;
}

interface Options {
  root: string;
  timeoutSeconds: number;
  filters: string[];
}

function parseArgs(argv: string[]): Options {
  const options: Options = { root: resolve('test'), timeoutSeconds: 240, filters: [] };
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--root') options.root = resolve(argv[++i] ?? '.');
    else if (arg === '--timeout') options.timeoutSeconds = Number(argv[++i]);
    else options.filters.push(arg);
  }
  return options;
}

function findTests({ root, timeoutSeconds, filters }: Options): TestFile[] {
  const tests: TestFile[] = [];
  for (const entry of readdirSync(root, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.test.ts')) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(process.cwd(), path);
    const inside = relative(root, path);
    // Fixtures are tests that fail on purpose; they are run by the runner's own test.
    if (inside.split('/').includes('fixtures')) continue;
    if (filters.length > 0 && !filters.some((filter) => name.includes(filter))) continue;
    const head = readFileSync(path, 'utf8').split('\n', 12).join('\n');
    const says = (word: Kind) => new RegExp(`^// ${word}\\b`, 'm').test(head);
    const lab = says('lab') || /^(lab|bench)\//.test(inside);
    const kind = says('serial') ? 'serial' : lab ? 'lab' : 'plain';
    const own = /^\/\/ timeout: (\d+)/m.exec(head);
    tests.push({ path, name, kind, timeoutMs: Number(own?.[1] ?? timeoutSeconds) * 1000 });
  }
  // What may take long is not left for the end, where one lane would wait for another.
  return tests.sort((a, b) => b.timeoutMs - a.timeoutMs || a.name.localeCompare(b.name));
}

function report(test: TestFile, result: FileResult): void {
  const seconds = (result.milliseconds / 1000).toFixed(1);
  const skipped = result.skips.length > 0 ? `, ${result.skips.length} skipped` : '';
  const counts = `${result.passed} passed${skipped}`;
  if (result.problem === undefined) {
    process.stdout.write(`ok    ${test.name}  ${counts}  ${seconds} s\n`);
    return;
  }
  process.stdout.write(`FAIL  ${test.name}  ${result.problem}  ${counts}  ${seconds} s\n`);
  process.stdout.write(`${result.output.trimEnd().replace(/^/gm, '      ')}\n`);
}

type Results = Map<TestFile, FileResult>;

async function runOne(test: TestFile, results: Results): Promise<void> {
  const result = await runFile(test.path, test.timeoutMs);
  results.set(test, result);
  report(test, result);
}

async function runAll(tests: TestFile[]): Promise<Results> {
  const results: Results = new Map();
  for (const kind of ['plain', 'lab', 'serial'] as const) {
    const queue = tests.filter((test) => test.kind === kind);
    const lane = async () => {
      for (let test = queue.shift(); test; test = queue.shift()) await runOne(test, results);
    };
    const lanes = cpus().length === 1 ? 1 : LANES[kind];
    await Promise.all(Array.from({ length: lanes }, lane));
  }
  return results;
}

/** Runs again what may have failed for want of a CPU; a line for each that passed then. */
async function runAgain(results: Results): Promise<string[]> {
  const failed = [...results].filter(([, { problem }]) => problem !== undefined);
  const realTime = failed.filter(([{ kind }]) => kind !== 'plain');
  if (realTime.length > AGAIN) return [];
  const unsteady: string[] = [];
  for (const [test, first] of realTime) {
    await runOne(test, results);
    if (results.get(test)?.problem !== undefined) continue;
    unsteady.push(`${test.name}: ${first.problem} at first, none when run again, alone`);
  }
  return unsteady;
}

async function main(): Promise<number> {
  const tests = findTests(parseArgs(process.argv.slice(2)));
  const results = await runAll(tests);
  const unsteady = await runAgain(results);
  let passed = 0;
  let failed = 0;
  const skips: string[] = [];
  for (const [test, result] of results) {
    passed += result.passed;
    failed += result.failed;
    for (const { name, reason } of result.skips) skips.push(`${test.name}: ${name}: ${reason}`);
  }
  process.stdout.write('\n');
  const bySeconds = [...results].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
  if (tests.length > SLOWEST) {
    for (const [{ name }, { milliseconds }] of bySeconds.slice(0, SLOWEST)) {
      process.stdout.write(`slow     ${name}: ${(milliseconds / 1000).toFixed(1)} s\n`);
    }
  }
  for (const line of skips) process.stdout.write(`skipped  ${line}\n`);
  for (const line of unsteady) process.stdout.write(`unsteady ${line}\n`);
  for (const [test, { problem }] of results) {
    if (problem !== undefined) process.stdout.write(`failed   ${test.name}: ${problem}\n`);
  }
  if (tests.length === 0) process.stdout.write('no test file matches\n');
  process.stdout.write(`${passed} passed, ${failed} failed, ${skips.length} skipped\n`);
  return failed > 0 || passed + failed === 0 ? 1 : 0;
}

process.exitCode = await main();
