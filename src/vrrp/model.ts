/** What the `vrrp` block of a configuration says, with every default filled in. */

import type { Parsed } from '../config/schema.js';
import { BIRD_SOCKET, type Script } from '../health/model.js';
import { OWNER } from './machine.js';
import { GROUP_V4, GROUP_V6 } from './packet.js';

export interface VrrpModel {
  /** Adverts go on for so long without a sign of life of the control plane. */
  leaseMs: number;
  startDelayMs: number;
  /** A named pipe that every change of state is written to. */
  notifyFifo: string | undefined;
  instances: InstanceModel[];
  groups: GroupModel[];
  trackers: TrackerModel[];
}

export interface InstanceModel {
  name: string;
  port: string;
  vrid: number;
  version: 2 | 3;
  priority: number;
  intervalMs: number;
  preempt: boolean;
  preemptDelayMs: number;
  virtualMac: boolean;
  /** Adverts come from the port's own MAC all the same. */
  xmitBase: boolean;
  /** Adverts that a backup misses before its skew: Master_Adver_Interval counts so often. */
  downAdverts: number;
  /** The port's link counts; false: only what `track` names. */
  trackPort: boolean;
  /** undefined: the port's first address. */
  sourceAddress: string | undefined;
  /** Empty: multicast. */
  unicastPeers: string[];
  /** undefined: RFC 9568's. */
  multicastGroup: string | undefined;
  /** The password of version 2; undefined: none. */
  password: string | undefined;
  /** It keys IPsec's AH, and is not in adverts. */
  ah: boolean;
  /** Path of the key of adverts' HMAC trailer; undefined: they have none. */
  hmacKey: string | undefined;
  /** Version 3 over IPv4 without the pseudo-header, as some peers have it. */
  plainChecksum: boolean;
  /** Adverts that list other addresses than ours are dropped; version 2 does so anyway. */
  strict: boolean;
  /** RFC 9568 section 6.1: programs of this machine are reached by its addresses, too. */
  accept: boolean;
  addresses: string[];
  /** Not in adverts; they move all the same. */
  excludedAddresses: string[];
  /** Of the kernel while it is the master, in the words of ip(8). */
  routes: string[];
  rules: string[];
  garp: GarpModel;
  track: TrackModel[];
  notify: NotifyModel;
}

/** A virtual router has one family, that of its first address. */
export function isSix({ addresses, sourceAddress, multicastGroup }: InstanceModel): boolean {
  return (addresses[0] ?? sourceAddress ?? multicastGroup ?? '').includes(':');
}

/** What adverts go to, and come to, where they are multicast. */
export function groupOf(instance: InstanceModel): string {
  return instance.multicastGroup ?? (isSix(instance) ? GROUP_V6 : GROUP_V4);
}

/** keepalived's garp_master_*, and its like of IPv6 */
export interface GarpModel {
  /** Burst at once, and another one after the delay; 0: none. */
  delayMs: number;
  repeat: number;
  /** Again and again at this distance; 0: never. */
  refreshMs: number;
  refreshRepeat: number;
  /** After an advert of a lower router: at once, and again after the delay; 0: not again. */
  lowerPriorityRepeat: number;
  lowerPriorityDelayMs: number;
}

export interface NotifyModel {
  master: Script | undefined;
  backup: Script | undefined;
  fault: Script | undefined;
  stop: Script | undefined;
  /** Gets `INSTANCE|GROUP name state priority` after its own arguments. */
  any: Script | undefined;
}

export interface GroupModel {
  name: string;
  instances: string[];
  notify: NotifyModel;
}

/**
 * What an instance looks at; weight 0: without it the instance is in fault. What is not said here is
 * the tracker's own.
 */
export interface TrackModel {
  kind: 'port' | 'interface' | 'tracker';
  name: string;
  weight: number | undefined;
  /** Good and bad change places. */
  reverse: boolean | undefined;
}

interface TrackerCommon {
  name: string;
  weight: number;
  reverse: boolean;
}
export type TrackerModel =
  | (TrackerCommon & {
      type: 'script';
      script: Script;
      intervalMs: number;
      timeoutMs: number;
      rise: number;
      fall: number;
      initFail: boolean;
    })
  /** A number in a file, which is the weight (times its own, where that is not 1). */
  | (TrackerCommon & { type: 'file'; path: string })
  /** Programs, of which there have to be `quorum` to `quorumMax`. */
  | (TrackerCommon & {
      type: 'process';
      process: ProcessModel;
      quorum: number;
      quorumMax: number;
      /** For so long a process may be gone, or be there, before it counts. */
      terminateDelayMs: number;
      forkDelayMs: number;
    })
  /** The session to a neighbour that BIRD keeps. */
  | (TrackerCommon & { type: 'bfd'; neighbour: string; socket: string })
  /** The dataplane's packet buffers, of which so many percent have to be free. */
  | (TrackerCommon & { type: 'mempool'; free: number });

export interface ProcessModel {
  /** As the kernel has it, or (`full`) as it was called. */
  name: string;
  full: boolean;
  /** undefined: any. */
  argv: string[] | undefined;
  /** More arguments than these may follow. */
  partial: boolean;
}

export const NO_VRRP: VrrpModel = {
  leaseMs: 3_000,
  startDelayMs: 0,
  notifyFifo: undefined,
  instances: [],
  groups: [],
  trackers: [],
};

type ParsedVrrp = NonNullable<Parsed['vrrp']>;

const ms = (us: number | undefined, otherwise: number) =>
  us === undefined ? otherwise : us / 1000;

export function buildVrrp(parsed: ParsedVrrp | undefined): VrrpModel {
  if (!parsed) return NO_VRRP;
  return {
    leaseMs: ms(parsed.lease, NO_VRRP.leaseMs),
    startDelayMs: ms(parsed.startDelay, 0),
    notifyFifo: parsed.notifyFifo,
    instances: (parsed.instances ?? []).map(buildInstance),
    groups: (parsed.groups ?? []).map(({ name, instances, notify }) => ({
      name,
      instances,
      notify: buildNotify(notify),
    })),
    trackers: (parsed.trackers ?? []).map(buildTracker),
  };
}

function buildInstance(instance: NonNullable<ParsedVrrp['instances']>[number]): InstanceModel {
  const { garp = {} } = instance;
  const priority = instance.priority ?? 100;
  return {
    name: instance.name,
    port: instance.port,
    vrid: instance.routerId,
    version: instance.version ?? 3,
    priority,
    intervalMs: ms(instance.advertInterval, 1_000),
    preempt: priority === OWNER || (instance.preempt ?? true),
    preemptDelayMs: ms(instance.preemptDelay, 0),
    virtualMac: instance.virtualMac ?? false,
    xmitBase: instance.xmitBase ?? false,
    downAdverts: instance.downAdverts ?? 3,
    trackPort: instance.trackPort ?? true,
    sourceAddress: instance.sourceAddress,
    unicastPeers: instance.unicastPeers ?? [],
    multicastGroup: instance.multicastGroup,
    password: instance.password,
    ah: instance.ah ?? false,
    hmacKey: instance.hmacKey,
    plainChecksum: instance.plainChecksum ?? false,
    strict: instance.strict ?? false,
    accept: instance.accept ?? false,
    addresses: instance.addresses ?? [],
    excludedAddresses: instance.excludedAddresses ?? [],
    routes: instance.routes ?? [],
    rules: instance.rules ?? [],
    garp: {
      delayMs: ms(garp.delay, 5_000),
      repeat: garp.repeat ?? 5,
      refreshMs: ms(garp.refresh, 0),
      refreshRepeat: garp.refreshRepeat ?? 1,
      lowerPriorityRepeat: garp.lowerPriorityRepeat ?? garp.repeat ?? 5,
      lowerPriorityDelayMs: ms(garp.lowerPriorityDelay, ms(garp.delay, 5_000)),
    },
    track: (instance.track ?? []).map(buildTrack),
    notify: buildNotify(instance.notify),
  };
}

function buildNotify(notify: NonNullable<ParsedVrrp['groups']>[number]['notify']): NotifyModel {
  const { master, backup, fault, stop, any } = notify ?? {};
  return { master, backup, fault, stop, any };
}

type ParsedInstance = NonNullable<ParsedVrrp['instances']>[number];

function buildTrack(track: NonNullable<ParsedInstance['track']>[number]): TrackModel {
  const kind = track.port !== undefined ? 'port' : track.interface ? 'interface' : 'tracker';
  const name = (track.port ?? track.interface ?? track.tracker) as string;
  return { kind, name, weight: track.weight, reverse: track.reverse };
}

function buildTracker(tracker: NonNullable<ParsedVrrp['trackers']>[number]): TrackerModel {
  const { name, weight = 0, reverse = false } = tracker;
  const common = { name, weight, reverse };
  switch (tracker.type) {
    case 'file':
      return { ...common, type: 'file', path: tracker.path };
    case 'mempool':
      return { ...common, type: 'mempool', free: tracker.free ?? 10 };
    case 'bfd':
      return {
        ...common,
        type: 'bfd',
        neighbour: tracker.neighbour,
        socket: tracker.socket ?? BIRD_SOCKET,
      };
    case 'process':
      return {
        ...common,
        type: 'process',
        process: {
          name: tracker.process,
          full: tracker.fullCommand ?? false,
          argv: tracker.arguments,
          partial: tracker.partial ?? false,
        },
        quorum: tracker.quorum ?? 1,
        quorumMax: tracker.quorumMax ?? Number.MAX_SAFE_INTEGER,
        terminateDelayMs: ms(tracker.terminateDelay, 0),
        forkDelayMs: ms(tracker.forkDelay, 0),
      };
    case 'script': {
      const intervalMs = ms(tracker.interval, 1_000);
      return {
        ...common,
        type: 'script',
        script: tracker.script,
        intervalMs,
        timeoutMs: ms(tracker.timeout, intervalMs),
        rise: tracker.rise ?? 1,
        fall: tracker.fall ?? 1,
        initFail: tracker.initFail ?? false,
      };
    }
  }
}
