/** Names and places for what the workers know by number. */

import { formatEntry, placeOfEntry } from '../clients.js';
import { formatEndpoint, fromBytes } from '../config/address.js';
import { type Admission, admission } from '../config/client-sets.js';
import type { Loaded } from '../config/load.js';
import { addressesOf } from '../config/marks.js';
import type { Model, ServiceModel } from '../config/model.js';
import type { Place } from '../errors.js';
import type { CounterLayout, Mode } from '../native.js';
import type { Planned } from '../plan.js';
import type { SnapshotServer } from '../snapshot.js';
import { writtenIndex, writtenPlace } from '../written.js';

type Path = Parameters<Loaded['locate']>[0];

export interface NamedServer {
  /** `address:port`. */
  server: string;
  mode: Mode;
  place: Place | undefined;
}

export interface NamedService {
  model: ServiceModel;
  /** What its lists say of a client; `by`: the entry in words, and where it stands. */
  admission(client: string): {
    admitted: boolean;
    by: string | undefined;
    place: Place | undefined;
  };
  /** Of a key of it, where the file has it; else of the service. */
  locate(...path: Path): Place | undefined;
}

export interface Names {
  layout: Pick<CounterLayout, 'workers' | 'ends' | 'endInfo' | 'extra'>;
  port(index: number): string;
  service(slot: number | undefined): NamedService | undefined;
  server(slot: number | undefined): NamedServer | undefined;
  /** UDP to there is GUE of a tunnel. */
  isGue(address: string, port: number): boolean;
  /** The service that has this address, whatever its port. */
  serviceAt(address: string): NamedService | undefined;
  locate(...path: Path): Place | undefined;
}

/** As of one state: another publication needs another one. Numbers are looked up when asked for. */
export function namesOf(
  layout: Names['layout'],
  { model, planned, loaded }: { model: Model; planned: Planned; loaded: Loaded },
): Names {
  const services = new Map<number, number>();
  const servers = new Map<number, [service: number, server: SnapshotServer]>();
  const gue = new Set<string>();
  planned.snapshot.services.forEach((service, index) => {
    services.set(service.slot, index);
    for (const server of service.servers) {
      servers.set(server.slot, [index, server]);
      const { address, tunnel } = server;
      if (tunnel?.type === 'gue') {
        gue.add(formatEndpoint({ address: fromBytes(address), port: tunnel.port }));
      }
    }
  });
  const named = (index: number | undefined): NamedService | undefined => {
    const own = index === undefined ? undefined : model.services[index];
    if (!own) return undefined;
    const at = writtenIndex(loaded, own);
    return {
      model: own,
      admission: (client) => {
        const { admitted, by }: Admission = admission(own.clients, model.clientFiles, client);
        const place = by && placeOfEntry(loaded, own, by);
        return { admitted, by: by && formatEntry(by, place), place };
      },
      locate: (...path) => (at === undefined ? at : loaded.locate(['services', at, ...path])),
    };
  };
  const server = (slot: number | undefined): NamedServer | undefined => {
    const [index, found] = servers.get(slot ?? -1) ?? [];
    const service = index === undefined ? undefined : model.services[index];
    if (!found || !service) return undefined;
    const { port, mode } = found;
    const name = formatEndpoint({ address: fromBytes(found.address), port });
    const own = service.servers.find(({ address }) => formatEndpoint(address) === name);
    return { server: name, mode, place: own && writtenPlace(loaded, service, own) };
  };
  let byAddress: Map<string, number> | undefined;
  return {
    layout,
    port: (index) => model.ports[index]?.name ?? `port ${index}`,
    service: (slot) => named(services.get(slot ?? -1)),
    server,
    isGue: (address, port) => gue.has(formatEndpoint({ address, port })),
    serviceAt: (address) => {
      byAddress ??= firstByAddress(model);
      return named(byAddress.get(address));
    },
    locate: (...path) => loaded.locate(path),
  };
}

function firstByAddress({ services, marks }: Model): Map<string, number> {
  const first = new Map<string, number>();
  services.forEach((service, index) => {
    for (const address of [...addressesOf(service, marks), ...service.localAddresses]) {
      if (!first.has(address)) first.set(address, index);
    }
  });
  return first;
}
