/** Two Sluices: every mode on a VIP of its own, connection sync, one VRRP instance for all. */
import type { SyncReport, VrrpReport } from '../../src/api/types.js';
import type { Director } from '../../src/lab/director.js';
import { devargs } from '../../src/lab/five-modes.js';
import type { Lab } from '../../src/lab/lab.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  directorMac,
  FRONT_PREFIX,
  LOCAL_ADDRESSES,
  type ModeName,
  natServer,
  ROUTER,
  realServer,
  VIP,
} from '../../src/lab/topology.js';
import { other, type Pair, PRIORITIES, ROUTER_ID, SHARED, type Which } from './pair.js';

const MAX_CONNECTIONS = 131_072;

function service(lab: Lab, mode: ModeName): string {
  const locals = mode === 'fullnat' || mode === 'enat';
  const address = mode === 'nat' ? natServer : realServer;
  return [
    `  - name: ${mode}`,
    `    listen: ${VIP[mode]}:80`,
    `    mode: ${mode}`,
    `    scheduler: rr`,
    ...(locals ? [`    localAddresses: [${LOCAL_ADDRESSES.join(', ')}]`] : []),
    `    servers:`,
    ...lab.spaces.realServers.map((_, i) => `      - { address: "${address(i + 1)}:80" }`),
  ].join('\n');
}

function yaml(
  lab: Lab,
  n: Which,
  modes: readonly ModeName[],
  advertMs: number,
  key: string,
): string {
  return `director:
  name: lab-${lab.id}-${n}
  socket: ${lab.path(`director${n}.sock`)}
  hugepages: false
  memory: 256
  maxConnections: ${MAX_CONNECTIONS}
ports:
  - name: front
    device: ${devargs('af_packet', 0, 'f0')}
    mac: ${directorMac(n, 'front')}
    addresses: [${directorFront(n)}/${FRONT_PREFIX}]
  - name: back
    device: ${devargs('af_packet', 1, 'b0')}
    mac: ${directorMac(n, 'back')}
    addresses: [${directorBack(n)}/${BACK_PREFIX}]
routes:
  - { to: 0.0.0.0/0, via: ${ROUTER.front} }
sync: { interface: slback, peer: ${directorBack(other(n))}, key: ${key}, share: ${n - 1} }
vrrp:
  instances:
    - name: VI_1
      port: front
      routerId: ${ROUTER_ID}
      priority: ${PRIORITIES[n - 1]}
      preempt: false
      advertInterval: ${advertMs}ms
      addresses: [${[...Object.values(SHARED), ...modes.map((mode) => VIP[mode])].join(', ')}]
services:
${modes.map((mode) => service(lab, mode)).join('\n')}
`;
}

export class SluicePair implements Pair {
  readonly name = 'sluice';
  readonly synchronises = true;
  readonly vips: Readonly<Record<string, string>>;
  readonly #directors: Record<Which, Director>;

  constructor(lab: Lab, modes: readonly ModeName[], advertMs: number) {
    this.vips = Object.fromEntries(modes.map((mode) => [mode, VIP[mode]]));
    const key = lab.write('sync.key', 'a key that both directors have\n');
    const director = (n: Which) =>
      lab.director({
        yaml: yaml(lab, n, modes, advertMs, key),
        socket: lab.path(`director${n}.sock`),
        number: n,
      });
    this.#directors = { 1: director(1), 2: director(2) };
  }

  start(n: Which): Promise<void> {
    return this.#directors[n].start();
  }

  pids(n: Which): number[] {
    const { process } = this.#directors[n];
    return process ? [process.pid] : [];
  }

  async bury(n: Which): Promise<void> {
    await this.#directors[n].kill9();
  }

  async #instance(n: Which) {
    const { instances } = (await this.#directors[n].get('/v1/vrrp')) as VrrpReport;
    return instances[0]!;
  }

  async isMaster(n: Which): Promise<boolean> {
    return (await this.#instance(n)).state === 'MASTER';
  }

  async masterships(n: Which): Promise<number> {
    return (await this.#instance(n)).becameMaster;
  }

  async knows(n: Which, connections: number): Promise<boolean> {
    const { figures } = (await this.#directors[n].get('/v1/sync')) as SyncReport;
    return (figures.bulks_done ?? 0) >= 1 && (figures.adopted ?? 0) >= connections;
  }
}
