/**
 * What instances look at besides their adverts: scripts, files and processes. Each tracker says a
 * weight that is added to the priority, or that something is wrong. Rules are keepalived's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { runScript } from '../health/script.js';
import type { TrackerModel } from './model.js';

/** Files and processes are looked at so often. */
const POLL_MS = 500;

/** `weight` of the use where it has one, else of the tracker. */
export interface Finding {
  weight: number;
  fault: boolean;
}

export class Tracker {
  readonly model: TrackerModel;
  readonly #changed: (tracker: Tracker) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #end = new AbortController();
  /** What was last seen, for people. */
  detail = 'not looked at yet';
  #good: boolean;
  #value = 0;
  /** Results in a row that differ from `#good`. */
  #against = 0;
  #running = false;

  constructor(model: TrackerModel, changed: (tracker: Tracker) => void) {
    this.model = model;
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

  /** For a use with a weight of its own, or 0: the tracker's. */
  finding(own: number): Finding {
    const weight = own || this.model.weight;
    if (this.model.type === 'file') {
      const sum = this.#value * (weight || 1);
      return {
        weight: clamp(sum),
        fault: !this.#good || (weight === 0 && this.#value !== 0) || sum <= -254,
      };
    }
    if (weight === 0) return { weight: 0, fault: !this.#good };
    return { weight: this.#good === weight > 0 ? weight : 0, fault: false };
  }

  #look(): void {
    const { model } = this;
    switch (model.type) {
      case 'file':
        this.#lookAtFile(model.path);
        break;
      case 'process': {
        const count = running(model.process);
        this.#set(count >= model.quorum, `${count} of ${model.process} run`);
        break;
      }
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

/** Processes of a name, as the kernel cuts it to 15 letters. */
function running(name: string): number {
  return readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/comm`, 'utf8').trimEnd() === name;
    } catch {
      return false; // it has ended meanwhile
    }
  }).length;
}
