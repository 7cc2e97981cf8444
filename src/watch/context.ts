/** Names and places for what the workers know by number. */

import { formatEndpoint, fromBytes } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import { addressesOf } from '../config/marks.js';
import type { Model, ServiceModel } from '../config/model.js';
import type { Place } from '../errors.js';
import type { CounterLayout, Mode } from '../native.js';
import { type Planned, serviceKey } from '../plan.js';

type Path = Parameters<Loaded['locate']>[0];

export interface NamedServer {
  /** `address:port`. */
  server: string;
  mode: Mode;
  place: Place | undefined;
}

export interface NamedService {
  model: ServiceModel;
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

/** As of one state: another publication needs another one. */
export function namesOf(
  layout: Names['layout'],
  { model, planned, loaded }: { model: Model; planned: Planned; loaded: Loaded },
): Names {
  const services = new Map<number, number>();
  const servers = new Map<number, NamedServer>();
  const gue = new Set<string>();
  planned.snapshot.services.forEach((service, index) => {
    services.set(service.slot, index);
    for (const { slot, address, port, mode, tunnel } of service.servers) {
      if (tunnel?.type === 'gue') {
        gue.add(formatEndpoint({ address: fromBytes(address), port: tunnel.port }));
      }
      const server = formatEndpoint({ address: fromBytes(address), port });
      servers.set(slot, { server, mode, place: serverPlace(model, loaded, index, server) });
    }
  });
  const named = (index: number): NamedService | undefined => {
    const own = model.services[index];
    if (!own) return undefined;
    const inFile = fileIndex(model, loaded, index);
    return {
      model: own,
      locate: (...path) => (inFile < 0 ? undefined : loaded.locate(['services', inFile, ...path])),
    };
  };
  return {
    layout,
    port: (index) => model.ports[index]?.name ?? `port ${index}`,
    service: (slot) => (slot === undefined ? undefined : named(services.get(slot) ?? -1)),
    server: (slot) => (slot === undefined ? undefined : servers.get(slot)),
    isGue: (address, port) => gue.has(formatEndpoint({ address, port })),
    serviceAt: (address) =>
      named(
        model.services.findIndex(
          (one) =>
            addressesOf(one, model.marks).includes(address) || one.localAddresses.includes(address),
        ),
      ),
    locate: (...path) => loaded.locate(path),
  };
}

/** Services are added at run time, too: those the file has not. */
function fileIndex(model: Model, loaded: Loaded, index: number): number {
  const key = serviceKey(model.services[index] as ServiceModel);
  return loaded.model.services.findIndex((one) => serviceKey(one) === key);
}

function serverPlace(
  model: Model,
  loaded: Loaded,
  index: number,
  server: string,
): Place | undefined {
  const inFile = fileIndex(model, loaded, index);
  const servers = loaded.model.services[inFile]?.servers ?? [];
  const at = servers.findIndex(({ address }) => formatEndpoint(address) === server);
  return at < 0 ? undefined : loaded.locate(['services', inFile, 'servers', at]);
}
