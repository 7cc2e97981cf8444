/** A control API whose answers are made up: what a director would say, and a bit more than that. */
import type { Handlers } from '../../src/api/handlers.js';
import type {
  ConnectionReport,
  ServerReport,
  ServiceReport,
  StatusReport,
} from '../../src/api/types.js';
import { NO_RATES } from '../../src/stats/rates.js';
import { NO_SYNC } from '../../src/sync/feature.js';

export const connection = (client: string): ConnectionReport => ({
  worker: 0,
  protocol: 'tcp',
  client,
  clientPort: 40000,
  virtual: '203.0.113.10',
  virtualPort: 80,
  local: '',
  localPort: 0,
  server: '198.51.100.11',
  serverPort: 8080,
  mode: 'nat',
  state: 'ESTABLISHED',
  serviceSlot: 0,
  serverSlot: 0,
  idleMs: 1000,
  timeoutMs: 900_000,
  engine: null,
  engineData: '',
  service: 'web',
});

const FIGURES = { conns: 1, inPkts: 2, outPkts: 3, inBytes: 4, outBytes: 5 };

export const server = (more: Partial<ServerReport> = {}): ServerReport => ({
  address: '198.51.100.11',
  port: 8080,
  mode: 'nat',
  forward: 'Masq',
  tunnel: null,
  weight: 1,
  configuredWeight: 1,
  drained: false,
  up: true,
  checks: [],
  upperThreshold: 0,
  lowerThreshold: 0,
  rates: NO_RATES,
  slot: 0,
  ...FIGURES,
  active: 0,
  inactive: 0,
  ...more,
});

const counts = (servers: readonly ServerReport[]): ServiceReport['serverCounts'] => ({
  all: servers.length,
  up: servers.filter(({ up }) => up).length,
  taking: servers.filter(({ up, weight }) => up && weight > 0).length,
  drained: servers.filter(({ drained }) => drained).length,
});

export const service = (more: Partial<ServiceReport> = {}): ServiceReport => ({
  name: 'web',
  protocol: 'tcp',
  address: '203.0.113.10',
  port: 80,
  scheduler: 'rr',
  flags: [],
  persistence: null,
  localAddresses: [],
  rates: NO_RATES,
  slot: 0,
  ...FIGURES,
  serverCounts: counts(more.servers ?? []),
  servers: [],
  ...more,
});

export const status = (more: Partial<StatusReport> = {}): StatusReport => ({
  status: 'ready',
  name: 'd1',
  version: '1',
  dpdk: 'DPDK 22.11',
  pid: 1,
  uptimeSeconds: 1,
  controlRestarts: 0,
  config: '/etc/sluice/director.yaml',
  socket: '/run/sluice/d1.sock',
  generation: 1,
  edits: [],
  timeouts: { tcp: 900, tcpFin: 120, udp: 300 },
  counters: 'copy',
  totals: {
    services: 1,
    servicesDown: 0,
    servers: 0,
    serversUp: 0,
    serversDrained: 0,
    rates: NO_RATES,
  },
  maxConnections: 10,
  connections: 1,
  workers: [{ cpu: 0, lagUs: 0, load: 0 }],
  alerts: [],
  lastReload: null,
  ...more,
});

export function handlers(more: Partial<Handlers> = {}): Handlers {
  const done = { generation: 2, summary: 'nothing changed', changes: [], more: 0 };
  const reloaded = { ...done, warnings: [], edits: [] };
  return {
    services: () => [service()],
    ports: () => [],
    drops: () => ({ ends: [], extra: {} }),
    clients: async function* () {},
    sync: () => NO_SYNC,
    syncDaemon: () => NO_SYNC,
    vrrp: () => ({ instances: [], groups: [] }),
    metrics: () => ['# HELP a A.\n', 'a 1\n'],
    explain: ({ protocol, from, to }) => ({
      flow: { protocol, from: from.address, to: to.address },
      connection: null,
      service: null,
      candidates: [],
      choice: [],
      reasons: [],
      rewrite: undefined,
    }),
    status: () => status(),
    reload: () => reloaded,
    edit: ({ edits }) => ({ ...done, results: edits.map(() => null) }),
    rollback: () => reloaded,
    zero: () => {},
    upgrade: async () => ({
      pid: 2,
      version: '0.2.0',
      formerPid: 1,
      formerVersion: '0.1.0',
      generation: 2,
      connections: 1,
      refused: 0,
      gapMs: 1.5,
      seconds: 2,
    }),
    history: () => [],
    diff: () => ({ file: '', changes: [], edits: [], overruled: [], restart: [] }),
    async *connections({ limit }) {
      for (let n = 1; n <= (limit || 5); n++) yield connection(`192.0.2.${n}`);
    },
    async *trace({ seconds }) {
      yield { watching: { workers: 1, seconds } };
    },
    async *capture({ seconds, snaplen }) {
      yield { watching: { ports: [], snaplen, seconds, machineCode: true } };
    },
    ...more,
  };
}
