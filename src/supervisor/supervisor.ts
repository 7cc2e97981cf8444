/**
 * The main thread of `sluice run`: owns the engine, runs the control plane in a thread, and starts
 * another one whenever that fails. Small, and without anything that a configuration, a request or a
 * packet could lead astray: what is known of those is in the control plane.
 */
import { Worker } from 'node:worker_threads';
import { codeOf, describe, SluiceError } from '../errors.js';
import type { Level, Logger } from '../log.js';
import { type Engine, type EngineOptions, native } from '../native.js';
import { Backoff, type BackoffOptions } from './backoff.js';
import { applyChange, type MemoryContents } from './memory.js';
import type { ServiceManager } from './notify.js';
import { Orphans } from './orphans.js';
import { dropPrivileges } from './privileges.js';
import {
  type ControlData,
  type ErrorReport,
  errorFrom,
  type FromControl,
  reportError,
  type ToControl,
} from './protocol.js';
import { LOOK_MS, Pulse } from './pulse.js';

/** Reading a configuration of a hundred thousand servers may take its time. */
const START_MS = 120_000;
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
  readonly #memory: MemoryContents = new Map();
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
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;

  constructor(options: SupervisorOptions, log: Logger, manager: ServiceManager) {
    this.#options = options;
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
      this.#end();
      throw error;
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
    };
    const control: Control = new Control(entry, data, heap, timeoutMs, {
      heard: (message) => this.#heard(control, message),
      ended: (why) => this.#ended(control, why),
    });
    this.#control = control;
  }

  #heard(control: Control, message: FromControl): void {
    const done = (action: () => void) => control.send({ type: 'done', error: errorOf(action) });
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
      case 'ready':
        this.#ready(control, message.status);
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
    this.#engine ??= (this.#options.startEngine ?? startEngine)(options, this.#log);
  }

  #ready(control: Control, status: string): void {
    if (this.#phase === 'starting') {
      this.#phase = 'running';
      this.#settle?.resolve();
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
    this.#orphans.adopt();
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

/** Why a control plane is no more. */
interface Failure {
  what: 'crashed' | 'hung' | 'ran out of memory';
  code: 'ERR_CONTROL_CRASHED' | 'ERR_CONTROL_HUNG' | 'ERR_CONTROL_MEMORY';
  error: Error;
}

interface Observer {
  heard(message: FromControl): void;
  ended(why: Failure): void;
}

/** One control plane, from its thread's start to its end. */
class Control {
  readonly stopped: Promise<Error | undefined>;
  readonly #worker: Worker;
  readonly #beats: Int32Array;
  readonly #timeoutMs: number;
  readonly #born = performance.now();
  #pulse: Pulse;
  #error: Error | undefined;
  #terminated: number | undefined;
  ready = false;

  constructor(
    entry: URL,
    data: ControlData,
    heap: number,
    timeoutMs: number,
    { heard, ended }: Observer,
  ) {
    this.#beats = new Int32Array(data.beats);
    this.#timeoutMs = timeoutMs;
    this.#pulse = new Pulse(Math.max(timeoutMs, START_MS));
    this.#worker = new Worker(entry, {
      workerData: data,
      name: 'control',
      resourceLimits: { maxOldGenerationSizeMb: heap },
    });
    let said: (error: Error | undefined) => void;
    this.stopped = new Promise((resolve) => {
      said = resolve;
    });
    this.#worker.on('message', (message: FromControl) => {
      if (message.type === 'ready') this.#isReady();
      if (message.type === 'failed') this.#error = errorFrom(message.error);
      if (message.type === 'stopped') said(message.error && errorFrom(message.error));
      heard(message);
    });
    this.#worker.on('error', (error: unknown) => {
      this.#error = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', (status) => {
      said(this.#error);
      ended(this.#failure(status));
    });
  }

  /** ms. */
  get age(): number {
    return performance.now() - this.#born;
  }

  /** ms since it was told to end. */
  get ending(): number {
    return this.#terminated === undefined ? 0 : performance.now() - this.#terminated;
  }

  send(message: ToControl): void {
    this.#worker.postMessage(message);
  }

  /** False from the look on that finds it hung. */
  lives(): boolean {
    return this.#terminated === undefined && this.#pulse.look(Atomics.load(this.#beats, 0));
  }

  async terminate(): Promise<void> {
    this.#terminated ??= performance.now();
    await this.#worker.terminate();
  }

  #isReady(): void {
    this.ready = true;
    this.#pulse = new Pulse(this.#timeoutMs);
  }

  #failure(status: number): Failure {
    const error = this.#error;
    if (error && (error as { code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY') {
      return { what: 'ran out of memory', code: 'ERR_CONTROL_MEMORY', error };
    }
    if (!error && this.#terminated !== undefined) {
      const late = new SluiceError(
        'ERR_CONTROL_HUNG',
        `no sign of life for ${this.#timeoutMs / 1_000} s`,
      );
      return { what: 'hung', code: 'ERR_CONTROL_HUNG', error: late };
    }
    const own = () =>
      new SluiceError('ERR_CONTROL_CRASHED', `it ended by itself with status ${status}`);
    return { what: 'crashed', code: 'ERR_CONTROL_CRASHED', error: error ?? own() };
  }
}

const ENTRY = import.meta.url.endsWith('.ts')
  ? sources(new URL('./control-thread.ts', import.meta.url))
  : new URL('./control-thread.js', import.meta.url);

/** In a checkout that runs from its sources a thread has to be told how to read them. */
function sources(entry: URL): URL {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import { register } from ${loader}; register(); await import(${JSON.stringify(entry.href)});`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
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
