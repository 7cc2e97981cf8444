/** What a publication changes, for the log. */
import { formatEndpoint, fromBytes } from './config/address.js';
import { sameData } from './same-data.js';
import type { Snapshot, SnapshotServer, SnapshotService } from './snapshot.js';

export interface SnapshotDiff {
  services: Changes;
  servers: Changes;
  /** Other parts that differ: routes, neighbours, addresses, timeouts. */
  other: string[];
}

export interface Changes {
  added: string[];
  removed: string[];
  changed: string[];
}

const OTHERS: Record<string, (snapshot: Snapshot) => unknown> = {
  routes: (snapshot) => snapshot.routes,
  neighbours: (snapshot) => snapshot.neighbours,
  'own addresses': (snapshot) => snapshot.portAddresses,
  'addresses by role': (snapshot) => snapshot.roleAddresses,
  'owned addresses': (snapshot) => snapshot.owned,
  marks: (snapshot) => snapshot.marks,
  timeouts: (snapshot) => snapshot.timeouts,
};

/**
 * `before` undefined: everything is added. Plans share what they have in common: only what is not
 * one object in both is looked at, which in a large configuration is next to nothing.
 */
export function diffSnapshots(before: Snapshot | undefined, after: Snapshot): SnapshotDiff {
  const [oldServices, newServices] = unshared(before?.services ?? [], after.services);
  const services = changes(
    named(oldServices, nameOf, (service) => ({ ...service, servers: undefined })),
    named(newServices, nameOf, (service) => ({ ...service, servers: undefined })),
  );
  const [oldServers, newServers] = unshared(
    oldServices.flatMap(serversOf),
    newServices.flatMap(serversOf),
    ({ server }) => server,
  );
  const servers = changes(
    named(oldServers, serverName, ({ server }) => server),
    named(newServers, serverName, ({ server }) => server),
  );
  const other = Object.entries(OTHERS)
    .filter(([, part]) => before && !sameData(part(before), part(after)))
    .map(([name]) => name);
  return { services, servers, other };
}

/** `services +web ~dns, servers -…`, or 'nothing changed'. */
export function formatDiff(diff: SnapshotDiff): string {
  const part = (name: string, { added, removed, changed }: Changes): string[] => {
    const words = [
      ...added.map((key) => `+${key}`),
      ...removed.map((key) => `-${key}`),
      ...changed.map((key) => `~${key}`),
    ];
    const shown = words.slice(0, 8).join(', ');
    const more = words.length > 8 ? `, and ${words.length - 8} more` : '';
    return words.length === 0 ? [] : [`${name} ${shown}${more}`];
  };
  const parts = [
    ...part('services', diff.services),
    ...part('servers', diff.servers),
    ...(diff.other.length > 0 ? [`changed ${diff.other.join(', ')}`] : []),
  ];
  return parts.length === 0 ? 'nothing changed' : parts.join('; ');
}

interface Placed {
  service: SnapshotService;
  server: SnapshotServer;
}

function serversOf(service: SnapshotService): Placed[] {
  return service.servers.map((server) => ({ service, server }));
}

/** Without the things that both have. */
function unshared<T>(
  before: readonly T[],
  after: readonly T[],
  identity: (thing: T) => unknown = (thing) => thing,
): [before: T[], after: T[]] {
  const old = new Set(before.map(identity));
  const now = new Set(after.map(identity));
  return [
    before.filter((thing) => !now.has(identity(thing))),
    after.filter((thing) => !old.has(identity(thing))),
  ];
}

function named<T>(
  things: readonly T[],
  name: (thing: T) => string,
  content: (thing: T) => unknown,
): Map<string, unknown> {
  return new Map(things.map((thing) => [name(thing), content(thing)]));
}

function changes(before: Map<string, unknown>, after: Map<string, unknown>): Changes {
  return {
    added: [...after.keys()].filter((key) => !before.has(key)),
    removed: [...before.keys()].filter((key) => !after.has(key)),
    changed: [...after]
      .filter(([key, content]) => before.has(key) && !sameData(before.get(key), content))
      .map(([key]) => key),
  };
}

function nameOf(service: SnapshotService): string {
  return `${service.protocol} ${formatEndpoint(endpointOf(service))}`;
}

function serverName({ service, server }: Placed): string {
  return `${nameOf(service)} → ${formatEndpoint(endpointOf(server))}`;
}

function endpointOf({ address, port }: { address: Uint8Array; port: number }) {
  return { address: fromBytes(address), port };
}
