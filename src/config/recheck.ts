/** The rules of a file (check.ts) for a Model that no file says, after edits at run time. */

import { sameData } from '../same-data.js';
import { formatEndpoint } from './address.js';
import { check } from './check.js';
import type { Finding } from './findings.js';
import type { Model, ServiceModel } from './model.js';
import type { Parsed } from './schema.js';

/**
 * What would stop a file with this content, as sentences; what a later edit may mend does not.
 * `before`: a Model that passed; what is the same in it is not looked at again.
 */
export function recheck(model: Model, before?: Model): { code: string; message: string }[] {
  return check(model, asParsed(model), new Set(), unaffected(model, before))
    .filter(({ severity, mendable }) => severity === 'error' && !mendable)
    .map((finding) => ({ code: finding.code, message: sentence(model, finding) }));
}

/** Services that are as they were, unless another one's addresses have changed: they may clash. */
function unaffected(model: Model, before: Model | undefined): Set<ServiceModel> {
  const { services, timeouts: _, ...around } = model;
  const same =
    before?.services.length === services.length &&
    Object.entries(around).every(([key, part]) => part === before[key as keyof Model]) &&
    services.every((one, at) => hasAddressesOf(one, before.services[at] as ServiceModel));
  return new Set(same ? services.filter((one, at) => one === before.services[at]) : []);
}

function hasAddressesOf(one: ServiceModel, other: ServiceModel): boolean {
  const its = ({ name, protocol, listen, localAddresses }: ServiceModel) => ({
    name,
    protocol,
    listen,
    localAddresses,
  });
  return one === other || sameData(its(one), its(other));
}

/** As if every setting that check() asks about had been written down. */
function asParsed(model: Model): Parsed {
  const services = model.services.map((service) => ({
    ...service,
    clientAddress: service.clientAddress === 'none' ? 'none' : undefined,
    toaKind: undefined,
  }));
  // The Model has no hashes, and edits change nothing of the API.
  const director = { ...model.director, api: undefined };
  return { ...model, director, services } as unknown as Parsed;
}

function sentence(model: Model, { path, message }: Finding): string {
  const service = path[0] === 'services' ? model.services[Number(path[1])] : undefined;
  if (!service) return message;
  const server = path[2] === 'servers' ? service.servers[Number(path[3])] : undefined;
  const place = server ? `, server ${formatEndpoint(server.address)}` : '';
  return `service ${service.name}${place}: ${message}`;
}
