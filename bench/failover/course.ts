/**
 * What happens to a pair at one advert interval: first load, under which nobody may change its mind,
 * then kills. Takeover is measured from the client's side, through the router, whose neighbour table
 * has to learn by gratuitous ARP where the addresses are now.
 */
import { startAgent } from '../../src/lab/agent.js';
import { LabError, run, sleep, until } from '../../src/lab/command.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import type { ModeName } from '../../src/lab/topology.js';
import { readWrk } from '../lab/measure.js';
import { KeepalivedPair } from './keepalived.js';
import { cables, other, type Pair, plug, routeToShared, type Which } from './pair.js';
import { SluicePair } from './sluice.js';

export interface CourseOptions {
  director: 'sluice' | 'keepalived';
  advertMs: number;
  modes: readonly ModeName[];
  /** To be held, by mode. */
  connections: Readonly<Partial<Record<string, number>>>;
  kills: number;
  loadSeconds: number;
}

export interface Readings {
  /** By what the pair calls its VIPs, a figure a kill. */
  takeoverMs: Record<string, number[]>;
  /** Held before the first kill, and the least that were answered after any. */
  held: Record<string, number>;
  survived: Record<string, number>;
  /** Changes of mind of either while both lived. */
  falseTakeovers: number;
  /** Answered by the servers while that was watched. */
  requestsPerSecond: number;
}

/** How far apart probes are: a fiftieth of Master_Down or finer, where Master_Down is short. */
export const probeMs = (advertMs: number) => (advertMs < 100 ? 2 : 10);

const LOAD_CONNECTIONS = 160;
const PROGRESS_MS = 60_000;
/** What nginx may open where the hard limit is 20 000 files. */
const MOST_A_SERVER = 15_000;
const LONGEST_WAIT_MS = 30_000;
/** Until tens of thousands of connections are made, or have been asked, on a machine that is busy. */
const HOLDERS_WAIT_MS = 180_000;
/**
 * `sync.after` is 0.1 s; the rest is for what lies between a worker's telling and the other one's
 * table. Connections younger than this are not promised to survive.
 */
export const BOUND_MS = 1_000;

const script = (name: string) => new URL(name, import.meta.url).pathname;

async function wait(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = LONGEST_WAIT_MS,
): Promise<void> {
  if (await until(condition, ms, 50)) return;
  throw new LabError('ERR_LAB_DIRECTOR', `${what}: not within ${ms / 1000} s`);
}

async function prints(
  process: LabProcess,
  text: string,
  count = 1,
  ms = LONGEST_WAIT_MS,
): Promise<void> {
  const good = () => process.stdout.split(text).length > count || process.status !== undefined;
  await wait(`${process.argv.slice(0, 2).join(' ')} says '${text}'`, good, ms);
  if (process.status !== undefined && process.status !== 0) {
    throw new LabError('ERR_LAB_LOAD', `${process.argv.join(' ')}: ${process.output.trim()}`);
  }
}

/**
 * Clients and servers take what the directors and the kernel, which is the wire here, leave them:
 * no real wire waits for a client's CPU.
 */
const NICE = '10';

function yieldTo(lab: Lab, role: string): void {
  const space = lab.ns(role);
  const pids = run(['ip', 'netns', 'pids', space.name]).split('\n').filter(Boolean);
  run(['renice', '-n', NICE, '-p', ...pids]);
}

type Probes = Record<string, [sent: number, answered: number | null][]>;

/** From the cut to the first answer after the first silence, ms; 0: there was none. */
export function outage(probes: Probes[string], cutNs: number): number | undefined {
  const after = probes.filter(([sent]) => sent >= cutNs);
  const silent = after.findIndex(([, answered]) => answered === null);
  if (silent < 0) return 0;
  const [, answered = null] = after.slice(silent).find((one) => one[1] !== null) ?? [0];
  return answered === null ? undefined : (answered - cutNs) / 1e6;
}

class Course {
  readonly #lab: Lab;
  readonly #options: CourseOptions;
  readonly #pair: Pair;
  readonly readings: Readings;
  readonly #holders = new Map<string, LabProcess>();
  #asked = 0;
  #master: Which = 1;

  constructor(lab: Lab, options: CourseOptions) {
    const { advertMs, modes } = options;
    this.#lab = lab;
    this.#options = options;
    this.#pair =
      options.director === 'sluice'
        ? new SluicePair(lab, modes, advertMs)
        : new KeepalivedPair(lab, advertMs);
    const names = Object.keys(this.#pair.vips);
    this.readings = {
      takeoverMs: Object.fromEntries(names.map((name) => [name, []])),
      held: {},
      survived: {},
      falseTakeovers: 0,
      requestsPerSecond: 0,
    };
  }

  async begin(): Promise<void> {
    const lab = this.#lab;
    for (const { role } of lab.spaces.realServers) {
      if (this.#pair.synchronises) await startAgent(lab, role);
      await HttpServer.start(lab, role);
    }
    for (const { role } of lab.spaces.realServers) yieldTo(lab, role);
    routeToShared(lab);
    await this.#pair.start(1);
    await wait('the first director is master', () => this.#pair.isMaster(1));
    await this.#pair.start(2);
    await wait('the second director is backup', () => this.#pair.knows(2, 0));
  }

  async load(say: (text: string) => void): Promise<void> {
    const { loadSeconds } = this.#options;
    const before = await this.#masterships();
    const vips = Object.values(this.#pair.vips);
    const each = String(Math.ceil(LOAD_CONNECTIONS / vips.length));
    const argv = [
      'nice',
      '-n',
      NICE,
      'wrk',
      '-t',
      '1',
      '-c',
      each,
      '-d',
      `${loadSeconds}s`,
      '--timeout',
      '5s',
    ];
    const all = vips.map((vip) =>
      this.#lab.ns('client').spawn([...argv, `http://${vip}/`], { timeout: loadSeconds + 30 }),
    );
    const begun = performance.now();
    const progress = setInterval(() => {
      const seconds = Math.round((performance.now() - begun) / 1000);
      say(`${seconds} of ${loadSeconds} s of load`);
    }, PROGRESS_MS);
    try {
      await Promise.all(all.map((one) => one.succeed()));
    } finally {
      clearInterval(progress);
    }
    for (const { output } of all) this.readings.requestsPerSecond += readWrk(output).value;
    this.readings.falseTakeovers = (await this.#masterships()) - before;
    if (await this.#pair.isMaster(2)) this.#master = 2;
  }

  async #masterships(): Promise<number> {
    return (await this.#pair.masterships(1)) + (await this.#pair.masterships(2));
  }

  /** As many connections as are wanted; they have been answered once. */
  async hold(): Promise<void> {
    const { connections } = this.#options;
    const { vips, synchronises } = this.#pair;
    const wanted = Object.entries(vips).filter(([name]) => (connections[name] ?? 0) > 0);
    if (!synchronises || wanted.length === 0) return;
    const holders = wanted.map(([name, address]): [string, LabProcess] => [
      name,
      this.#lab.ns('client').spawn(['python3', script('hold.py'), address, `${connections[name]}`]),
    ]);
    for (const [name, holder] of holders) {
      await prints(holder, 'ready', 1, HOLDERS_WAIT_MS);
      const made = Number(/ready (\d+)/.exec(holder.stdout)?.[1]);
      if (made !== connections[name]) {
        const message = `${name}: ${made} of ${connections[name]} connections were answered`;
        throw new LabError('ERR_LAB_LOAD', message);
      }
      this.readings.held[name] = this.readings.survived[name] = made;
      this.#holders.set(name, holder);
    }
  }

  /** In a few words. */
  get lastKill(): string {
    const { takeoverMs, survived } = this.readings;
    const times = Object.values(takeoverMs).map((all) => (all.at(-1) ?? 0).toFixed(1));
    return `${times.join(' ')} ms, survived ${Object.values(survived).join(' ')}`;
  }

  get #total(): number {
    return Object.values(this.readings.held).reduce((sum, one) => sum + one, 0);
  }

  async kill(): Promise<void> {
    const { advertMs } = this.#options;
    const lab = this.#lab;
    const { vips } = this.#pair;
    const [victim, heir] = [this.#master, other(this.#master)];
    await sleep(BOUND_MS);
    const seconds = (5 * advertMs + 1_000) / 1000;
    const pids = this.#pair.pids(victim).join(',');
    const cut = lab.spaces.switch.spawn(['python3', script('cut.py'), pids, ...cables(victim)]);
    const times = [String(probeMs(advertMs)), String(seconds)];
    const probe = lab
      .ns('client')
      .spawn(['python3', script('probe.py'), ...times, ...Object.values(vips)]);
    await prints(cut, 'ready');
    await prints(probe, 'ready');
    // The kill meets the adverts' rhythm anywhere.
    await sleep(Math.random() * Math.min(advertMs, 300));
    cut.signal('SIGUSR1');
    await cut.succeed();
    const [, before = '', after = ''] = /cut (\d+) (\d+)/.exec(cut.stdout) ?? [];
    const json = (await probe.succeed()).split('\n').find((line) => line.startsWith('{'));
    const probes = JSON.parse(json ?? '{}') as Probes;
    for (const [name, address] of Object.entries(vips)) {
      const ms = outage(probes[address] ?? [], Number(before));
      if (ms === undefined) {
        throw new LabError('ERR_LAB_DIRECTOR', `${address} was not answered for ${seconds} s`);
      }
      this.readings.takeoverMs[name]?.push(ms);
    }
    if (after === '') throw new LabError('ERR_LAB_LOAD', 'nothing was cut');
    await this.#pair.bury(victim);
    this.#master = heir;
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const asked = ++this.#asked;
    for (const holder of this.#holders.values()) holder.signal('SIGUSR1');
    for (const [name, holder] of this.#holders) {
      await prints(holder, 'answered', asked, HOLDERS_WAIT_MS);
      const answered = Number(/answered (\d+)\n$/.exec(holder.stdout)?.[1]);
      this.readings.survived[name] = Math.min(this.readings.survived[name] ?? 0, answered);
    }
  }

  /** The one that was killed comes back as a backup, and hears of everything. */
  async heal(): Promise<void> {
    const victim = other(this.#master);
    plug(this.#lab, victim);
    await this.#pair.start(victim);
    await wait('the killed one is backup', () => this.#pair.knows(victim, this.#total));
  }
}

export function runCourse(
  options: CourseOptions,
  say: (text: string) => void = () => {},
): Promise<Readings> {
  const held = Object.values(options.connections).reduce<number>((sum, n = 0) => sum + n, 0);
  const realServers = Math.max(2, Math.ceil(held / MOST_A_SERVER));
  return Lab.use({ directors: 2, realServers }, async (lab) => {
    const course = new Course(lab, options);
    await course.begin();
    await course.load(say);
    const { falseTakeovers } = course.readings;
    say(`${options.loadSeconds} s of load: ${falseTakeovers} false takeovers`);
    await course.hold();
    for (let kill = 1; kill <= options.kills; kill++) {
      await course.kill();
      say(`kill ${kill}: ${course.lastKill}`);
      if (kill < options.kills) await course.heal();
    }
    return course.readings;
  });
}
