// Virtual services as the scenarios write them, and as ipvsadm commands.

import type { Tunnel } from '../../src/config/tunnel.js';
import type { Scheduler } from '../../src/native.js';
import { type ServerName, serverAddress, serverAddress6 } from './topology.js';

export type OracleMode = 'nat' | 'dr' | 'tun';
export type OracleScheduler = Scheduler;

export interface Server {
  name: ServerName;
  /** The service's own port unless told; only NAT may map it. */
  port?: number;
  weight?: number;
}
export interface Service {
  mode: OracleMode;
  protocol: 'tcp' | 'udp' | 'sctp';
  port: number;
  /** Of mode tun; IPIP without. */
  tunnel?: Tunnel | undefined;
  scheduler?: OracleScheduler;
  /** sh and mh. */
  schedulePort?: boolean;
  scheduleFallback?: boolean;
  onePacket?: boolean;
  /** Seconds, and a netmask if it isn't each client by itself. */
  persistence?: { timeout: number; netmask?: string; engine?: 'sip' };
  servers: Server[];
  /** Of a scenario in IPv6. */
  six?: true;
}

/** ipvsadm's option for a service of the protocol. */
export const SERVICES = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const;

const forwarding: Record<OracleMode, string> = { nat: '-m', dr: '-g', tun: '-i' };

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export const endpoint = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

export const endpointOf = ({ six, port }: Service, server: Server) =>
  endpoint((six ? serverAddress6 : serverAddress)(server.name), server.port ?? port);

const id = (service: Service) => `${service.protocol} ${service.port}`;

/** Lines for `ipvsadm -R` that lead from one state of a virtual address to another. */
export function ipvsadm(vip: string, before: Service[], after: Service[]): string[] {
  const lines: string[] = [];
  const words = (service: Service) =>
    `${SERVICES[service.protocol]} ${endpoint(vip, service.port)}`;
  const old = new Map(before.map((service) => [id(service), service]));
  const wanted = new Map(after.map((service) => [id(service), service]));
  for (const service of before) {
    if (!wanted.has(id(service))) lines.push(`-D ${words(service)}`);
  }
  for (const service of after) {
    const was = old.get(id(service));
    if (!was) lines.push(`-A ${words(service)} ${schedulerWords(service)}`);
    else if (schedulerWords(was) !== schedulerWords(service)) {
      lines.push(`-E ${words(service)} ${schedulerWords(service)}`);
    }
    const gone = new Map(
      (was?.servers ?? []).map((server) => [endpointOf(service, server), server]),
    );
    const added: string[] = [];
    for (const server of service.servers) {
      const at = endpointOf(service, server);
      const known = gone.get(at);
      gone.delete(at);
      if (known && known.weight === server.weight && was?.tunnel === service.tunnel) continue;
      const method = `${forwarding[service.mode]}${tunnelWords(service.tunnel)}`;
      const rest = `-r ${at} ${method} -w ${server.weight ?? 1}`;
      added.push(`${known ? '-e' : '-a'} ${words(service)} ${rest}`);
    }
    for (const at of gone.keys()) lines.push(`-d ${words(service)} -r ${at}`);
    lines.push(...added);
  }
  return lines;
}

function tunnelWords(tunnel: Tunnel | undefined): string {
  if (!tunnel) return '';
  const { type, port, checksum } = tunnel;
  return ` --tun-type ${type}${port === 0 ? '' : ` --tun-port ${port}`} --tun-${checksum}`;
}

function schedulerWords(service: Service): string {
  const scheduler = service.scheduler ?? 'rr';
  const flags = [
    service.schedulePort ? `${scheduler}-port` : '',
    service.scheduleFallback ? `${scheduler}-fallback` : '',
  ].filter(Boolean);
  const flagWords = flags.length > 0 ? ` -b ${flags.join(',')}` : '';
  const { persistence } = service;
  const mask = persistence?.netmask ? ` -M ${persistence.netmask}` : '';
  const engine = persistence?.engine ? ` --pe ${persistence.engine}` : '';
  const keeps = persistence ? ` -p ${persistence.timeout}${mask}${engine}` : '';
  return `-s ${scheduler}${flagWords}${keeps}${service.onePacket ? ' -o' : ''}`;
}
