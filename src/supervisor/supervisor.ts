/**
 * The main thread of `sluice run`: owns the engine, runs the control plane in a thread, and starts
 * another one whenever that fails. Small, and without anything that a configuration, a request or a
 * packet could lead astray: what is known of those is in the control plane.
 */
import { codeOf, describe, SluiceError } from '../errors.js';
import type { Level, Logger } from '../log.js';
import { type Engine, type EngineOptions, native } from '../native.js';
import type { Totals } from '../stats/totals.js';
import {
  Departure,
  type Frozen,
  type UpgradeReport,
  type UpgradeRequest,
} from '../upgrade/departure.js';
import type { Heir } from '../upgrade/heir.js';
import { Backoff, type BackoffOptions } from './backoff.js';
import { Control, ENTRY, type Failure } from './control.js';
import { type ErrorReport, reportError } from './error-report.js';
import { applyChange, type MemoryContents } from './memory.js';
import type { ServiceManager } from './notify.js';
import { Orphans } from './orphans.js';
import { dropPrivileges } from './privileges.js';
import type { ControlData, FromControl } from './protocol.js';
import { LOOK_MS } from './pulse.js';

/** The control plane's farewell (notifications of a stop), and a little more. */
const STOP_MS = 7_000;
/** JavaScript is ended at once; native code that hangs, never. */
const END_MS = 10_000;

export interface SupervisorOptions {
  config: string;
  logLevel: Level;
  /** MiB of JavaScript heap that the control plane may take. */
  heap: number;
  /** Without a heartbeat for so long it is replaced, ms. */
  timeoutMs: number;
  /** A worker that has not come round for so long is stuck, ms. */
  workerLagMs: number;
  backoff?: BackoffOptions;
  /** This process takes over from another. */
  heir?: Heir | undefined;
  /** Program and arguments of a process that is to take over from this one. */
  successor?: (request: UpgradeRequest) => [string, ...string[]];
  /** Another one has taken over: to be left. */
  departed?: () => void;
  /** The thread's module: for tests. */
  entry?: URL;
  startEngine?: typeof startEngine;
}

/** What the supervisor itself needs of an engine. */
export type OwnedEngine = Pick<Engine, 'stop' | 'workerLag'>;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: Logger;
  readonly #manager: ServiceManager;
  readonly #backoff: Backoff;
  readonly #memory: MemoryContents;
  readonly #startedAt = Date.now();
  #engine: OwnedEngine | undefined;
  #control: Control | undefined;
  readonly #orphans = new Orphans();
  #restarts = 0;
  #phase: 'starting' | 'running' | 'stopping' = 'starting';
  /** A thread that does not end: the process is not well, whatever the workers do. */
  #stuck = false;
  #reloadWanted = false;
  #retry: NodeJS.Timeout | undefined;
  #timers: NodeJS.Timeout[] = [];
  #departure: Departure | undefined;
  /** What the control plane is asked for an upgrade. */
  #asked: { resolve: (value: never) => void; reject: (error: Error) => void } | undefined;
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(options: SupervisorOptions, log: Logger, manager: ServiceManager) {
    this.#options = options;
    this.#memory = options.heir?.memory ?? new Map();
    this.#log = log;
    this.#manager = manager;
    this.#backoff = new Backoff(options.backoff);
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Until it forwards; rejects with what has kept it from that, and nothing runs then. */
  async start(): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#launch();
    this.#timers.push(setInterval(() => this.#look(), LOOK_MS));
    const { watchdogMs } = this.#manager;
    if (watchdogMs !== undefined) {
      this.#timers.push(setInterval(() => this.#feedWatchdog(), watchdogMs / 3));
    }
    try {
      await settled;
    } catch (error) {
      this.#options.heir?.failed(error);
      this.#end();
      throw error;
    }
  }

  /** Another process takes over from this one; rejects, and this one goes on. */
  async upgrade(request: UpgradeRequest): Promise<UpgradeReport> {
    if (this.#departure) {
      throw new SluiceError('ERR_UPGRADE_RUNNING', 'another process is taking over already');
    }
    const { successor } = this.#options;
    if (!successor) throw new SluiceError('ERR_UPGRADE_FAILED', 'not from here');
    const departure = new Departure(
      {
        log: this.#log,
        native: native(),
        memory: this.#memory,
        command: successor,
        freeze: () => this.#ask<Frozen>('freeze'),
        totals: () => this.#ask<Totals>('count'),
        thaw: () => this.#control?.send({ type: 'thaw' }),
        succeeded: (pid) => this.#manager.succeeded(pid),
      },
      request,
    );
    this.#departure = departure;
    try {
      return await departure.run();
    } catch (error) {
      this.#departure = undefined;
      throw error;
    }
  }

  #ask<Value>(type: 'freeze' | 'count'): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      const control = this.#control;
      if (!control?.ready) {
        reject(new SluiceError('ERR_UPGRADE_FAILED', 'the control plane is being restarted'));
        return;
      }
      this.#asked = { resolve: resolve as (value: never) => void, reject };
      control.send({ type });
    });
  }

  async #serveUpgrade(control: Control, request: UpgradeRequest): Promise<void> {
    try {
      const report = await this.upgrade(request);
      this.#phase = 'stopping';
      control.send({ type: 'upgraded', report, error: undefined });
      control.send({ type: 'leave' });
      await Promise.race([control.stopped, delay(STOP_MS)]);
      await Promise.race([control.terminate(), delay(END_MS)]);
      this.#end();
      this.#options.departed?.();
    } catch (error) {
      control.send({ type: 'upgraded', report: undefined, error: reportError(error) });
    }
  }

  /** At once, or when there is a control plane again. */
  reload(): void {
    if (this.#control?.ready) this.#control.send({ type: 'reload' });
    else this.#reloadWanted = true;
  }

  /** The control plane says its farewells, then forwarding ends. What went wrong with that, or undefined. */
  async stop(): Promise<Error | undefined> {
    this.#phase = 'stopping';
    await this.#departure?.abort();
    this.#manager.stopping();
    clearTimeout(this.#retry);
    const control = this.#control;
    let trouble: Error | undefined;
    if (control?.ready) {
      control.send({ type: 'stop' });
      const late = new Promise<Error>((done) => {
        setTimeout(
          () => done(new Error('the control plane did not stop in time')),
          STOP_MS,
        ).unref();
      });
      trouble = await Promise.race([control.stopped, late]);
    }
    await Promise.race([control?.terminate(), delay(END_MS)]);
    this.#end();
    return trouble;
  }

  #end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    clearTimeout(this.#retry);
    this.#engine?.stop();
    this.#engine = undefined;
  }

  #launch(): void {
    const { config, logLevel, heap, timeoutMs, entry = ENTRY } = this.#options;
    const data: ControlData = {
      config,
      logLevel,
      beats: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
      memory: this.#memory,
      startedAt: this.#startedAt,
      restarts: this.#restarts,
      legacy: this.#phase === 'starting' ? this.#options.heir?.legacy : undefined,
    };
    const control: Control = new Control(entry, data, heap, timeoutMs, {
      heard: (message) => this.#heard(control, message),
      ended: (why) => this.#ended(control, why),
    });
    this.#control = control;
  }

  #heard(control: Control, message: FromControl): void {
    const done = (action: () => void) => control.send({ type: 'done', error: errorOf(action) });
    const heirDoes = async (action: (heir: Heir) => Promise<Totals | undefined>) => {
      try {
        const totals = await action(this.#options.heir as Heir);
        control.send({ type: 'done', error: undefined, ...(totals && { totals }) });
      } catch (error) {
        control.send({ type: 'done', error: reportError(error) });
      }
    };
    switch (message.type) {
      case 'log':
        this.#log.log(message.entry);
        return;
      case 'keep':
        for (const change of message.changes) applyChange(this.#memory, change);
        return;
      case 'become':
        done(() => dropPrivileges(message.identity, this.#log));
        return;
      case 'engine':
        done(() => this.#startEngine(message.options));
        return;
      case 'prepared':
        void heirDoes(async (heir) => {
          await heir.prepared();
          return undefined;
        });
        return;
      case 'switch':
        void heirDoes((heir) => heir.switched());
        return;
      case 'upgrade':
        void this.#serveUpgrade(control, message.request);
        return;
      case 'frozen':
        this.#asked?.resolve(message.frozen as never);
        return;
      case 'counted':
        this.#asked?.resolve(message.totals as never);
        return;
      case 'ready':
        void this.#ready(control, message.status, message.generation);
        return;
      case 'reloading':
        this.#manager.reloading();
        return;
      case 'reloaded':
        this.#manager.ready(message.status);
        return;
      case 'failed':
      case 'stopped':
        return;
    }
  }

  #startEngine(options: EngineOptions): void {
    const { heir, startEngine: start = startEngine } = this.#options;
    this.#engine ??= start(heir ? heir.engineOptions(options) : options, this.#log);
  }

  async #ready(control: Control, status: string, generation: number): Promise<void> {
    if (this.#phase === 'starting') {
      this.#phase = 'running';
      this.#settle?.resolve();
      await this.#options.heir?.opened(generation);
    } else {
      const ms = Math.round(control.age);
      this.#log.warn(`the control plane is back after ${ms} ms`, { restarts: this.#restarts });
    }
    this.#manager.ready(status);
    if (this.#reloadWanted) this.reload();
    this.#reloadWanted = false;
  }

  #ended(control: Control, why: Failure): void {
    if (this.#control !== control) return;
    this.#control = undefined;
    this.#asked?.reject(new SluiceError('ERR_UPGRADE_FAILED', 'the control plane has ended'));
    // The new process of an upgrade is no script of a control plane.
    if (!this.#departure) this.#orphans.adopt();
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'starting') {
      this.#settle?.reject(why.error);
      return;
    }
    this.#stuck = false;
    const wait = this.#backoff.wait(control.age);
    const seconds = (wait / 1_000).toFixed(1);
    const { error, what, code } = why;
    // Without a code it is a bug, and the stack is wanted.
    const reason = codeOf(error) ? error.message : describe(error);
    this.#log.error(
      `the control plane ${what}, forwarding goes on, it is started again in ${seconds} s: ${reason}`,
      { code },
    );
    this.#manager.status(`forwarding; the control plane ${what} and is being restarted`);
    this.#restarts++;
    this.#retry = setTimeout(() => this.#launch(), wait);
  }

  #look(): void {
    this.#orphans.reap();
    const control = this.#control;
    if (!control || control.lives()) return;
    void control.terminate();
    if (control.ending < END_MS || this.#stuck) return;
    this.#stuck = true;
    this.#log.error('the control plane hangs in native code and cannot be ended', {
      code: 'ERR_CONTROL_HUNG',
    });
  }

  #feedWatchdog(): void {
    if (this.#phase === 'running' && !this.#stuck && this.#workersGoRound()) this.#manager.alive();
  }

  #workersGoRound(): boolean {
    const lags = this.#engine?.workerLag() ?? [];
    return lags.every((us) => us < this.#options.workerLagMs * 1_000);
  }
}

function errorOf(action: () => void): ErrorReport | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return reportError(error);
  }
}

/** While no control plane is there to hear them, the engine's events are only written down. */
function startEngine(options: EngineOptions, log: Logger): OwnedEngine {
  return native().startEngine(options, ({ level, message, code, count }) => {
    log.log(level, message, { code, count });
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms).unref();
  });
}
