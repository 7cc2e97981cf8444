/**
 * A lab: namespaces for a client, a router, directors and real servers, and the programs in them.
 * Used by the demo, the tests and the benchmarks alike. It is gone when the process ends, in
 * whatever way; a process killed outright leaves it to the next start's sweep.
 *
 *   await Lab.use({ realServers: 3 }, async (lab) => {
 *     lab.ns('client').exec(['ping', '-c', '1', '198.51.100.11']);
 *   });
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError, run } from './command.js';
import { Director, type DirectorOptions } from './director.js';
import { Namespace } from './namespace.js';
import { directoryOf, register, removeLab, sweep } from './registry.js';
import { build, type Namespaces, type TopologyOptions, VIP } from './topology.js';

export type LabOptions = Partial<TopologyOptions>;

const open = new Set<Lab>();
let watching = false;

function removeAll(): void {
  for (const lab of open) lab.destroyNow();
}

/** Signals end the process through `exit`, whose handlers also run after an uncaught error. */
function watchForTheEnd(): void {
  if (watching) return;
  watching = true;
  process.on('exit', removeAll);
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(status));
  }
}

export class Lab {
  readonly id: string;
  /** Files of this lab: configurations, logs, sockets. Removed with it. */
  readonly directory: string;
  readonly options: TopologyOptions;
  readonly spaces: Namespaces;
  readonly directors: Director[] = [];

  private constructor(id: string, options: TopologyOptions) {
    this.id = id;
    this.directory = directoryOf(id);
    this.options = options;
    const space = (role: string) => new Namespace(role, `sl${id}-${role}`);
    const many = (role: string, count: number) =>
      Array.from({ length: count }, (_, i) => space(`${role}${i + 1}`));
    const client = space('client');
    this.spaces = {
      client,
      router: options.shape === 'direct' ? client : space('router'),
      switch: space('switch'),
      directors: many('director', options.directors),
      realServers: many('rs', options.realServers),
    };
  }

  static async create(options: LabOptions = {}): Promise<Lab> {
    if (process.getuid?.() !== 0) {
      throw new LabError('ERR_LAB_NEEDS_ROOT', 'network namespaces need root: try sudo');
    }
    sweep();
    const lab = new Lab(register(), {
      shape: 'routed',
      realServers: 3,
      directors: 1,
      loopbackVips: [VIP.dr, VIP.tun],
      checksums: 'full',
      ...options,
    });
    open.add(lab);
    watchForTheEnd();
    try {
      for (const { name } of lab.namespaces) run(['ip', 'netns', 'add', name]);
      build(lab.spaces, lab.options);
    } catch (error) {
      lab.destroyNow();
      throw error;
    }
    return lab;
  }

  /** Makes a lab, hands it over and takes it down, whatever happened in between. */
  static async use<T>(options: LabOptions, body: (lab: Lab) => Promise<T>): Promise<T> {
    const lab = await Lab.create(options);
    try {
      return await body(lab);
    } finally {
      await lab.destroy();
    }
  }

  get namespaces(): Namespace[] {
    const { client, router, directors, realServers } = this.spaces;
    return [...new Set([client, router, this.spaces.switch, ...directors, ...realServers])];
  }

  /** By role: client, router, switch, director1, rs1, … */
  ns(role: string): Namespace {
    const found = this.namespaces.find((namespace) => namespace.role === role);
    if (!found) throw new LabError('ERR_LAB_ROLE', `this lab has no ${role}`);
    return found;
  }

  /** Path of a file in the lab's directory. */
  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes a file into the lab's directory; its path. */
  write(name: string, content: string): string {
    const path = this.path(name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** A director in the namespace `director<n>`; not started yet. */
  director(options: DirectorOptions): Director {
    const director = new Director(this, options);
    this.directors.push(director);
    return director;
  }

  /** Takes everything down; directors get the chance to end in order. */
  async destroy(): Promise<void> {
    if (!open.has(this)) return;
    await Promise.all(this.directors.map((director) => director.stop()));
    this.destroyNow();
  }

  /** As destroy(), without returning to the event loop: for exit handlers. */
  destroyNow(): void {
    if (!open.delete(this)) return;
    removeLab(this.id);
  }
}
