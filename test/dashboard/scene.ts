/** A director for the dashboard to look at: real transactions and edits, and some figures made up. */
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { vrrpReport } from '../../src/api/answers.js';
import type { Handlers } from '../../src/api/handlers.js';
import { ALL_SERVICES } from '../../src/api/requests.js';
import { TcpApi } from '../../src/api/tcp.js';
import type { ServiceReport } from '../../src/api/types.js';
import { createLogger } from '../../src/log.js';
import { RunningReplay } from '../support/running.js';

/** A loopback address that no other run has. */
const HOST = `127.84.${(process.pid >> 8) & 255}.${process.pid & 255}`;
const PORT = 8_080;

export const WRITE = randomBytes(16).toString('hex');
export const READ = randomBytes(16).toString('hex');
/** What would run if the page took text for markup. */
export const ATTACK = '<img src=x onerror="document.title=\'owned\'"><script>owned()</script>';

const hash = (token: string) => createHash('sha256').update(token).digest('hex');
const FILE = `\
director:
  name: edge-1
  api:
    listen: ${HOST}:${PORT}
    tokens:
      - { name: ops, role: write, sha256: ${hash(WRITE)} }
      - { name: wall, role: read, sha256: ${hash(READ)} }
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
services:
  - name: web
    listen: 203.0.113.10:443
    mode: fullnat
    scheduler: wrr
    localAddresses: [198.51.100.200, 198.51.100.201]
    servers:
      - { address: 198.51.100.11:8443, weight: 3 }
      - { address: 198.51.100.12:8443, weight: 3 }
      - { address: 198.51.100.13:8443, weight: 1 }
  - name: dns
    listen: 203.0.113.53:53
    protocol: udp
    mode: dr
    scheduler: mh
    schedulePort: true
    servers: [{ address: 198.51.100.21:53 }, { address: 198.51.100.22:53 }]
  - name: mail
    listen: 203.0.113.25:25
    mode: nat
    servers: [{ address: 198.51.100.31:25 }]
  - { name: hostile, listen: 203.0.113.66:80, mode: nat, servers: [{ address: 198.51.100.66:80 }] }
`;

const instance = {
  port: 'front',
  routerId: 51,
  version: 3,
  since: '2026-11-21T20:00:00.000Z',
  priority: 200,
  effectivePriority: 200,
  advertMs: 1_000,
  masterDownMs: 3_220,
  preempt: true,
  virtualMac: false,
  source: '192.0.2.1',
  multicastGroup: '224.0.0.18',
  unicastPeers: [],
  group: null,
  fault: null,
  tracked: [],
  advertisementsReceived: 3,
  becameMaster: 1,
  releasedMaster: 0,
  priorityZeroReceived: 0,
  priorityZeroSent: 0,
  dropped: {},
} as const;
/** One master, one backup with a tracker that has failed, one in FAULT. */
const VRRP = {
  groups: [],
  instances: [
    {
      ...{ ...instance, name: 'VI_1', state: 'MASTER', addresses: ['203.0.113.10'] },
      master: { address: '192.0.2.1', priority: 200 },
    },
    {
      ...{
        ...instance,
        name: 'VI_2',
        state: 'BACKUP',
        addresses: ['203.0.113.53', '203.0.113.25'],
      },
      ...{ effectivePriority: 150, master: { address: '192.0.2.2', priority: 180 } },
      tracked: [{ name: 'uplink', weight: -50, good: false, detail: 'status 1' }],
    },
    {
      ...{ ...instance, name: 'VI_3', state: 'FAULT', addresses: ['203.0.113.66'] },
      ...{ fault: 'port back is down', master: null },
    },
  ],
};

export class Scene {
  readonly director = new RunningReplay(FILE);
  readonly url = `http://${HOST}:${PORT}/`;
  #api: TcpApi | undefined;
  readonly errors: unknown[] = [];

  async open(): Promise<this> {
    await this.director.open();
    this.#api = await TcpApi.open(this.director.running.loaded, {
      handlers: this.#handlers(),
      log: createLogger({ stream: new PassThrough() }),
      onError: (error) => this.errors.push(error),
    });
    return this;
  }

  stop(): void {
    this.#api?.close();
  }

  close(): void {
    this.stop();
    this.director.close();
  }

  #handlers(): Handlers {
    const control: Handlers = this.director.control;
    const began = performance.now();
    const elapsed = () => (performance.now() - began) / 1_000;
    /** A line with some life in it. */
    const wave = (base: number, at: number) =>
      Math.round(base * (1 + 0.25 * Math.sin(elapsed() / 3 + at) + 0.05 * Math.sin(elapsed() * 5)));
    const grown = (base: number, at: number) =>
      Math.round(base * (1_000 + elapsed() + 0.8 * Math.sin(elapsed() / 2 + at)));
    const own: Partial<Handlers> = {
      services: async (query = ALL_SERVICES) => {
        const { match, sort } = query;
        const all = await control.services({ ...ALL_SERVICES, match, sort });
        const lively = Array.from(all, (one) =>
          enliven({ ...one, servers: [...one.servers] }, wave),
        );
        return lively
          .filter(({ serverCounts: { up, taking, all } }) =>
            query.state === 'any' ? true : taking === 0 || (query.state === 'degraded' && up < all),
          )
          .slice(0, query.limit || undefined)
          .map((one) => ({ ...one, servers: one.servers.slice(0, query.servers) }));
      },
      ports: () =>
        control.ports().map((port, index) => ({
          ...port,
          device: `net_af_packet${index},iface=eth${index + 1}`,
          twin: `sl${port.name}`,
          rxPackets: grown(41_000, index),
          txPackets: grown(39_000, index + 1),
          rxBytes: grown(21e6, index),
          txBytes: grown(88e6, index + 1),
        })),
      drops: () => {
        const { ends, extra } = control.drops();
        const of = (kind: string) => ends.filter((end) => end.kind === kind);
        const counts = new Map([
          [of('forwarded')[0], 48_120_442 + Math.round(elapsed() * 80_000)],
          [of('answered')[0], 1_120_334],
          [of('punted')[0], 2_204_117],
          [of('dropped')[2], 4_020 + Math.round(elapsed() * 3)],
          [of('dropped')[4], 412],
        ]);
        return { extra, ends: ends.map((end) => ({ ...end, count: counts.get(end) ?? 0 })) };
      },
      status: () => {
        const status = control.status();
        const rates = { cps: wave(820, 0), inPps: 0, outPps: 0, inBps: 0, outBps: 0 };
        return {
          ...status,
          connections: wave(48_000, 2),
          totals: {
            ...status.totals,
            servicesDown: 1,
            serversUp: status.totals.servers - 2,
            rates,
          },
          workers: [
            { cpu: 2, lagUs: 3, load: 41 },
            { cpu: 3, lagUs: 51, load: 97 },
          ],
          alerts: [
            {
              code: 'WARN_WORKER_LOAD',
              of: 'worker 1',
              value: 97,
              threshold: 95,
              message: `worker 1 is busy 97.${wave(4, 1)} % of the time`,
              since: '2026-11-21T20:00:00.000Z',
            },
          ],
        };
      },
      vrrp: () => vrrpReport.parse(VRRP),
    };
    return new Proxy(control, {
      get: (target, name: keyof Handlers) => own[name] ?? target[name].bind(target),
    });
  }
}

function enliven(service: ServiceReport, wave: (base: number, at: number) => number) {
  const base = { web: 30_000, dns: 9_000, mail: 120 }[service.name] ?? 0;
  const rates = (share: number) => ({
    cps: Math.round(wave(base, share) * share * 0.02),
    inPps: Math.round(wave(base, share) * share),
    outPps: Math.round(wave(base, share + 1) * share * 0.9),
    inBps: Math.round(wave(base, share) * share * 120),
    outBps: Math.round(wave(base, share) * share * 900),
  });
  const servers = service.servers.map((server, at) => {
    const takes = server.weight > 0;
    const down = service.name === 'mail' || (service.name === 'web' && at === 2);
    const checks = {
      web: { type: 'SSL_GET', up: !down, detail: down ? 'HTTP status code 503' : '200 in 3 ms' },
      mail: { type: 'SMTP_CHECK', up: false, detail: 'connection refused' },
      hostile: { type: 'HTTP_GET', up: true, detail: ATTACK },
    }[service.name];
    return {
      ...server,
      up: !down,
      active: takes && !down ? wave(Math.round(base / 3), at) : 0,
      inactive: takes ? wave(Math.round(base / 9), at) : 0,
      checks: checks ? [checks] : [],
      rates: takes && !down ? rates(0.3) : rates(0),
    };
  });
  return {
    ...service,
    name: service.name === 'hostile' ? ATTACK : service.name,
    rates: rates(1),
    serverCounts: {
      all: servers.length,
      up: servers.filter(({ up }) => up).length,
      taking: servers.filter(({ up, weight }) => up && weight > 0).length,
      drained: servers.filter(({ drained }) => drained).length,
    },
    servers,
  };
}
