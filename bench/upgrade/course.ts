/** A director with clients that is upgraded while they go on: what each of them has seen. */
import { ControlClient } from '../../src/api/client.js';
import type { StatusReport, UpgradeReport } from '../../src/api/types.js';
import { LabError, until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import type { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import { type ModeName, VIP } from '../../src/lab/topology.js';

const CLIENT = new URL('client.py', import.meta.url).pathname;
/** Before the upgrade and after it, ms. */
const AROUND_MS = 1_000;

export interface Seen {
  vip: string;
  /** TCP connections that were held, that broke, and requests that were answered on them. */
  held: number;
  broken: number;
  asked: number;
  /** Requests on connections of their own. */
  new: number;
  failed: number;
  why: string;
  udp: { sent: number; answered: number; gapMs: number; lateMs: number } | null;
}

export interface ClientOptions {
  modes: readonly ModeName[];
  /** Further VIPs, of IPv6. */
  more?: readonly string[];
  /** TCP connections a mode. */
  held: number;
  /** UDP queries a second and mode. */
  rate: number;
}

export class Clients {
  readonly #process: LabProcess;
  readonly #vips: string[];

  static async start(lab: Lab, { modes, more = [], held, rate }: ClientOptions): Promise<Clients> {
    const vips = [...modes.map((mode) => VIP[mode]), ...more];
    const argv = ['python3', CLIENT, String(held), String(rate), ...vips];
    const started = lab.ns('client').spawn(argv, { timeout: 150 });
    if (!(await until(() => started.stdout.includes('ready'), 40_000))) {
      throw new LabError('ERR_LAB_CLIENT', `connections are not made: ${started.output}`);
    }
    return new Clients(started, vips);
  }

  private constructor(started: LabProcess, vips: string[]) {
    this.#process = started;
    this.#vips = vips;
  }

  /** Ends them; what they have seen, in the order of the modes. */
  async seen(): Promise<Seen[]> {
    this.#process.signal('SIGUSR1');
    const lines = () => this.#process.stdout.split('\n').filter((line) => line.startsWith('{'));
    if (!(await until(() => lines().length === this.#vips.length, 60_000))) {
      throw new LabError('ERR_LAB_CLIENT', `no report: ${this.#process.output}`);
    }
    return lines().map((line) => JSON.parse(line) as Seen);
  }
}

export const clientOf = (director: Director) => new ControlClient(director.socket);

export async function pidOf(director: Director): Promise<number> {
  return ((await director.get('/v1/status')) as StatusReport).pid;
}

/** The director that a lab started may have been followed by others, which nobody else ends. */
export async function endSuccessor(director: Director): Promise<void> {
  const pid = await pidOf(director).catch(() => undefined);
  if (pid === undefined || pid === director.process?.pid) return;
  process.kill(pid, 'SIGTERM');
  const gone = () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };
  if (!(await until(gone, 15_000))) process.kill(pid, 'SIGKILL');
}

/** One upgrade after another, `times` of them, with clients that go on. */
export async function upgradeUnderLoad(
  lab: Lab,
  director: Director,
  options: ClientOptions,
  times: number,
): Promise<{ reports: UpgradeReport[]; seen: Seen[]; lastedMs: number }> {
  const clients = await Clients.start(lab, options);
  const begun = performance.now();
  await pause(AROUND_MS);
  const reports: UpgradeReport[] = [];
  for (let i = 0; i < times; i++) {
    reports.push(await clientOf(director).upgrade());
    await pause(AROUND_MS);
  }
  return { reports, seen: await clients.seen(), lastedMs: performance.now() - begun };
}

/** The same clients for so long, and nothing else happens: what they lose to a busy machine alone. */
export async function quietLoad(lab: Lab, options: ClientOptions, ms: number): Promise<Seen[]> {
  const clients = await Clients.start(lab, options);
  await pause(ms);
  return clients.seen();
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms);
  });
}
