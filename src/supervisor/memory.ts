/**
 * What outlives a control plane: small plain values by name and key, which the supervisor holds and
 * gives to the next control plane. Changes of one turn travel together.
 */

/** `value` undefined: forgotten. */
export type MemoryChange = [name: string, key: string, value: unknown];
/** All of it, as the supervisor holds it. */
export type MemoryContents = Map<string, Map<string, unknown>>;

/** The values of one name. What is set must survive structuredClone, and not be changed afterwards. */
export interface Store<Value> {
  get(key: string): Value | undefined;
  entries(): IterableIterator<[string, Value]>;
  set(key: string, value: Value | undefined): void;
}

export class Memory {
  readonly #contents: MemoryContents;
  readonly #send: (changes: MemoryChange[]) => void;
  #changes: MemoryChange[] = [];

  /** Without arguments: one that ends with this thread. */
  constructor(
    contents: MemoryContents = new Map(),
    send: (changes: MemoryChange[]) => void = () => {},
  ) {
    this.#contents = contents;
    this.#send = send;
  }

  of<Value>(name: string): Store<Value> {
    const values = () => this.#contents.get(name) as Map<string, Value> | undefined;
    return {
      get: (key) => values()?.get(key),
      entries: () => (values() ?? new Map<string, Value>()).entries(),
      set: (key, value) => this.#set([name, key, value]),
    };
  }

  #set(change: MemoryChange): void {
    applyChange(this.#contents, change);
    if (this.#changes.push(change) === 1) queueMicrotask(() => this.flush());
  }

  /** At once: what comes next may never end. */
  flush(): void {
    if (this.#changes.length === 0) return;
    const changes = this.#changes;
    this.#changes = [];
    this.#send(changes);
  }
}

export function applyChange(contents: MemoryContents, [name, key, value]: MemoryChange): void {
  let values = contents.get(name);
  if (value === undefined) {
    values?.delete(key);
    return;
  }
  if (!values) {
    values = new Map();
    contents.set(name, values);
  }
  values.set(key, value);
}
