/**
 * A lab whose director is director.py: the agent is tested with real sockets and without our own
 * dataplane. Every address and namespace is the lab's (src/lab).
 */
import { fileURLToPath } from 'node:url';
import { until } from '../../src/lab/command.js';
import { sluiceCommand } from '../../src/lab/director.js';
import { Lab, type LabOptions } from '../../src/lab/lab.js';
import type { LabProcess, Namespace } from '../../src/lab/namespace.js';
import {
  CLIENT,
  directorBack,
  directorFront,
  LOCAL_ADDRESSES,
  realServer,
} from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

export { CLIENT };
export const RIP = realServer(1);
export const DIP = directorBack(1);
export const LIPS = LOCAL_ADDRESSES;
export const PORT = 7000;

/** Debian's own, which has Debian's scapy; a PATH may lead to another one. */
const DEBIAN_PYTHON = '/usr/bin/python3';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export interface Service {
  protocol: 6 | 17;
  listen: [vip: string, port: number];
  mode: 'tun' | 'fullnat' | 'enat';
  server: [rip: string, port: number];
  /** ENAT: send from the VIP instead of a local address. */
  source?: 'vip';
  /** false: the client's address is not told. */
  clientAddress?: boolean;
  /** ENAT: tell another address than the one listened on. */
  tell?: [vip: string, port: number];
  /** Every packet is a flow of its own. */
  fresh?: boolean;
}

export interface Flow {
  flow: [string, number];
  local: [string, number];
  mode: string;
}

export interface Seen {
  accept: [string, number];
  getpeername: [string, number];
  local: [string, number];
}

export interface TcpResult {
  own: [string, number];
  seen: Seen;
  given?: number;
  taken?: boolean;
  seconds: number;
  error?: string;
}

export interface UdpResult {
  own: [string, number];
  seen: [string, number][];
  bytes: number[];
  /** The request's TOS and length as the server got them. */
  tos: number[];
  got: number[];
  error?: string;
}

/** One packet of a capture, as dissect.py has it. */
export interface Dissected {
  src: string;
  dst: string;
  protocol: number;
  ttl: number;
  tos: number;
  ihl: number;
  length: number;
  fragment: number;
  more: boolean;
  ipGood: boolean;
  sport?: number;
  dport?: number;
  l4Good?: boolean;
  flags?: string;
  bytes?: number;
  options?: [string, string | number][];
  icmp?: [number, number];
  quoted?: {
    src: string;
    dst: string;
    sport: number;
    dport: number;
    protocol: number;
    ipGood: boolean;
    l4Good?: boolean;
  };
}

function macOf(namespace: Namespace, name: string): string {
  const [link] = JSON.parse(namespace.exec(['ip', '-j', 'link', 'show', name])) as [
    { address: string },
  ];
  return link.address;
}

function lines<T>(text: string): T[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as T);
}

async function ready(process: LabProcess, mark: string): Promise<void> {
  const good = await until(
    () => process.status !== undefined || process.stdout.includes(mark),
    15_000,
  );
  if (!good || process.status !== undefined) {
    throw new Error(`${process.argv.join(' ')}: status ${process.status}: ${process.output}`);
  }
}

/** A running agent, its words in JSON. */
export class Agent {
  readonly process: LabProcess;

  constructor(process: LabProcess) {
    this.process = process;
  }

  async counters(): Promise<Record<string, number>> {
    const before = this.#reports().length;
    this.process.signal('SIGUSR1');
    await until(() => this.#reports().length > before, 5000);
    return this.#reports().at(-1)!.counters;
  }

  /** What was counted while `action` ran; counters that stayed are left out. */
  async counting(action: () => unknown): Promise<Record<string, number>> {
    const before = await this.counters();
    await action();
    const after = await this.counters();
    const changes = Object.entries(after).map(([name, value]) => [name, value - before[name]!]);
    return Object.fromEntries(changes.filter(([, change]) => change !== 0));
  }

  get attachments(): { program: string; where: string; how: string }[] {
    const [first] = lines<{ attachments: { program: string; where: string; how: string }[] }>(
      this.process.stdout,
    );
    return first!.attachments;
  }

  stop(): Promise<number> {
    return this.process.stop();
  }

  #reports() {
    const all = lines<{ event: string; counters: Record<string, number> }>(this.process.stdout);
    return all.filter(({ event }) => event === 'counters');
  }
}

export class Capture {
  readonly #process: LabProcess;
  readonly #file: string;

  constructor(process: LabProcess, file: string) {
    this.#process = process;
    this.#file = file;
  }

  async end(lab: Lab): Promise<Dissected[]> {
    // Packets reach tcpdump a moment after the sockets.
    await new Promise((done) => setTimeout(done, 150));
    await this.#process.stop();
    return lines(lab.ns('client').exec([DEBIAN_PYTHON, here('dissect.py'), this.#file]));
  }
}

export class RealServerLab {
  readonly lab: Lab;
  director: LabProcess | undefined;
  readonly #agents: LabProcess[] = [];

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async create(options: LabOptions = {}): Promise<RealServerLab> {
    const made = new RealServerLab(await Lab.create({ realServers: 1, ...options }));
    const server = made.lab.ns('rs1');
    const process = server.spawn([DEBIAN_PYTHON, here('server.py'), String(PORT)]);
    const listens = await until(
      () => server.try(['ss', '-Htln', 'sport', '=', `:${PORT}`]).stdout !== '',
      10_000,
    );
    if (!listens) throw new Error(`server.py: ${process.output}`);
    return made;
  }

  destroy(): Promise<void> {
    return this.lab.destroy();
  }

  /** Starts director.py, in place of one that runs already. */
  async direct(services: Service[], more: object = {}): Promise<void> {
    await this.director?.stop();
    const servers = this.lab.spaces.realServers.map(
      (server, i) => [realServer(i + 1), macOf(server, 'b0')] as const,
    );
    const config = {
      front: 'f0',
      back: 'b0',
      answers: { front: [directorFront(1)], back: [DIP, ...LIPS] },
      router: macOf(this.lab.ns('router'), 'f0'),
      servers: Object.fromEntries(servers),
      dip: DIP,
      local: LIPS,
      services,
      // Ports of one director's life must not be those of the next: the agent remembers flows.
      firstPort: 20_000 + Math.floor(Math.random() * 40_000),
      ...more,
    };
    this.director = this.lab
      .ns('director1')
      .spawn([DEBIAN_PYTHON, here('director.py'), JSON.stringify(config)]);
    await ready(this.director, '"ready"');
  }

  get flows(): Flow[] {
    return lines<Flow>(this.director?.stdout ?? '').filter((line) => 'flow' in line);
  }

  /** Starts `sluice realserver` in a server's namespace; `within` is a program that starts it. */
  async agent(
    vips: string[],
    more: string[] = [],
    { role = 'rs1', within = [] as string[] } = {},
  ): Promise<Agent> {
    const directors = [DIP, ...LIPS].flatMap((each) => ['--director', each]);
    const wide = vips.flatMap((vip) => ['--vip', vip]);
    const process = this.spawnAgent(
      ['--interface', 'b0', ...directors, ...wide, ...more],
      role,
      within,
    );
    await ready(process, '"attached"');
    return new Agent(process);
  }

  spawnAgent(args: string[], role = 'rs1', within: string[] = []): LabProcess {
    const argv = [...within, ...sluiceCommand(), 'realserver', '--json', ...args];
    const agent = this.lab.ns(role).spawn(argv);
    this.#agents.push(agent);
    return agent;
  }

  /** After each test: an agent left by one that failed must not answer in the next. */
  async stopAgents(): Promise<void> {
    await Promise.all(this.#agents.splice(0).map((agent) => agent.stop()));
  }

  /** client.py in the client's namespace. */
  async client<T = TcpResult>(...args: (string | number)[]): Promise<T> {
    const process = this.lab
      .ns('client')
      .spawn([DEBIAN_PYTHON, here('client.py'), ...args.map(String)], { timeout: 30 });
    await process.wait();
    const [result] = lines<T>(process.stdout);
    if (!result) throw new Error(`client.py ${args.join(' ')}: ${process.output}`);
    return result;
  }

  /** Captures on one interface until `end()`. */
  async capture(role: string, name: string, filter = 'ip'): Promise<Capture> {
    const file = this.lab.path(`${role}-${name}-${Date.now()}.pcap`);
    const process = this.lab
      .ns(role)
      .spawn(['tcpdump', '-i', name, '--immediate-mode', '-U', '-Z', 'root', '-w', file, filter]);
    await until(() => process.output.includes('listening on'), 5000);
    return new Capture(process, file);
  }

  /** Local kernels' frames as they are on a virtual machine, or as on a wire. */
  offloads(state: 'on' | 'off'): void {
    const { client, router, switch: bridge, directors, realServers } = this.lab.spaces;
    for (const space of [client, router, bridge, ...directors, ...realServers]) {
      const links = JSON.parse(space.exec(['ip', '-j', 'link'])) as {
        ifname: string;
        link_type: string;
      }[];
      for (const { ifname } of links) {
        if (['lo', 'front', 'back'].includes(ifname)) continue;
        space.try([
          ...['ethtool', '-K', ifname, 'tx', state, 'tso', state, 'gso', state, 'gro', state],
        ]);
      }
    }
  }
}

/** The lab of a test file, or undefined where namespaces can't be made; the reason is printed. */
export async function labOrSkip(
  file: string,
  options: LabOptions = {},
): Promise<RealServerLab | undefined> {
  if (process.getuid?.() !== 0) {
    skip(file, 'network namespaces and BPF need root');
    return undefined;
  }
  return RealServerLab.create(options);
}

/** Packets of a capture with a wrong checksum, also in what an ICMP error quotes. */
export function badChecksums(packets: Dissected[]): Dissected[] {
  return packets.filter(
    ({ ipGood, l4Good, quoted }) =>
      !ipGood || l4Good === false || quoted?.ipGood === false || quoted?.l4Good === false,
  );
}

export const mssOf = (packet: Dissected | undefined) =>
  packet?.options?.find(([kind]) => kind === 'MSS')?.[1];
