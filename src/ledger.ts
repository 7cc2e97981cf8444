/**
 * What a control plane writes down of the running state, so that the next one goes on from it: the
 * file as it was read, the Model that runs, the generations to return to, and the slots that
 * connections and counters in the workers refer to. Written are changes: Models share most of their
 * parts, and a part is kept once, under a number.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ModelChange } from './changes/change.js';
import { type Loaded, loadConfig } from './config/load.js';
import type { Model } from './config/model.js';
import type { SlotEntry, Slots } from './slots.js';
import type { Memory, Store } from './supervisor/memory.js';

export interface Generation {
  generation: number;
  at: string;
  cause: string;
  summary: string;
  /** As many as are told, and how many more there were. */
  changes: ModelChange[];
  more: number;
  model: Model;
}

/** What the one before has left. */
export interface Past {
  loaded: Loaded;
  model: Model;
  slots: Slots;
  history: Generation[];
  /** Of another generation; undefined: it is the same one. */
  cause?: string;
}

type Value = Model[keyof Model];
/** Numbers of parts, by the Model's keys; of a list, of its members; null: not given. */
type Kept = Record<string, number | number[] | null>;
type KeptGeneration = Omit<Generation, 'model'> & { model: Kept };

/** Parts that nothing refers to may be as many as the others, and these, before they are cleared. */
const SPARE_PARTS = 1_000;

export class Ledger {
  readonly #memory: Memory;
  readonly #parts: Store<object>;
  readonly #generations: Store<KeptGeneration>;
  readonly #running: Store<unknown>;
  readonly #services: Store<SlotEntry>;
  readonly #servers: Store<SlotEntry>;
  readonly #numbers = new WeakMap<object, number>();
  #next = 0;
  #count = 0;
  /** Parts that something referred to when that was last looked at, which takes a while. */
  #used = 0;
  #slots: Pick<Slots, 'services' | 'servers'> | undefined;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#parts = memory.of('model.parts');
    this.#generations = memory.of('model.generations');
    this.#running = memory.of('model.running');
    this.#services = memory.of('slots.services');
    this.#servers = memory.of('slots.servers');
    for (const [key, part] of this.#parts.entries()) {
      this.#numbers.set(part, Number(key));
      this.#next = Math.max(this.#next, Number(key) + 1);
      this.#count++;
    }
  }

  /** undefined: this is the first control plane. */
  past(): Past | undefined {
    const file = this.#running.get('file') as string | undefined;
    const base = this.#running.get('base') as Kept | undefined;
    const running = this.#running.get('model') as Kept | undefined;
    const generation = this.#running.get('generation') as number | undefined;
    if (!file || !base || !running || generation === undefined) return undefined;
    const read = this.#reader();
    const slots: Slots = {
      generation,
      services: new Map(this.#services.entries()),
      servers: new Map(this.#servers.entries()),
      parts: [],
    };
    this.#slots = slots;
    const history = [...this.#generations.entries()]
      .map(([, one]) => ({ ...one, model: read(one.model) }))
      .sort((a, b) => a.generation - b.generation);
    return { loaded: placed(file, read(base)), model: read(running), slots, history };
  }

  /** The file that the running state is compared with. */
  based({ file, model }: Loaded): void {
    this.#running.set('file', file);
    this.#running.set('base', this.#write(model));
    this.#memory.flush();
  }

  /** After each publication. */
  published(generation: number, slots: Pick<Slots, 'services' | 'servers'>): void {
    this.#running.set('generation', generation);
    writeChanges(this.#services, this.#slots?.services, slots.services);
    writeChanges(this.#servers, this.#slots?.servers, slots.servers);
    this.#slots = slots;
  }

  /** What runs is one to return to; `dropped` are no longer. */
  ran(one: Generation, dropped: readonly Generation[]): void {
    const model = this.#write(one.model);
    this.#running.set('model', model);
    this.#generations.set(String(one.generation), { ...one, model });
    for (const { generation } of dropped) this.#generations.set(String(generation), undefined);
    if (!this.#isFew()) this.#clear();
    this.#memory.flush();
  }

  #write(model: Model): Kept {
    const write = (value: Value | undefined) => {
      if (Array.isArray(value)) return value.map((part: object) => this.#number(part));
      return value === undefined ? null : this.#number(value);
    };
    return Object.fromEntries(
      Object.entries(model).map(([key, value]: [string, Value | undefined]) => [key, write(value)]),
    );
  }

  #number(part: object): number {
    const known = this.#numbers.get(part);
    if (known !== undefined && this.#parts.get(String(known))) return known;
    const number = this.#next++;
    this.#numbers.set(part, number);
    this.#parts.set(String(number), part);
    this.#count++;
    return number;
  }

  /** Equal Models come back as the same object, and equal parts as the same parts. */
  #reader(): (kept: Kept) => Model {
    const models = new Map<string, Model>();
    const part = (number: number | null) =>
      number === null ? undefined : this.#parts.get(String(number));
    return (kept) => {
      const id = JSON.stringify(kept);
      const model =
        models.get(id) ??
        (Object.fromEntries(
          Object.entries(kept).map(([key, value]) => [
            key,
            Array.isArray(value) ? value.map(part) : part(value),
          ]),
        ) as unknown as Model);
      models.set(id, model);
      return model;
    };
  }

  #isFew(): boolean {
    return this.#count <= 2 * this.#used + SPARE_PARTS;
  }

  #clear(): void {
    const used = new Set<number>();
    const kept = [...this.#generations.entries()].map(([, { model }]) => model);
    for (const one of [...kept, this.#running.get('base') as Kept | undefined]) {
      for (const value of Object.values(one ?? {})) {
        for (const number of [value].flat()) if (number !== null) used.add(number);
      }
    }
    this.#used = used.size;
    if (this.#isFew()) return;
    for (const [key] of [...this.#parts.entries()]) {
      if (!used.has(Number(key))) this.#parts.set(key, undefined);
    }
    this.#count = used.size;
  }
}

function writeChanges(
  store: Store<SlotEntry>,
  before: ReadonlyMap<string, SlotEntry> | undefined,
  after: ReadonlyMap<string, SlotEntry>,
): void {
  if (before === after) return;
  for (const [key, entry] of after) {
    const old = before?.get(key);
    if (old?.slot !== entry.slot || old.live !== entry.live) store.set(key, entry);
  }
  for (const key of before?.keys() ?? []) if (!after.has(key)) store.set(key, undefined);
}

/** Places are looked up in the file, as long as it still says what it said. */
function placed(file: string, model: Model): Loaded {
  let read: Loaded | undefined;
  return {
    file,
    model,
    warnings: [],
    locate(path) {
      const nowhere = { file, line: 1, column: 1 };
      try {
        read ??= loadConfig(file);
        return isDeepStrictEqual(read.model, model) ? read.locate(path) : nowhere;
      } catch {
        // Not what it was; nor is it asked for again until a reload.
        read ??= { file, model: {} as Model, warnings: [], locate: () => nowhere };
        return nowhere;
      }
    },
  };
}
