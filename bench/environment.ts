/** Where and of what a report was made. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface Environment {
  /** Of the tree that was measured; "+" when files that decide the figures differ from it. */
  commit: string;
  /** Git's name of all that is below native/: commits that share it are the same dataplane. */
  native?: string;
  date: string;
  cpu: string;
  cores: number;
  kernel: string;
  /** Reserved, of the default size. */
  hugepages: number;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NATIVE = ['native', 'CMakeLists.txt'];
const MEASURED = [...NATIVE, 'src', 'bench/*.ts', 'bench/scenarios'];

function git(...args: string[]): string {
  const { stdout, status } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : '';
}

function nativeTree(): Pick<Environment, 'native'> {
  const native = git('rev-parse', '--short=10', 'HEAD:native');
  return native === '' ? {} : { native };
}

export function environment(): Environment {
  const commit = git('rev-parse', '--short=10', 'HEAD') || 'unknown';
  const changed = git('status', '--porcelain', '--', ...MEASURED);
  const native = git('status', '--porcelain', '--', ...NATIVE) === '' ? nativeTree() : {};
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  return {
    commit: changed === '' ? commit : `${commit}+`,
    ...native,
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    hugepages: Number(/^HugePages_Total:\s*(\d+)/m.exec(meminfo)?.[1] ?? 0),
  };
}
