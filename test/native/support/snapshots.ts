/** Small snapshots for tests of the boundary; what is in them matters to other tests. */
import {
  DEFAULT_TIMEOUTS,
  encodeSnapshot,
  type Snapshot,
  type SnapshotServer,
  type SnapshotService,
} from '../../../src/snapshot.js';

export const LIMITS = { maxConnections: 1024, maxServices: 16, maxServers: 16 };

/** a.b.c.d as the 16 bytes of ::ffff:a.b.c.d. */
export function wide(address: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([0xff, 0xff, ...address.split('.').map(Number)], 10);
  return bytes;
}

export function udpService(vip: string, port: number, server: string, mode: 'nat' | 'dr') {
  const only: SnapshotServer = {
    address: wide(server),
    port,
    mode,
    weight: 1,
    slot: 3,
    up: true,
    upper: 0,
    lower: 0,
  };
  const service: SnapshotService = {
    address: wide(vip),
    port,
    protocol: 'udp',
    mark: 0,
    scheduler: 'rr',
    schedulePort: false,
    scheduleFallback: false,
    onePacket: false,
    persistenceMs: 0,
    clientBits: 0,
    netmask: 0,
    engine: null,
    movesDrained: false,
    resetOnServerRemoved: false,
    clientAddress: false,
    toaKind: 254,
    synProxy: false,
    slot: 2,
    servers: [only],
    localAddresses: [],
    role: 'none',
    allow: null,
    deny: null,
  };
  return service;
}

let generation = 0;

export function snapshot(parts: Partial<Snapshot>): Uint8Array {
  generation += 1;
  return encodeSnapshot({
    generation,
    timeouts: DEFAULT_TIMEOUTS,
    answerRate: 0,
    services: [],
    owned: [],
    routes: [],
    neighbours: [],
    portAddresses: [],
    roleAddresses: [],
    marks: [],
    ...parts,
  });
}
