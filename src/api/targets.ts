/** What people call services and servers, in a listing of a running director. */
import { formatEndpoint } from '../config/address.js';
import { SluiceError } from '../errors.js';
import type { ServiceId } from '../model-edit.js';
import type { ServerReport, ServiceReport } from './types.js';

export interface Target {
  service: ServiceReport;
  server: ServerReport;
}

/** By its name, `address:port` or `udp address:port`. */
export function findService(services: readonly ServiceReport[], wanted: string): ServiceReport {
  const names = (one: ServiceReport) => [
    one.name,
    formatEndpoint(one),
    `${one.protocol} ${formatEndpoint(one)}`,
  ];
  const found = services.filter((one) => names(one).includes(wanted));
  const [only] = found;
  if (only && found.length === 1) return only;
  if (found.length > 1) {
    const all = found.map((one) => `${one.protocol} ${formatEndpoint(one)}`).join(', ');
    throw new SluiceError('ERR_AMBIGUOUS', `${wanted} is several services: ${all}`);
  }
  const known = listed(services.map(({ name }) => name));
  const message = `no service is called or listens on ${wanted}; ${known || 'there are none'}`;
  throw new SluiceError('ERR_NO_SUCH_SERVICE', message);
}

/** By `address:port`, or its address alone where that is only one server. */
export function findServer(service: ServiceReport, wanted: string): ServerReport {
  const found = serversOf(service, wanted);
  const [only] = found;
  if (only && found.length === 1) return only;
  if (found.length > 1) {
    const all = found.map(formatEndpoint).join(', ');
    throw new SluiceError(
      'ERR_AMBIGUOUS',
      `${wanted} is several servers of ${service.name}: ${all}`,
    );
  }
  const known = listed(service.servers.map(formatEndpoint));
  const message = `${service.name} has no server ${wanted}; ${known || 'it has none'}`;
  throw new SluiceError('ERR_NO_SUCH_SERVER', message);
}

/** A server of one service, or (`all`) of every service that has it. */
export function findTargets(
  services: readonly ServiceReport[],
  service: string,
  server: string,
): Target[] {
  if (service !== 'all' || services.some(({ name }) => name === 'all')) {
    const found = findService(services, service);
    return [{ service: found, server: findServer(found, server) }];
  }
  const targets = services.flatMap((one) =>
    serversOf(one, server).map((found) => ({ service: one, server: found })),
  );
  if (targets.length > 0) return targets;
  throw new SluiceError('ERR_NO_SUCH_SERVER', `no service has a server ${server}`);
}

export function serviceId({ protocol, address, port }: ServiceReport): ServiceId {
  return { protocol, listen: { address, port } };
}

/** What an edit calls the two. */
export function targetId({ service, server: { address, port } }: Target) {
  return { service: serviceId(service), server: { address, port } };
}

export function targetName({ service, server }: Target): string {
  return `${formatEndpoint(server)} of ${service.name}`;
}

function serversOf(service: ServiceReport, wanted: string): ServerReport[] {
  return service.servers.filter((one) => formatEndpoint(one) === wanted || one.address === wanted);
}

function listed(names: string[]): string {
  if (names.length === 0) return '';
  const more = names.length > 8 ? ` and ${names.length - 8} more` : '';
  return `there are ${names.slice(0, 8).join(', ')}${more}`;
}
