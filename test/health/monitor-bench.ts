/** A monitor under a clock of its own, and what it says. */
import { PassThrough } from 'node:stream';
import type { Outcome, Target } from '../../src/health/checkers/index.js';
import type { Check } from '../../src/health/model.js';
import { HealthMonitor } from '../../src/health/monitor.js';
import type { World } from '../../src/health/runner.js';
import type { MonitorState } from '../../src/health/state.js';
import { createLogger } from '../../src/log.js';

/** Timers by hand; servers answer as `answers` says. */
export class VirtualWorld implements World {
  now = 0;
  answers = new Map<string, Outcome>();
  probes: { at: number; address: string; step: number }[] = [];
  #timers: { at: number; action: () => void }[] = [];

  probe = async (_: Check, { server }: Target, step: number): Promise<Outcome> => {
    this.probes.push({ at: this.now, address: server.address, step });
    return this.answers.get(server.address) ?? { ok: true, detail: 'fine' };
  };
  random = () => 0.5;
  setTimeout = (action: () => void, ms: number) => {
    const timer = { at: this.now + ms, action };
    this.#timers.push(timer);
    return timer;
  };
  clearTimeout = (timer: unknown) => {
    this.#timers = this.#timers.filter((one) => one !== timer);
  };

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await new Promise((done) => setImmediate(done));
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.now = next.at;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      next.action();
    }
    this.now = end;
  }
}

export function monitorWith(resumed?: MonitorState) {
  const world = new VirtualWorld();
  const stream = new PassThrough();
  let log = '';
  stream.on('data', (chunk) => {
    log += chunk;
  });
  let changes = 0;
  const logger = createLogger({ level: 'debug', stream });
  const one = new HealthMonitor(logger, () => changes++, world, resumed);
  return {
    world,
    monitor: one,
    changes: () => changes,
    /** Lines without their time. */
    log: async () => {
      await new Promise((done) => setImmediate(done));
      return log.trim().replace(/^\S+ /gm, '').split('\n');
    },
  };
}
