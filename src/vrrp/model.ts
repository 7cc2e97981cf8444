/** What the `vrrp` block of a configuration says, with every default filled in. */

import type { Parsed } from '../config/schema.js';
import type { Script } from '../health/model.js';
import { OWNER } from './machine.js';

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
  /** undefined: the port's first address. */
  sourceAddress: string | undefined;
  /** Empty: multicast. */
  unicastPeers: string[];
  /** The password of version 2; undefined: none. */
  password: string | undefined;
  /** Version 3 over IPv4 without the pseudo-header, as some peers have it. */
  plainChecksum: boolean;
  /** Adverts that list other addresses than ours are dropped; version 2 does so anyway. */
  strict: boolean;
  addresses: string[];
  /** Not in adverts; they move all the same. */
  excludedAddresses: string[];
  garp: GarpModel;
  track: TrackModel[];
  notify: NotifyModel;
}

/** keepalived's garp_master_* */
export interface GarpModel {
  /** Burst at once, and another one after the delay; 0: none. */
  delayMs: number;
  repeat: number;
  /** Again and again at this distance; 0: never. */
  refreshMs: number;
  refreshRepeat: number;
  /** After an advert of a lower router. */
  lowerPriorityRepeat: number;
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

/** What an instance looks at; weight 0: without it the instance is in fault. */
export interface TrackModel {
  kind: 'port' | 'tracker';
  name: string;
  weight: number;
}

interface TrackerCommon {
  name: string;
  weight: number;
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
  /** Programs by name, of which there have to be `quorum`. */
  | (TrackerCommon & { type: 'process'; process: string; quorum: number });

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
    sourceAddress: instance.sourceAddress,
    unicastPeers: instance.unicastPeers ?? [],
    password: instance.password,
    plainChecksum: instance.plainChecksum ?? false,
    strict: instance.strict ?? false,
    addresses: instance.addresses,
    excludedAddresses: instance.excludedAddresses ?? [],
    garp: {
      delayMs: ms(garp.delay, 5_000),
      repeat: garp.repeat ?? 5,
      refreshMs: ms(garp.refresh, 0),
      refreshRepeat: garp.refreshRepeat ?? 1,
      lowerPriorityRepeat: garp.lowerPriorityRepeat ?? garp.repeat ?? 5,
    },
    track: (instance.track ?? []).map((track) => ({
      kind: track.port === undefined ? 'tracker' : 'port',
      name: track.port ?? (track.tracker as string),
      weight: track.weight ?? 0,
    })),
    notify: buildNotify(instance.notify),
  };
}

function buildNotify(notify: NonNullable<ParsedVrrp['groups']>[number]['notify']): NotifyModel {
  const { master, backup, fault, stop, any } = notify ?? {};
  return { master, backup, fault, stop, any };
}

function buildTracker(tracker: NonNullable<ParsedVrrp['trackers']>[number]): TrackerModel {
  const { name, weight = 0 } = tracker;
  switch (tracker.type) {
    case 'file':
      return { type: 'file', name, weight, path: tracker.path };
    case 'process':
      return {
        type: 'process',
        name,
        weight,
        process: tracker.process,
        quorum: tracker.quorum ?? 1,
      };
    case 'script': {
      const intervalMs = ms(tracker.interval, 1_000);
      return {
        type: 'script',
        name,
        weight,
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
