/**
 * What becoming the master takes, prepared while somebody else is: adverts, the configuration that is
 * published, gratuitous ARP. At the end of Master_Down the herald carries it out by itself, without
 * waiting for the event loop, and JavaScript, once told, goes the same way.
 *
 * It holds for the machines, priorities and frames it was made of; whatever changes those says
 * renew(). A publication makes the herald forget it, too.
 */
import type { Herald, Succession } from '../native.js';
import { announcement } from './frame.js';
import type { Instance } from './instance.js';
import type { Machine } from './machine.js';

/** Changes come together. */
const SETTLE_MS = 10;
/** Of the event loop's time, at most: planning a large configuration takes some of it. */
const SHARE = 0.05;
/** Instances that would not take over together are asked again. */
const RETRY_MS = 1_000;

/** Those that take over together when nothing more is heard, and when: ms of the machines' clock. */
export interface Heirs {
  machines: readonly Machine[];
  at: number;
}

export interface HeirParts {
  herald: () => Herald | undefined;
  heirs: () => Heirs | undefined;
  instanceOf: (machine: Machine) => Instance;
  macOf: (peer: string) => Uint8Array | undefined;
  /** The configuration as it will be published once these are masters; undefined: not known yet. */
  foresee: (instances: ReadonlySet<Instance>) => Uint8Array | undefined;
  guard: (action: () => void) => void;
}

export class Heir {
  readonly #parts: HeirParts;
  #timer: NodeJS.Timeout | undefined;
  #restUntil = 0;
  /** Priorities of the machines that it was prepared for. */
  #prepared: ReadonlyMap<Machine, number> | undefined;

  constructor(parts: HeirParts) {
    this.#parts = parts;
  }

  /** What was prepared holds no more; it is prepared anew as soon as there is time. */
  renew(): void {
    if (this.#prepared) this.#parts.herald()?.prepare(null);
    this.#prepared = undefined;
    const rest = this.#restUntil - performance.now();
    this.#schedule(Math.max(SETTLE_MS, rest));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#prepared = undefined;
    this.#parts.herald()?.prepare(null);
  }

  /** Whether what is prepared is what these would do. */
  isReadyFor({ machines }: Heirs): boolean {
    const prepared = this.#prepared;
    return (
      prepared?.size === machines.length &&
      machines.every((machine) => prepared.get(machine) === machine.priority)
    );
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#parts.guard(() => this.#prepare()), ms).unref();
  }

  #prepare(): void {
    const { herald, heirs, instanceOf, foresee } = this.#parts;
    const begun = performance.now();
    const machines = heirs()?.machines;
    const instances = new Set(machines?.map(instanceOf));
    const snapshot = machines && foresee(instances);
    if (!snapshot) {
      this.#schedule(RETRY_MS);
      return;
    }
    herald()?.prepare(this.#succession(instances, snapshot));
    this.#prepared = new Map(machines.map((machine) => [machine, machine.priority]));
    const now = performance.now();
    this.#restUntil = now + (now - begun) / SHARE;
  }

  #succession(instances: ReadonlySet<Instance>, snapshot: Uint8Array): Succession {
    const { macOf } = this.#parts;
    const all = [...instances];
    return {
      adverts: all.map((instance) => ({ instance: instance.id, advert: instance.advert(macOf) })),
      snapshot,
      remarks: all.flatMap(({ id: instance, announced }) =>
        announced.map(({ address, port, mac }) => {
          return { instance, port, frame: announcement(address, mac) };
        }),
      ),
    };
  }
}
