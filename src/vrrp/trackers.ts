/**
 * What instances look at besides their adverts: scripts, files and processes. Each tracker says a
 * weight that is added to the priority, or that something is wrong. Rules are keepalived's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { askBird, judgeSessions } from '../health/checkers/bfd.js';
import { runScript } from '../health/script.js';
import type { Gauges } from '../native.js';
import type { ProcessModel, TrackerModel } from './model.js';

/** All but scripts are looked at so often. */
const POLL_MS = 500;
/** The kernel cuts names of programs to so many letters. */
const COMM = 15;
/** Once there were too few packet buffers there have to be so many times what is wanted. */
const ENOUGH = 1.1;

export interface Finding {
  weight: number;
  fault: boolean;
}

/** How an instance uses what it tracks: what is undefined is as the tracker has it. */
export interface Use {
  weight: number | undefined;
  reverse: boolean | undefined;
}

/** Of what is good or bad: a positive weight is for the good, a negative one for the bad. */
export function judged(good: boolean, weight: number, reverse: boolean): Finding {
  const well = good !== reverse;
  if (weight === 0) return { weight: 0, fault: !well };
  return { weight: well === weight > 0 ? weight : 0, fault: false };
}

type GaugesOf = () => Pick<Gauges, 'mbufs' | 'mbufsInUse'>;

export class Tracker {
  readonly model: TrackerModel;
  readonly #changed: (tracker: Tracker) => void;
  readonly #gauges: GaugesOf;
  readonly #timer: NodeJS.Timeout;
  readonly #end = new AbortController();
  /** What was last seen, for people. */
  detail = 'not looked at yet';
  #good: boolean;
  #value = 0;
  /** Results in a row that differ from `#good`. */
  #against = 0;
  #running = false;
  /** When it began to differ from `#good`. */
  #since: number | undefined;

  constructor(model: TrackerModel, changed: (tracker: Tracker) => void, gauges: GaugesOf) {
    this.model = model;
    this.#gauges = gauges;
    this.#changed = changed;
    this.#good = model.type !== 'script' || !model.initFail;
    const every = model.type === 'script' ? model.intervalMs : POLL_MS;
    this.#timer = setInterval(() => this.#look(), every).unref();
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#end.abort();
  }

  get good(): boolean {
    return this.#good;
  }

  finding(use: Use): Finding {
    const weight = use.weight ?? this.model.weight;
    const reverse = use.reverse ?? this.model.reverse;
    if (this.model.type !== 'file') return judged(this.#good, weight, reverse);
    const sum = this.#value * weight * (reverse ? -1 : 1);
    const fault = weight === 0 ? this.#value !== 0 : sum <= -254;
    return { weight: clamp(sum), fault };
  }

  #look(): void {
    const { model } = this;
    switch (model.type) {
      case 'file':
        this.#lookAtFile(model.path);
        break;
      case 'process': {
        const count = running(model.process);
        const good = count >= model.quorum && count <= model.quorumMax;
        this.#hold(good, `${count} of ${model.process.name} run`, model);
        break;
      }
      case 'mempool':
        this.#lookAtBuffers(model.free);
        break;
      case 'bfd':
        void this.#askBird(model.socket, model.neighbour);
        break;
      case 'script': {
        // One at a time: a slow script is not started again meanwhile.
        if (this.#running) return;
        this.#running = true;
        void runScript(model.script, model.timeoutMs, this.#end.signal).then(
          ({ status, detail }) => {
            this.#running = false;
            if (!this.#end.signal.aborted)
              this.#count(status === 0, detail, model.rise, model.fall);
          },
        );
      }
    }
  }

  #lookAtFile(path: string): void {
    let value = 0;
    let detail: string;
    try {
      const text = readFileSync(path, 'utf8').trim();
      value = /^[+-]?\d+/.test(text) ? Number.parseInt(text, 10) : 0;
      detail = `says ${value}`;
    } catch (error) {
      detail = `cannot be read: ${(error as NodeJS.ErrnoException).code}`;
    }
    this.detail = detail;
    if (value === this.#value) return;
    this.#value = value;
    this.#changed(this);
  }

  #lookAtBuffers(least: number): void {
    const { mbufs, mbufsInUse } = this.#gauges();
    const free = (100 * (mbufs - mbufsInUse)) / mbufs;
    const wanted = Math.min(100, this.#good ? least : least * ENOUGH);
    this.#set(free >= wanted, `${Math.floor(free)} % of ${mbufs} packet buffers are free`);
  }

  async #askBird(socket: string, neighbour: string): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const { ok, detail } = judgeSessions(await askBird(socket, 'show bfd sessions'), neighbour);
      if (!this.#end.signal.aborted) this.#set(ok, detail);
    } catch (error) {
      if (!this.#end.signal.aborted) this.#set(false, `BIRD: ${(error as Error).message}`);
    } finally {
      this.#running = false;
    }
  }

  /** A change counts once it has lasted. */
  #hold(
    good: boolean,
    detail: string,
    { terminateDelayMs, forkDelayMs }: { terminateDelayMs: number; forkDelayMs: number },
  ): void {
    this.detail = detail;
    if (good === this.#good) {
      this.#since = undefined;
      return;
    }
    const now = performance.now();
    this.#since ??= now;
    if (now - this.#since < (good ? forkDelayMs : terminateDelayMs)) return;
    this.#since = undefined;
    this.#set(good, detail);
  }

  #count(good: boolean, detail: string, rise: number, fall: number): void {
    this.#against = good === this.#good ? 0 : this.#against + 1;
    this.detail = detail;
    if (this.#against >= (good ? rise : fall)) this.#set(good, detail);
  }

  #set(good: boolean, detail: string): void {
    this.detail = detail;
    this.#against = 0;
    if (good === this.#good) return;
    this.#good = good;
    this.#changed(this);
  }
}

function clamp(weight: number): number {
  return Math.min(253, Math.max(-253, weight));
}

function running(wanted: ProcessModel): number {
  return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isOne(entry, wanted)).length;
}

function isOne(pid: string, { name, full, argv, partial }: ProcessModel): boolean {
  try {
    if (!full && readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd() !== name.slice(0, COMM)) {
      return false;
    }
    if (!full && argv === undefined) return true;
    const [called, ...rest] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (full && called !== name) return false;
    if (argv === undefined) return true;
    const enough = partial ? rest.length >= argv.length : rest.length === argv.length;
    return enough && argv.every((word, index) => rest[index] === word);
  } catch {
    return false; // it has ended meanwhile
  }
}

/** Up as the kernel sees it: switched on, and with its cable in. */
export function interfaceIsUp(name: string): boolean {
  try {
    const folder = `/sys/class/net/${name}`;
    const on = (Number(readFileSync(`${folder}/flags`, 'utf8')) & 1) !== 0;
    // Some kinds have no carrier to speak of: theirs is unknown.
    return on && /^(up|unknown)$/.test(readFileSync(`${folder}/operstate`, 'utf8').trim());
  } catch {
    return false; // it is not there
  }
}
