/** Connection sync as the model has it, and what it takes to start it. */
import type { z } from 'zod';
import type { Findings } from '../config/findings.js';
import { keyFrom, LEAST_KEY_BYTES } from '../key-file.js';
import type { SyncOptions } from '../native.js';
import type { sync as schema } from './schema.js';

/** LVS's own. */
const GROUP = '224.0.0.81';
const PORTS = { sluice: 8849, ipvs: 8848 } as const;

export interface SyncModel {
  protocol: 'sluice' | 'ipvs';
  role: 'both' | 'master' | 'backup';
  interface: string;
  /** Peer or multicast group. */
  destination: string;
  port: number;
  ttl: number;
  /** Path of the key; undefined with IPVS' protocol, which has none. */
  key: string | undefined;
  syncid: number;
  afterMs: number;
  refreshMs: number;
  rate: number;
  /** Longest datagram; undefined: what the interface's MTU takes. */
  datagramBytes: number | undefined;
  /** Half of the local ports that this director gives out; undefined: all of them. */
  share: 0 | 1 | undefined;
}

type Parsed = z.output<typeof schema>;

export function buildSync(parsed: Parsed | undefined): SyncModel | undefined {
  if (!parsed) return undefined;
  const protocol = parsed.protocol ?? 'sluice';
  return {
    protocol,
    role: parsed.role ?? 'both',
    interface: parsed.interface,
    destination: parsed.peer ?? parsed.group ?? GROUP,
    port: parsed.port ?? PORTS[protocol],
    ttl: parsed.ttl ?? 1,
    key: parsed.key,
    syncid: parsed.syncid ?? 0,
    afterMs: Math.round((parsed.after ?? 100_000) / 1000),
    refreshMs: Math.round((parsed.refresh ?? 60e6) / 1000),
    rate: parsed.rate ?? 500_000,
    datagramBytes: parsed.datagram,
    share: parsed.share as SyncModel['share'],
  };
}

export function checkSync(parsed: Parsed | undefined, findings: Findings): void {
  if (!parsed) return;
  const conflict = (key: string, message: string) =>
    findings.error('ERR_CONFIG_CONFLICT', ['sync', key], message);
  if (parsed.peer !== undefined && parsed.group !== undefined) {
    conflict('group', 'there is a peer already: one of them, expected peer or group');
  }
  if (parsed.group !== undefined && !isMulticast(parsed.group)) {
    conflict('group', `is ${parsed.group}, expected a multicast address such as ${GROUP}`);
  }
  if (parsed.peer !== undefined && isMulticast(parsed.peer)) {
    conflict('peer', `is ${parsed.peer}, a multicast address: expected it as group`);
  }
  if (parsed.protocol === 'ipvs') {
    if (parsed.key !== undefined) conflict('key', 'IPVS’ protocol knows no key');
  } else {
    if (parsed.syncid !== undefined) conflict('syncid', 'only protocol ipvs has it');
    if (parsed.key === undefined) {
      findings.error(
        'ERR_CONFIG_MISSING',
        ['sync'],
        `key is missing: expected the path of a file of at least ${LEAST_KEY_BYTES} bytes that both directors have`,
      );
    }
  }
}

function isMulticast(address: string): boolean {
  const first = Number(address.split('.')[0]);
  return first >= 224 && first < 240;
}

/** What the key file stands for: the datagrams' key, and what RSS is keyed by on both directors. */
function secrets(path: string): { key: Uint8Array; rssSeed: bigint } {
  const material = keyFrom(path, {
    setting: 'sync.key',
    code: 'ERR_SYNC_KEY',
    purpose: 'sluice connection sync',
    bytes: 24,
  });
  const seed = new DataView(material.buffer).getBigUint64(16);
  return { key: material.slice(0, 16), rssSeed: seed === 0n ? 1n : seed };
}

/** Part of the engine's options. Throws ERR_SYNC_KEY. */
export function syncEngineOptions(sync: SyncModel | undefined): {
  portHalf?: number;
  rssSeed?: bigint;
} {
  if (!sync) return {};
  return {
    ...(sync.share === undefined ? {} : { portHalf: sync.share }),
    ...(sync.key === undefined ? {} : { rssSeed: secrets(sync.key).rssSeed }),
  };
}

/** Throws ERR_SYNC_KEY. */
export function syncOptions(sync: SyncModel): SyncOptions {
  return {
    protocol: sync.protocol,
    tells: sync.role !== 'backup',
    adopts: sync.role !== 'master',
    ...(sync.key === undefined ? {} : { key: secrets(sync.key).key }),
    syncid: sync.syncid,
    rate: sync.rate,
    afterMs: sync.afterMs,
    refreshMs: sync.refreshMs,
    interface: sync.interface,
    destination: sync.destination,
    port: sync.port,
    ttl: sync.ttl,
    ...(sync.datagramBytes === undefined ? {} : { datagramBytes: sync.datagramBytes }),
  };
}
