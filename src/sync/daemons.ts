/**
 * IPVS' two sync daemons, as ipvsadm starts and stops them: the master tells, the backup adopts.
 * Here they are two halves of one thread with one socket, so what both need has to be the same.
 */
import { readFileSync } from 'node:fs';
import { SluiceError } from '../errors.js';
import { buildSync, type SyncModel } from './model.js';

export const DAEMON_ROLES = ['master', 'backup'] as const;
export type DaemonRole = (typeof DAEMON_ROLES)[number];

export interface Daemon {
  role: DaemonRole;
  interface: string;
  syncid: number;
  /** Longest message, bytes. */
  maxlen: number;
  group: string;
  port: number;
  ttl: number;
}

/** Of a daemon that is to start; what is not given is as Linux has it. */
export type DaemonRequest = Pick<Daemon, 'role' | 'interface'> & {
  [Key in 'syncid' | 'maxlen' | 'port' | 'ttl']?: number | undefined;
} & { group?: string | undefined };

const HEADERS = 28;
const ETHERNET = 1500;
const LARGEST = 65_535;
const LEAST = { master: 1, backup: 1024 } as const;

/** The bounds are Linux's: a backup's buffer takes whatever the interface may bring. */
function maxlenOf(role: DaemonRole, given: number | undefined, name: string): number {
  if (given !== undefined) return Math.min(Math.max(given, LEAST[role]), LARGEST - HEADERS);
  if (role === 'master') return ETHERNET - HEADERS;
  return Math.min(Math.max(mtuOf(name), ETHERNET), LARGEST) - HEADERS;
}

function mtuOf(name: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'));
  } catch {
    // The socket says that there is no such interface.
    return ETHERNET;
  }
}

/** What of them runs; none where the directors speak Sluice's own protocol. */
export function daemonsOf(model: SyncModel | undefined): Daemon[] {
  if (model?.protocol !== 'ipvs') return [];
  const { interface: name, syncid, destination: group, port, ttl, datagramBytes } = model;
  return DAEMON_ROLES.filter((role) => model.role === 'both' || model.role === role).map(
    (role) => ({
      role,
      interface: name,
      syncid,
      maxlen: maxlenOf(role, role === 'master' ? datagramBytes : undefined, name),
      group,
      port,
      ttl,
    }),
  );
}

/** The one that was asked for, beside those that run. Throws ERR_SYNC_RUNNING, ERR_UNSUPPORTED. */
export function withDaemon(running: readonly Daemon[], asked: DaemonRequest): Daemon[] {
  const { role, interface: name } = asked;
  if (running.some((one) => one.role === role)) {
    throw new SluiceError('ERR_SYNC_RUNNING', `a ${role} sync daemon is running already`);
  }
  const defaults = buildSync({ protocol: 'ipvs', interface: name }) as SyncModel;
  const daemon: Daemon = {
    role,
    interface: name,
    syncid: asked.syncid ?? 0,
    maxlen: maxlenOf(role, asked.maxlen, name),
    group: asked.group ?? defaults.destination,
    port: asked.port ?? defaults.port,
    ttl: asked.ttl ?? defaults.ttl,
  };
  const [other] = running;
  for (const key of ['interface', 'syncid', 'group', 'port'] as const) {
    if (!other || other[key] === daemon[key]) continue;
    const message = `the ${other.role} daemon has ${key} ${other[key]}: both share a socket here, so ${key} has to be the same`;
    throw new SluiceError('ERR_UNSUPPORTED', message);
  }
  return [...running, daemon];
}

/** Those that are left. Throws ERR_SYNC_NOT_RUNNING. */
export function withoutDaemon(running: readonly Daemon[], role: DaemonRole): Daemon[] {
  const rest = running.filter((one) => one.role !== role);
  if (rest.length < running.length) return rest;
  throw new SluiceError('ERR_SYNC_NOT_RUNNING', `no ${role} sync daemon is running`);
}

/** Connection sync that is these daemons; what they say nothing of is as `base` has it. */
export function modelOf(
  daemons: readonly Daemon[],
  base: SyncModel | undefined,
): SyncModel | undefined {
  const [first] = daemons;
  if (!first) return undefined;
  const { interface: name, syncid, group, port } = first;
  const master = daemons.find(({ role }) => role === 'master');
  const plain = buildSync({ protocol: 'ipvs', interface: name }) as SyncModel;
  return {
    ...(base?.protocol === 'ipvs' ? base : plain),
    role: daemons.length > 1 ? 'both' : first.role,
    interface: name,
    destination: group,
    syncid,
    port,
    ttl: (master ?? first).ttl,
    datagramBytes: master && Math.max(master.maxlen, 128),
  };
}
