/** What a plan made of a service's servers, by their places in the configuration. */
import type { Model, ServiceModel } from '../config/model.js';
import type { Planned } from '../plan.js';
import type { Part } from '../slots.js';
import type { SnapshotServer } from '../snapshot.js';

/** Of a service's servers. */
export interface ServerCounts {
  all: number;
  up: number;
  /** Take new connections. */
  taking: number;
  drained: number;
}

export function partAt({ slots }: Planned, index: number): Part {
  return slots.parts[index] as Part;
}

/**
 * What of a server is in effect; undefined for FullNAT's that wait for a local address. The lists
 * differ only then, and while a sorry server stands in.
 */
export function inEffect(part: Part): (at: number) => SnapshotServer | undefined {
  const { servers, service } = part;
  if (service.servers === servers) return (at) => servers[at];
  const current = new Map(service.servers.map((one) => [one.slot, one]));
  return (at) => current.get((servers[at] as SnapshotServer).slot);
}

/** A plan hands on the parts that it left alone: what was counted of one holds as long as it does. */
const counted = new WeakMap<Part, { service: ServiceModel; counts: ServerCounts }>();

export function serverCounts(service: ServiceModel, part: Part): ServerCounts {
  const known = counted.get(part);
  if (known?.service === service) return known.counts;
  const counts = { all: service.servers.length, up: 0, taking: 0, drained: 0 };
  const now = inEffect(part);
  service.servers.forEach((server, at) => {
    const { up, weight } = now(at) ?? { up: true, weight: server.weight };
    if (up) counts.up++;
    if (up && weight > 0) counts.taking++;
    if (server.drained) counts.drained++;
  });
  counted.set(part, { service, counts });
  return counts;
}

/** By the services' places in the configuration. */
export function allCounts({ services }: Model, planned: Planned): ServerCounts[] {
  return services.map((service, index) => serverCounts(service, partAt(planned, index)));
}
