/**
 * Programs that a control plane had started when it ended: checks and notifications. They run to
 * their end, which nobody waits for any more, and would stay in the process table for ever.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { native } from '../native.js';

/** As long as a notification may take; then it is ended, and what it started with it. */
const MOST_MS = 60_000;

export class Orphans {
  #pids: number[] = [];
  readonly #since = new Map<number, number>();

  /** All children of the process: to be called while no control plane runs, which would have its own. */
  adopt(): void {
    this.#pids = children();
    for (const pid of this.#pids) this.#since.set(pid, performance.now());
  }

  reap(): void {
    if (this.#pids.length === 0) return;
    this.#pids = native().reap(this.#pids);
    const running = new Set(this.#pids);
    for (const [pid, since] of this.#since) {
      if (!running.has(pid)) this.#since.delete(pid);
      else if (performance.now() - since > MOST_MS) end(pid);
    }
  }
}

function children(): number[] {
  const threads = '/proc/self/task';
  return readdirSync(threads).flatMap((thread) => {
    try {
      const pids = readFileSync(`${threads}/${thread}/children`, 'utf8');
      return pids.split(' ').filter(Boolean).map(Number);
    } catch {
      return []; // a thread that has just ended has none
    }
  });
}

function end(pid: number): void {
  try {
    // A process group of its own (src/health/script.ts).
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended in this very moment.
  }
}
