/**
 * A director's world in few words: a front port towards clients, a back port towards real servers,
 * services as text. Makes the Snapshot itself, without src/plan: the packet tests judge the engine,
 * and nothing but the engine.
 */
import { clientSet } from '../../src/config/client-sets.js';
import { type Tunnel, tunnelOf } from '../../src/config/tunnel.js';
import type { Mode, Scheduler } from '../../src/native.js';
import {
  DEFAULT_TIMEOUTS,
  type Snapshot,
  type SnapshotMark,
  type SnapshotServer,
  type SnapshotService,
} from '../../src/snapshot.js';
import { endpoint, ip4Text, mac, mapped } from './bytes.js';
import type { ModelPort } from './model/fib.js';

export const FRONT = 0;
export const BACK = 1;
export const FRONT_MAC = '02:00:00:00:01:01';
export const BACK_MAC = '02:00:00:00:01:02';
/** Router towards the clients, 192.0.2.254. */
export const ROUTER_MAC = '02:00:00:00:00:fe';
export const FRONT_ADDRESS = '192.0.2.1';
export const BACK_ADDRESS = '198.51.100.1';
/** Real server n (1 …) is 198.51.100.(10 + n) with this MAC. */
export const serverAddress = (n: number) => `198.51.100.${10 + n}`;
export const serverMac = (n: number) => `02:00:00:00:02:${n.toString(16).padStart(2, '0')}`;
export const SERVERS = 8;

export interface ServerWords {
  /** 'address:port' */
  at: string;
  weight?: number;
  mode?: Mode;
  tunnel?: Tunnel;
  up?: boolean;
  upper?: number;
  lower?: number;
}

export interface ServiceWords
  extends Partial<Omit<SnapshotService, 'servers' | 'localAddresses' | 'allow' | 'deny'>> {
  /** 'address:port' */
  listen: string;
  mode?: Mode;
  /** Of its servers that say none. */
  tunnel?: Tunnel;
  servers: (string | ServerWords)[];
  locals?: string[];
  scheduler?: Scheduler;
  /** Clients, as director.yaml says them. */
  allow?: string[];
  deny?: string[];
}

export interface World {
  snapshot: Snapshot;
  ports: ModelPort[];
}

export interface WorldWords {
  services: ServiceWords[];
  frontMtu?: number;
  backMtu?: number;
  partialChecksums?: boolean;
  /** Owned addresses beyond VIPs and LIPs. */
  owned?: string[];
  timeouts?: number[];
  answerRate?: number;
  /** Rules of marks; they may ask for a service's slot by its name. */
  marks?: (slot: (kind: string, name: string) => number) => SnapshotMark[];
  /** Owned as the master of a VRRP instance on the front port. */
  roleAddresses?: { address: string; virtualMac?: string; accepted?: boolean }[];
}

/**
 * Slots follow the identity of service and server, as plan() keeps them, so that the worlds of one
 * test can follow one another: a Map that the caller may share.
 */
export type Slots = Map<string, number>;

export function world(words: WorldWords, slots: Slots = new Map(), generation = 1): World {
  const slot = (kind: string, name: string) => {
    const key = `${kind} ${name}`;
    const known = slots.get(key);
    if (known !== undefined) return known;
    const next = [...slots.keys()].filter((other) => other.startsWith(kind)).length;
    slots.set(key, next);
    return next;
  };
  const services = words.services.map((service): SnapshotService => {
    const protocol = service.protocol ?? 'tcp';
    const [address, port] = endpoint(service.listen);
    const name = `${protocol} ${service.listen}`;
    const { servers, locals, listen, mode, tunnel, allow = [], deny = [], ...rest } = service;
    const six = address.includes(':');
    return {
      schedulePort: false,
      scheduleFallback: false,
      onePacket: false,
      persistenceMs: 0,
      clientBits: 32,
      netmask: 0,
      engine: null,
      movesDrained: false,
      resetOnServerRemoved: false,
      clientAddress: true,
      toaKind: 254,
      synProxy: false,
      role: 'none',
      ...rest,
      mark: service.mark ?? 0,
      scheduler: service.scheduler ?? 'rr',
      protocol,
      address: mapped(address),
      port,
      slot: slot('service', name),
      servers: servers.map((entry): SnapshotServer => {
        const one = typeof entry === 'string' ? { at: entry } : entry;
        const [serverIp, serverPort] = endpoint(one.at);
        return {
          address: mapped(serverIp),
          port: serverPort,
          mode: one.mode ?? mode ?? 'nat',
          ...tunnelOf(one.mode ?? mode ?? 'nat', one.tunnel ?? tunnel),
          weight: one.weight ?? 1,
          slot: slot('server', `${name} ${one.at}`),
          up: one.up ?? true,
          upper: one.upper ?? 0,
          lower: one.lower ?? 0,
        };
      }),
      localAddresses: (locals ?? []).map(mapped),
      allow: clientSet(allow, [], six),
      deny: clientSet(deny, [], six),
    };
  });
  const ours = services.filter(({ role }) => role === 'none');
  const owned = new Set([
    ...ours.map((service) => ip4Text(service.address, 12)),
    ...ours.flatMap((service) => service.localAddresses.map((local) => ip4Text(local, 12))),
    ...(words.owned ?? []),
  ]);
  const servers = Array.from({ length: SERVERS }, (_, index) => index + 1);
  return {
    snapshot: {
      generation,
      timeouts: words.timeouts ?? DEFAULT_TIMEOUTS,
      answerRate: words.answerRate ?? 0,
      services,
      owned: [...owned].map(mapped),
      routes: [
        {
          address: mapped('0.0.0.0'),
          length: 0,
          via: mapped('192.0.2.254'),
          port: FRONT,
        },
      ],
      neighbours: [
        { address: mapped('192.0.2.254'), mac: mac(ROUTER_MAC), port: FRONT },
        ...servers.map((n) => ({
          address: mapped(serverAddress(n)),
          mac: mac(serverMac(n)),
          port: BACK,
        })),
      ],
      portAddresses: [
        { address: mapped(FRONT_ADDRESS), length: 24, port: FRONT },
        { address: mapped(BACK_ADDRESS), length: 24, port: BACK },
      ],
      marks: words.marks?.(slot) ?? [],
      roleAddresses: (words.roleAddresses ?? []).map(
        ({ address, virtualMac, accepted = false }) => ({
          address: mapped(address),
          mac: virtualMac === undefined ? new Uint8Array(6) : mac(virtualMac),
          port: FRONT,
          accepted,
        }),
      ),
    },
    ports: [
      { mac: FRONT_MAC, mtu: words.frontMtu ?? 1500, partialChecksums: words.partialChecksums },
      { mac: BACK_MAC, mtu: words.backMtu ?? 1500, partialChecksums: words.partialChecksums },
    ],
  };
}

/** Ports, routes and neighbours of both families, with three servers, as a director.yaml has them. */
export const TWO_FAMILIES = `ports:
  - { name: front, mac: "${FRONT_MAC}", addresses: [192.0.2.1/24, "2001:db8::1/64"] }
  - { name: back, mac: "${BACK_MAC}", addresses: [198.51.100.1/24, "2001:db8:2::1/64"] }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
  - { to: "::/0", via: "2001:db8::fe" }
neighbours:
  - { address: 192.0.2.254, mac: "${ROUTER_MAC}", port: front }
  - { address: "2001:db8::fe", mac: "${ROUTER_MAC}", port: front }
${[1, 2, 3]
  .map(
    (n) => `  - { address: ${serverAddress(n)}, mac: "${serverMac(n)}", port: back }
  - { address: "2001:db8:2::${10 + n}", mac: "${serverMac(n)}", port: back }`,
  )
  .join('\n')}`;
