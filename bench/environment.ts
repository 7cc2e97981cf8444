/** Where and of what a report was made. */
import { spawnSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface Environment {
  /** Of the tree that was measured; "+" when files of the engine or the benchmark differ from it. */
  commit: string;
  date: string;
  cpu: string;
  cores: number;
  kernel: string;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));

function git(...args: string[]): string {
  const { stdout, status } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : '';
}

export function environment(): Environment {
  const commit = git('rev-parse', '--short=10', 'HEAD') || 'unknown';
  const changed = git('status', '--porcelain', '--', 'native/engine', 'native/bench');
  return {
    commit: changed === '' ? commit : `${commit}+`,
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
  };
}
