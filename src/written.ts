/** Where the file says what runs; services are added at run time, too, and those it does not have. */
import { formatEndpoint } from './config/address.js';
import type { Loaded } from './config/load.js';
import type { Model, ServerModel, ServiceModel } from './config/model.js';
import type { Place } from './errors.js';
import { serviceKey } from './plan.js';

const indexes = new WeakMap<Model, ReadonlyMap<string, number>>();

/** The file's service that is the same as this one, by its index there. */
export function writtenIndex({ model }: Pick<Loaded, 'model'>, service: ServiceModel) {
  let index = indexes.get(model);
  if (!index) {
    index = new Map(model.services.map((one, at) => [serviceKey(one), at]));
    indexes.set(model, index);
  }
  return index.get(serviceKey(service));
}

/** Of a service of the running state, or of one of its servers. */
export function writtenPlace(
  loaded: Pick<Loaded, 'model' | 'locate'>,
  service: ServiceModel,
  server?: ServerModel,
): Place | undefined {
  const at = writtenIndex(loaded, service);
  if (at === undefined) return undefined;
  if (server === undefined) return loaded.locate(['services', at]);
  const wanted = formatEndpoint(server.address);
  const servers = loaded.model.services[at]?.servers ?? [];
  const found = servers.findIndex(({ address }) => formatEndpoint(address) === wanted);
  return found < 0 ? undefined : loaded.locate(['services', at, 'servers', found]);
}
