/**
 * The state machine of one virtual router (RFC 9568 section 6.4, RFC 3768), with keepalived's
 * habits. Pure: time is a parameter, in milliseconds of a monotonic clock; what is to be done comes
 * back as effects. Groups of machines are in router.ts.
 */
import { bytesOf } from './packet.js';

export type State = 'INIT' | 'BACKUP' | 'MASTER' | 'FAULT' | 'STOP';

export interface MachineSettings {
  version: 2 | 3;
  /** 255: the owner of the addresses. */
  priority: number;
  intervalMs: number;
  /** Intervals of silence before the skew; RFC 9568 has three. */
  downAdverts: number;
  /** A higher priority takes over from a lower one. */
  preempt: boolean;
  preemptDelayMs: number;
  /** Nothing is decided for so long after the start. */
  startDelayMs: number;
  /** Our address: what decides between equal priorities. */
  address: string;
}

export interface Heard {
  source: string;
  priority: number;
  intervalMs: number;
}

export type Effect =
  | { kind: 'state'; from: State; to: State; why: string }
  /** Adverts go on from now with what the machine says; at once, or in the rhythm they have. */
  | { kind: 'advertise'; atOnce: boolean }
  /** No more adverts; `farewell`: but one with priority 0. */
  | { kind: 'cease'; farewell: boolean }
  /** Who sent to a lower router has to learn again where the addresses are. */
  | { kind: 'repeatArp' }
  /** Master_Down has passed; whoever holds the machine says masterNow() (or not: groups). */
  | { kind: 'timeout' }
  | { kind: 'log'; level: 'info' | 'warn'; text: string };

export const OWNER = 255;

export class Machine {
  readonly name: string;
  settings: MachineSettings;
  /** False: a lower master is followed for now, whatever the settings say. */
  mayPreempt = true;
  state: State = 'INIT';
  /** Of the router that is the master, as it says. */
  master: { address: string; priority: number } | undefined;
  #weight = 0;
  /** When something has to happen; Infinity: never. */
  #deadline = Number.POSITIVE_INFINITY;
  #masterIntervalMs: number;
  #preemptAt: number | undefined;
  /** Lower priorities that have been remarked upon. */
  #discarded = new Set<string>();

  constructor(name: string, settings: MachineSettings) {
    this.name = name;
    this.settings = settings;
    this.#masterIntervalMs = settings.intervalMs;
  }

  get deadline(): number {
    return this.#deadline;
  }

  /** New settings, of a reload; what it is stays. */
  configure(now: number, settings: MachineSettings): void {
    this.settings = settings;
    // Version 3 goes on with what the master says.
    if (settings.version === 2 || this.master === undefined || this.state === 'MASTER') {
      this.#masterIntervalMs = settings.intervalMs;
    }
    if (this.state === 'BACKUP') this.#deadline = Math.min(this.#deadline, now + this.masterDownMs);
  }

  /** In effect: what tracking makes of the configured one. An owner's never changes. */
  get priority(): number {
    const { priority } = this.settings;
    return priority === OWNER ? OWNER : Math.min(254, Math.max(1, priority + this.#weight));
  }

  /** RFC 9568 section 6.1; version 2 counts in seconds whatever its interval is. */
  get skewMs(): number {
    const base = this.settings.version === 3 ? this.#masterIntervalMs : 1000;
    return ((256 - this.priority) * base) / 256;
  }

  get masterDownMs(): number {
    return this.settings.downAdverts * this.#masterIntervalMs + this.skewMs;
  }

  /** `resumed`: it was the master before, and its adverts have never stopped. */
  start(now: number, resumed = false): Effect[] {
    if (resumed) return [...this.#enter('MASTER', 'resumed'), { kind: 'advertise', atOnce: false }];
    if (this.settings.priority === OWNER && this.settings.startDelayMs === 0) {
      return this.masterNow(now);
    }
    const effects = this.#enter('BACKUP', 'init');
    this.#deadline = now + this.settings.startDelayMs + this.masterDownMs;
    return effects;
  }

  /** A good advert of this virtual router. */
  hear(now: number, heard: Heard): Effect[] {
    if (this.state === 'BACKUP') return this.#hearAsBackup(now, heard);
    if (this.state === 'MASTER') return this.#hearAsMaster(now, heard);
    return [];
  }

  #hearAsBackup(now: number, heard: Heard): Effect[] {
    if (heard.priority === 0) {
      this.master = undefined;
      this.#deadline = Math.min(this.#deadline, now + this.skewMs);
      return [{ kind: 'log', level: 'info', text: `Master ${heard.source} resigns` }];
    }
    const lower = heard.priority < this.priority;
    if (!lower) this.#preemptAt = undefined;
    if (lower && this.settings.preempt && this.#isToPreempt(now)) {
      if (this.#discarded.has(heard.source)) return [];
      this.#discarded.add(heard.source);
      const text = `received lower priority (${heard.priority}) advert from ${heard.source} - discarding`;
      return [{ kind: 'log', level: 'info', text }];
    }
    this.#follow(now, heard);
    return [];
  }

  /** The delay counts from the first advert of a lower master. */
  #isToPreempt(now: number): boolean {
    const { preemptDelayMs } = this.settings;
    if (!this.mayPreempt) return false;
    if (preemptDelayMs === 0) return true;
    this.#preemptAt ??= now + preemptDelayMs;
    return now >= this.#preemptAt;
  }

  #follow(now: number, { source, priority, intervalMs }: Heard): void {
    this.master = { address: source, priority };
    // Version 3: the master's interval counts; version 2 has refused another one already.
    if (this.settings.version === 3) this.#masterIntervalMs = intervalMs;
    this.#deadline = now + this.masterDownMs;
    this.#discarded.clear();
  }

  #hearAsMaster(now: number, heard: Heard): Effect[] {
    const { source, priority } = heard;
    if (priority === 0) return [{ kind: 'advertise', atOnce: true }];
    const order = compareAddresses(source, this.settings.address);
    if (priority > this.priority || (priority === this.priority && order > 0)) {
      const what = priority > this.priority ? 'higher' : 'the same';
      const rank = `${what} priority ${priority}${priority === this.priority ? ' and a higher address' : ''}`;
      const effects = this.#leave(
        false,
        `Master received advert from ${source} with ${rank}, ours ${this.priority}`,
      );
      this.#follow(now, heard);
      return effects;
    }
    const text = `Received advert from ${source} with lower priority ${priority}, ours ${this.priority}, forcing new election`;
    return [
      { kind: 'log', level: 'info', text },
      { kind: 'advertise', atOnce: true },
      { kind: 'repeatArp' },
    ];
  }

  /** To be called at the deadline, after everything has been heard that came before. */
  tick(now: number): Effect[] {
    if (this.state !== 'BACKUP' || now < this.#deadline) return [];
    this.#deadline = Number.POSITIVE_INFINITY;
    return [{ kind: 'timeout' }];
  }

  masterNow(_now: number): Effect[] {
    if (this.state === 'MASTER' || this.state === 'STOP') return [];
    const why = this.state === 'BACKUP' ? 'Receive advertisement timeout' : 'owner';
    this.master = undefined;
    this.#masterIntervalMs = this.settings.intervalMs;
    this.#preemptAt = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
    return [...this.#enter('MASTER', why), { kind: 'advertise', atOnce: true }];
  }

  /** `quiet`: nobody is told, since nothing may be sent or somebody else is the master already. */
  backupNow(now: number, why: string, quiet = false): Effect[] {
    if (this.state === 'STOP') return [];
    if (this.state === 'BACKUP') {
      if (this.#deadline === Number.POSITIVE_INFINITY) this.#deadline = now + this.masterDownMs;
      return [];
    }
    const effects = this.state === 'MASTER' ? this.#leave(!quiet, why) : this.#enter('BACKUP', why);
    this.#masterIntervalMs = this.settings.intervalMs;
    this.#deadline = now + this.masterDownMs;
    return effects;
  }

  /**
   * Our adverts have not been sent for a while, so that somebody else may be the master by now. Its
   * next advert would come within an interval.
   */
  lapsed(now: number): Effect[] {
    if (this.state !== 'MASTER') return [];
    const effects = this.backupNow(now, 'the control plane was late', true);
    this.#deadline = now + this.settings.intervalMs + this.skewMs;
    return effects;
  }

  fault(_now: number, why: string): Effect[] {
    if (this.state === 'FAULT' || this.state === 'STOP') return [];
    const was = this.state;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#preemptAt = undefined;
    this.master = undefined;
    const effects = this.#enter('FAULT', why);
    return was === 'MASTER' ? [{ kind: 'cease', farewell: true }, ...effects] : effects;
  }

  /** The end of a fault; an owner takes its addresses back at once. */
  recover(now: number): Effect[] {
    if (this.state !== 'FAULT') return [];
    if (this.settings.priority === OWNER) return this.masterNow(now);
    return this.backupNow(now, 'fault cleared');
  }

  /** The sum of the weights of what is tracked. */
  setWeight(weight: number): Effect[] {
    const before = this.priority;
    this.#weight = weight;
    if (this.priority === before) return [];
    const text = `Changing effective priority from ${before} to ${this.priority}`;
    const log: Effect = { kind: 'log', level: 'info', text };
    return this.state === 'MASTER' ? [log, { kind: 'advertise', atOnce: false }] : [log];
  }

  stop(): Effect[] {
    if (this.state === 'STOP') return [];
    const was = this.state;
    this.#deadline = Number.POSITIVE_INFINITY;
    const effects = this.#enter('STOP', 'stop');
    return was === 'MASTER' ? [{ kind: 'cease', farewell: true }, ...effects] : effects;
  }

  #leave(farewell: boolean, why: string): Effect[] {
    return [{ kind: 'cease', farewell }, ...this.#enter('BACKUP', why)];
  }

  #enter(to: State, why: string): Effect[] {
    const from = this.state;
    this.state = to;
    this.#discarded.clear();
    return [{ kind: 'state', from, to, why }];
  }
}

/** In the order of their bytes, as routers compare them. */
export function compareAddresses(a: string, b: string): number {
  return Buffer.compare(bytesOf(a), bytesOf(b));
}
