/**
 * Addresses, routes and rules of the director's namespace, kept as they are wanted: what lacks is
 * added, what is no longer wanted is taken away, in batches beside everything else. Nobody waits for
 * it. What was added is remembered across control planes and hot upgrades; what a director has left
 * that died is found by the mark of its routes and rules, and goes before anything is added.
 */
import type { Model } from '../config/model.js';
import type { Logger } from '../log.js';
import type { Memory, Store } from '../supervisor/memory.js';
import { type Item, itemsOf, keyOf, PROTOCOL } from './commands.js';
import { type Run, runIp } from './run.js';

/** What has failed is tried again so often. */
const RETRY_MS = 5_000;
/** Done already, as far as it matters. */
const ADDED = /File exists|already assigned/;
const GONE = /No such (process|file or directory|device)|Cannot (find device|assign requested)/;

export interface KernelParts {
  log: Logger;
  memory: Memory;
  run?: Run;
}

interface Command {
  item: Item;
  args: string[];
}

export class KernelState {
  readonly #log: Logger;
  readonly #run: Run;
  readonly #store: Store<Item[]>;
  /** By key. */
  readonly #there: Map<string, Item>;
  /** What an earlier control plane has left may or may not have been added. */
  readonly #sure = new Set<string>();
  /** Addresses that somebody else has given the kernel: they stay. */
  readonly #others = new Set<string>();
  readonly #failed = new Map<string, string>();
  readonly #told = new Map<string, string>();
  #fresh: boolean;
  #model: Model | undefined;
  #wanted = new Map<string, Item>();
  #open = false;
  #stopped = false;
  #again = false;
  #work: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor({ log, memory, run = runIp }: KernelParts) {
    this.#log = log;
    this.#run = run;
    this.#store = memory.of<Item[]>('kernel');
    const known = this.#store.get('items');
    this.#fresh = known === undefined;
    this.#there = new Map((known ?? []).map((item) => [keyOf(item), item]));
  }

  /** The next Model; it counts from follow() on. */
  adopt(model: Model): void {
    this.#model = model;
  }

  /** `masters`: names of instances. After each publication. */
  follow(masters: ReadonlySet<string>): void {
    if (!this.#model || this.#stopped) return;
    this.#want(itemsOf(this.#model, masters));
  }

  /** Nothing is done before: another process might still have what this one wants. */
  open(): void {
    this.#open = true;
    this.#kick();
  }

  /** Everything goes. Resolves when it has. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#want([]);
    while (this.#work) await this.#work;
    clearTimeout(this.#retry);
  }

  #want(items: readonly Item[]): void {
    const before = this.#wanted;
    this.#wanted = new Map(items.map((item) => [keyOf(item), item]));
    const same = before.size === items.length && items.every((item) => before.has(keyOf(item)));
    if (!same) this.#kick();
  }

  #kick(): void {
    if (!this.#open) return;
    this.#failed.clear();
    this.#again = true;
    this.#work ??= this.#settle().finally(() => {
      this.#work = undefined;
      if (this.#again) this.#kick();
    });
  }

  async #settle(): Promise<void> {
    if (this.#fresh) await this.#removeLeftovers();
    this.#fresh = false;
    while (this.#again) {
      this.#again = false;
      await this.#step();
    }
    clearTimeout(this.#retry);
    if (this.#failed.size === 0) return;
    if (this.#stopped) return;
    this.#retry = setTimeout(() => this.#kick(), RETRY_MS).unref();
  }

  async #step(): Promise<void> {
    const removed = [...this.#there].filter(([key]) => !this.#wanted.has(key)).reverse();
    const added = [...this.#wanted].filter(
      ([key]) => !(this.#there.has(key) && this.#sure.has(key)) && !this.#others.has(key),
    );
    if (removed.length + added.length === 0) return this.#remember();
    // Of what has begun something is there, whatever becomes of this control plane.
    this.#remember(added.map(([, item]) => item));
    const fresh = new Set(added.map(([key]) => key).filter((key) => !this.#there.has(key)));
    let [removals, additions] = [0, 0];
    const gone = await this.#execute(removed.map(([, item]) => ({ item, args: item.remove })));
    const failures = await this.#execute(added.map(([, item]) => ({ item, args: item.add })));
    for (const [key, item] of removed) {
      const why = gone.get(key);
      removals += why === undefined ? 1 : 0;
      if (why === undefined || GONE.test(why)) this.#there.delete(key);
      else this.#fail(key, `${item.text} stays: ${why}`);
    }
    for (const [key, item] of added) {
      const why = failures.get(key);
      additions += why === undefined ? 1 : 0;
      if (why === undefined || ADDED.test(why)) {
        // What was there before us is not ours to take away.
        if (why !== undefined && item.kind === 'address' && fresh.has(key)) this.#others.add(key);
        else this.#there.set(key, item);
        this.#sure.add(key);
        this.#told.delete(key);
      } else {
        this.#there.delete(key);
        this.#fail(key, `${item.text}: ${why}`);
      }
    }
    this.#remember();
    if (additions + removals === 0) return;
    this.#log.info(`kernel: ${additions} addresses, routes and rules added, ${removals} removed`);
  }

  /** Each reason once, until it has been good. */
  #fail(key: string, text: string): void {
    this.#failed.set(key, text);
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    this.#log.error(`kernel: ${text}`, { code: 'ERR_KERNEL_STATE' });
  }

  #remember(begun: readonly Item[] = []): void {
    const all = new Map(this.#there);
    for (const item of begun) all.set(keyOf(item), item);
    this.#store.set('items', [...all.values()]);
  }

  /** What has failed, by key, and why. In the order given, but IPv4 before IPv6. */
  async #execute(commands: readonly Command[]): Promise<Map<string, string>> {
    const failures = new Map<string, string>();
    for (const family of [4, 6] as const) {
      const own = commands.filter(({ item }) => item.family === family);
      if (own.length === 0) continue;
      const input = own.map(({ args }) => `${args.join(' ')}\n`).join('');
      const ran = await this.#run([`-${family}`, '-force', '-batch', '-'], input);
      // A line that iproute2 cannot even read ends the whole batch.
      const whole = ran.status === 0 || ran.status === 1;
      const found = whole ? faultsOf(ran.errors) : await this.#oneByOne(family, own);
      for (const [line, why] of found) {
        const command = own[line - 1];
        if (command) failures.set(keyOf(command.item), why);
      }
    }
    return failures;
  }

  async #oneByOne(family: 4 | 6, commands: readonly Command[]): Promise<Map<number, string>> {
    const found = new Map<number, string>();
    for (const [index, { args }] of commands.entries()) {
      const { status, errors } = await this.#run([`-${family}`, ...args]);
      // The batch has got so far.
      const done = status === 0 || ADDED.test(errors);
      if (!done) found.set(index + 1, reason(errors) || `ip ended with ${status}`);
    }
    return found;
  }

  async #removeLeftovers(): Promise<void> {
    for (const family of ['-4', '-6']) {
      const routes = await this.#run([family, 'route', 'show', 'table', 'all', 'proto', PROTOCOL]);
      const rules = await this.#run([family, 'rule', 'show']);
      const count = (text: string, with_: string) =>
        text.split('\n').filter((line) => line !== '' && line.includes(with_)).length;
      const left = [count(routes.output, ''), count(rules.output, `proto ${PROTOCOL}`)];
      const [some = 0, more = 0] = left;
      if (some + more === 0) continue;
      this.#log.warn(
        `kernel: ${some} routes and ${more} rules of a director that has died are removed`,
      );
      await this.#run([family, 'route', 'flush', 'table', 'all', 'proto', PROTOCOL]);
      await this.#run([family, 'rule', 'flush', 'protocol', PROTOCOL]);
    }
  }
}

/** What iproute2 says of the lines of a batch. */
function faultsOf(errors: string): Map<number, string> {
  const lines = new Map<number, string>();
  let said = '';
  for (const line of errors.split('\n')) {
    const number = /^Command failed -:(\d+)$/.exec(line)?.[1];
    if (number === undefined) said += `${line}\n`;
    else {
      lines.set(Number(number), reason(said));
      said = '';
    }
  }
  return lines;
}

const reason = (text: string) =>
  text
    .replaceAll(/^(RTNETLINK answers|Error): /gm, '')
    .trim()
    .replaceAll('\n', '; ');
