/** `sluice show health`. */
import type { ServiceReport } from '../api/types.js';
import { formatEndpoint } from '../config/address.js';
import { formatEnd } from '../config/marks.js';

/** The part of a listing that is about health, as JSON. */
export function healthOf(services: ServiceReport[]) {
  return services.map(({ name, protocol, address, port, servers }) => ({
    name,
    protocol,
    address,
    port,
    servers: servers.map((server) => ({
      address: server.address,
      port: server.port,
      up: server.up,
      weight: server.weight,
      drained: server.drained,
      checks: server.checks,
    })),
  }));
}

/** A service, its servers, and below each server a line a check. */
export function formatHealth(services: ServiceReport[]): string {
  return services
    .flatMap((service) => [
      `${service.name} (${service.protocol.toUpperCase()} ${formatEnd(service.protocol, service)})`,
      ...service.servers.flatMap((server) => [
        `  ${formatEndpoint(server).padEnd(22)} ${server.up ? 'up  ' : 'down'} weight ${server.weight}` +
          (server.drained ? ' drained' : '') +
          (server.checks.length === 0 ? '  not checked' : ''),
        ...server.checks.map(
          ({ type, up, detail }) =>
            `    ${type.padEnd(12)} ${up ? 'up  ' : 'down'} ${detail ?? 'has not run yet'}`,
        ),
      ]),
    ])
    .join('\n');
}
