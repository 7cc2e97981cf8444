// The services most scenarios use.

import type { OracleMode, Server, Service } from '../services.js';

export const MODES: OracleMode[] = ['nat', 'dr', 'tun'];

/** TCP 80 and UDP 53 on the same servers; NAT maps the ports to 8080 and 5353. */
export function web(mode: OracleMode, more: Partial<Service> = {}): Service[] {
  const servers: Server[] = more.servers ?? [{ name: 'A' }];
  const mapped = (port: number) =>
    servers.map((server) => ({ ...server, ...(mode === 'nat' ? { port } : {}) }));
  return [
    { mode, protocol: 'tcp', port: 80, ...more, servers: mapped(8080) },
    { mode, protocol: 'udp', port: 53, ...more, servers: mapped(5353) },
  ];
}

export const range = (count: number, first = 1) =>
  Array.from({ length: count }, (_, index) => first + index);
