/** One control plane's thread, from its start to its end, as the supervisor sees it. */
import { Worker } from 'node:worker_threads';
import { SluiceError } from '../errors.js';
import { threadEntry } from '../threads.js';
import { errorFrom } from './error-report.js';
import type { ControlData, FromControl, ToControl } from './protocol.js';
import { Pulse } from './pulse.js';

/** Reading a configuration of a hundred thousand servers may take its time. */
const START_MS = 120_000;

/** Why a control plane is no more. */
export interface Failure {
  what: 'crashed' | 'hung' | 'ran out of memory';
  code: 'ERR_CONTROL_CRASHED' | 'ERR_CONTROL_HUNG' | 'ERR_CONTROL_MEMORY';
  error: Error;
}

interface Observer {
  heard(message: FromControl): void;
  ended(why: Failure): void;
}

export class Control {
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

export const ENTRY = threadEntry('control-thread', import.meta.url);
