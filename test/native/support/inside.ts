/**
 * A network namespace for a test file that starts the live engine in its own process. The file
 * runs a second time inside `unshare --net`: the namespace has no name, so that it is gone with
 * its last process, however that ends.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { skip } from '../../support/skip.js';

const MARK = 'SLUICE_TEST_INSIDE';

/** True inside. Outside it runs the file inside and ends this process, or skips without root. */
export function inside(moduleUrl: string, name: string): boolean {
  if (process.env[MARK] === '1') return true;
  if (process.getuid?.() !== 0) {
    skip(name, 'network namespaces need root');
    return false;
  }
  const again = [process.execPath, ...process.execArgv, fileURLToPath(moduleUrl)];
  const { status } = spawnSync('unshare', ['--net', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: '1' },
  });
  process.exit(status ?? 1);
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** `ip` commands here, one a line. */
export function ip(...lines: string[]): void {
  execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') });
}

export const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

/** Waits for a condition; throws with `what` when it does not come. */
export async function until(what: string, met: () => boolean, ms = 5000): Promise<void> {
  for (const end = Date.now() + ms; !met(); await sleep(20)) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
  }
}

/** Another namespace at the other end of a veth: `near` here, `far` there. */
export class Peer {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async wired(near: string, far: string): Promise<Peer> {
    const holder = spawn('unshare', ['--net', 'sleep', '300'], { stdio: 'ignore' });
    holder.unref();
    const peer = new Peer(holder);
    const ours = readlinkSync('/proc/self/ns/net');
    await until('a namespace for the peer', () => {
      const theirs = readlinkSync(`/proc/${holder.pid}/ns/net`);
      return theirs !== ours;
    });
    ip(`link add ${near} type veth peer name ${far} netns ${holder.pid}`, `link set ${near} up`);
    peer.run('ip', 'link', 'set', far, 'up');
    for (const feature of ['tx', 'tso', 'gso', 'gro']) {
      peer.run('ethtool', '-K', far, feature, 'off');
    }
    return peer;
  }

  get pid(): number {
    return this.#holder.pid!;
  }

  run(command: string, ...args: string[]): string {
    return run('nsenter', '-t', String(this.pid), '-n', command, ...args);
  }

  /** Status and output of a program that may fail. */
  try(command: string, ...args: string[]): { status: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(
      'nsenter',
      ['-t', String(this.pid), '-n', command, ...args],
      { encoding: 'utf8' },
    );
    return { status, output: stdout + stderr };
  }

  start(command: string, ...args: string[]): ChildProcess {
    return spawn('nsenter', ['-t', String(this.pid), '-n', command, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  }

  end(): void {
    this.#holder.kill('SIGKILL');
  }
}
