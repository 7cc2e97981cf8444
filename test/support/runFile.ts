/** Runs one test file under tsx and reads its result out of what uvu printed. */
import { spawn } from 'node:child_process';
import { SKIP_MARK } from './skip.js';

export interface Skip {
  name: string;
  reason: string;
}

export interface FileResult {
  passed: number;
  /** At least 1 when there is a problem. */
  failed: number;
  skips: Skip[];
  /** Why the file failed; undefined when it did not. */
  problem: string | undefined;
  output: string;
  milliseconds: number;
}

interface Exit {
  output: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  timedOut: boolean;
}

function launch(path: string, timeoutMs: number): Promise<Exit> {
  return new Promise((done) => {
    const argv = ['--enable-source-maps', '--import', 'tsx', path];
    // A group of its own, so that a timeout takes the file's children with it.
    const child = spawn(process.execPath, argv, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
    });
    let output = '';
    let timedOut = false;
    const collect = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const signalGroup = (signal: NodeJS.Signals) => {
      try {
        process.kill(-child.pid!, signal);
      } catch {
        // The group is gone already.
      }
    };
    let hardKill: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      timedOut = true;
      // SIGTERM first: a test that holds a lab takes it down.
      signalGroup('SIGTERM');
      hardKill = setTimeout(() => signalGroup('SIGKILL'), 10_000);
    }, timeoutMs);
    const forward = (signal: NodeJS.Signals) => {
      signalGroup(signal);
      setTimeout(() => process.exit(130), 5_000).unref();
    };
    process.on('SIGINT', forward);
    process.on('SIGTERM', forward);
    const finish = (exit: Exit) => {
      clearTimeout(timer);
      clearTimeout(hardKill);
      process.off('SIGINT', forward);
      process.off('SIGTERM', forward);
      done(exit);
    };
    child.on('error', (error) => {
      finish({ output: `${output}${error}`, code: 1, signal: null, timedOut });
    });
    child.on('exit', (code, signal) => {
      // Grandchildren may hold the pipes open: give what is on the way a moment, then stop reading.
      const settle = setTimeout(() => finish({ output, code, signal, timedOut }), 500);
      child.on('close', () => {
        clearTimeout(settle);
        finish({ output, code, signal, timedOut });
      });
    });
  });
}

/** The sum of uvu's totals; undefined when there were none. */
function totals(output: string): { total: number; passed: number; skipped: number } | undefined {
  const sum = (word: string) => {
    const found = [...output.matchAll(new RegExp(`^ {2}${word}: +(\\d+)$`, 'gm'))];
    return found.length === 0 ? undefined : found.reduce((all, match) => all + Number(match[1]), 0);
  };
  const total = sum('Total');
  const passed = sum('Passed');
  if (total === undefined || passed === undefined) return undefined;
  return { total, passed, skipped: sum('Skipped') ?? 0 };
}

export function readSkips(output: string): Skip[] {
  const lines = output.split('\n').filter((line) => line.startsWith(SKIP_MARK));
  return lines.map((line) => JSON.parse(line.slice(SKIP_MARK.length)) as Skip);
}

export async function runFile(path: string, timeoutMs: number): Promise<FileResult> {
  const start = performance.now();
  const exit = await launch(path, timeoutMs);
  const milliseconds = performance.now() - start;
  const counted = totals(exit.output);
  const skips = readSkips(exit.output);
  for (let i = 0; i < (counted?.skipped ?? 0); i++) {
    skips.push({ name: `test.skip ${i + 1}`, reason: 'marked test.skip in the file' });
  }
  const passed = counted?.passed ?? 0;
  const failedTests = counted ? counted.total - counted.passed - counted.skipped : 0;

  let problem: string | undefined;
  if (exit.timedOut) problem = `timed out after ${timeoutMs / 1000} s`;
  else if (exit.signal) problem = `died of ${exit.signal}`;
  else if (failedTests > 0) problem = `${failedTests} failed`;
  else if (exit.code !== 0) problem = `exit status ${exit.code}`;
  else if (!counted) problem = 'printed no totals: is test.run() missing?';
  else if (counted.total === 0 && skips.length === 0) problem = 'ran no test';
  const failed = problem === undefined ? 0 : Math.max(1, failedTests);
  return { passed, failed, skips, problem, output: exit.output, milliseconds };
}
