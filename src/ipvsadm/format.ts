/** Listings, to the column as ipvsadm prints them. */
import type { ConnectionReport, Rates, ServerReport, ServiceReport } from '../api/types.js';
import type { ClientReport } from '../clients.js';
import { formatEndpoint, isSix, toBytes } from '../config/address.js';
import { formatEnd } from '../config/marks.js';
import { tunnelText } from '../config/tunnel.js';
import type { ServiceFigures } from '../stats/counters.js';
import { otherFlags, schedulingFlags } from '../stats/flags.js';
import type { Named, Names } from './names.js';

export type Shape = 'plain' | 'stats' | 'rate' | 'thresholds' | 'persistent' | 'tunnel';

export interface ListingOptions {
  /** Persistence templates by server slot, for the shape that shows them. */
  templates?: ReadonlyMap<number, number>;
  shape: Shape;
  /** Whole numbers, also from 100 million on. */
  exact?: boolean | undefined;
  /** undefined: addresses and ports stay numbers. */
  names?: Names | undefined;
  /** The first line; a listing of one service has none. */
  title?: string | undefined;
  /** After each server's line, where there is more to say than ipvsadm does. */
  remark?: ((server: ServerReport) => string) | undefined;
}

const HEADERS: Record<Shape, readonly [string, string]> = {
  plain: [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ],
  stats: [
    'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
    '  -> RemoteAddress:Port',
  ],
  rate: [
    'Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS',
    '  -> RemoteAddress:Port',
  ],
  thresholds: [
    'Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn ',
    '  -> RemoteAddress:Port',
  ],
  persistent: [
    'Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn ',
    '  -> RemoteAddress:Port',
  ],
  tunnel: [
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn',
  ],
};

export function title(status: { version: string; maxConnections: number }): string {
  return `IP Virtual Server version ${status.version} (size=${status.maxConnections})`;
}

/** What ipvsadm does not print: each client by itself. */
const isUsual = (netmask: string) => netmask === '255.255.255.255' || netmask === '128';

export function formatListing(services: readonly ServiceReport[], options: ListingOptions): string {
  const { shape, names, exact = false, templates = new Map() } = options;
  const lines = [...(options.title === undefined ? [] : [options.title]), ...HEADERS[shape]];
  const figures =
    shape === 'stats' ? statistics : shape === 'rate' ? (one: Counted) => rates(one.rates) : null;
  const columns = (one: Counted) =>
    figures?.(one)
      .map((value) => scaled(value, exact).padStart(9))
      .join('') ?? '';
  for (const service of services) {
    const { protocol } = service;
    const name = serviceName(service, names);
    if (figures) lines.push(name.padEnd(33) + columns(service));
    else lines.push([name, service.scheduler, ...serviceWords(service)].join(' '));
    for (const server of service.servers) {
      const start = `  -> ${end(server, protocol, names).padEnd(28)}`;
      const rest = figures ? columns(server) : ` ${details(server, shape, templates)}`;
      lines.push(`${start}${rest}${options.remark?.(server) ?? ''}`);
    }
  }
  return lines.join('\n');
}

function serviceName(service: ServiceReport, names: Names | undefined): string {
  const { protocol } = service;
  if (protocol === 'fwmark') return `FWM  ${formatEnd(protocol, service)}`;
  return `${protocol.toUpperCase().padEnd(4)} ${end(service, protocol, names)}`;
}

type Counted = ServiceFigures & { rates: Rates };

function statistics({ conns, inPkts, outPkts, inBytes, outBytes }: Counted): number[] {
  return [conns, inPkts, outPkts, inBytes, outBytes];
}

function rates({ cps, inPps, outPps, inBps, outBps }: Rates): number[] {
  return [cps, inPps, outPps, inBps, outBps];
}

function details(
  server: ServerReport,
  shape: Shape,
  templates: ReadonlyMap<number, number>,
): string {
  const { forward, tunnel, weight, active, inactive, upperThreshold, lowerThreshold } = server;
  const fields: Partial<Record<Shape, [value: string | number, width: number][]>> = {
    plain: [
      [forward, 7],
      [weight, 6],
    ],
    thresholds: [
      [upperThreshold, 10],
      [lowerThreshold, 10],
    ],
    persistent: [
      [weight, 9],
      [templates.get(server.slot) ?? 0, 11],
    ],
    tunnel: [
      [forward, 7],
      [tunnel ? tunnelText(tunnel) : 'n/a', 13],
      [weight, 6],
    ],
  };
  return [...(fields[shape] ?? []), [active, 10], [inactive, 10]]
    .map(([value, width]) => String(value).padEnd(width as number))
    .join(' ');
}

/** `sh (sh-fallback,sh-port) persistent 300 mask 255.255.255.0 ops synproxy`, after the scheduler. */
function serviceWords({ flags, persistence }: ServiceReport): string[] {
  const scheduling = schedulingFlags(flags);
  return [
    ...(scheduling.length > 0 ? [`(${scheduling.join(',')})`] : []),
    ...(persistence ? [`persistent ${persistence.timeoutS}`] : []),
    ...(persistence && !isUsual(persistence.netmask) ? [`mask ${persistence.netmask}`] : []),
    ...(persistence?.engine ? [`pe ${persistence.engine}`] : []),
    ...otherFlags(flags),
  ];
}

export function end(
  { address, port }: { address: string; port: number },
  protocol: Named,
  names: Names | undefined,
): string {
  if (!names) return formatEndpoint({ address, port });
  const host = names.hostName(address);
  return `${isSix(host) ? `[${host}]` : host}:${names.portName(port, protocol)}`;
}

/** Whole numbers up to 99999999, then in K, M, G or T. */
export function scaled(value: number, exact: boolean): string {
  if (value < 1e8) return `${value}`;
  if (exact) return ` ${value}`;
  const steps: [limit: number, unit: number, letter: string][] = [
    [1e9, 1e3, 'K'],
    [1e11, 1e6, 'M'],
    [1e14, 1e9, 'G'],
  ];
  const [, unit, letter] = steps.find(([limit]) => value < limit) ?? [0, 1e12, 'T'];
  return `${Math.floor(value / unit)}${letter}`;
}

/**
 * Services by protocol, address and port, then those for marks by these; servers by address and port. ipvsadm compares addresses
 * as signed differences, so that those in the upper half may come before those in the lower.
 */
export function sorted(services: readonly ServiceReport[]): ServiceReport[] {
  const numbers = { tcp: 6, udp: 17, sctp: 132 };
  const byEnd = (a: { address: string; port: number }, b: { address: string; port: number }) =>
    byAddress(a.address, b.address) || a.port - b.port;
  return services
    .map((service) => ({ ...service, servers: [...service.servers].sort(byEnd) }))
    .sort((a, b) => {
      if (a.protocol === 'fwmark' || b.protocol === 'fwmark') {
        const markOf = ({ protocol, port }: ServiceReport) => (protocol === 'fwmark' ? port : 0);
        return markOf(a) - markOf(b) || byEnd(a, b);
      }
      return numbers[a.protocol] - numbers[b.protocol] || byEnd(a, b);
    });
}

/** IPv4 before IPv6, which is in the order of its bytes. */
function byAddress(a: string, b: string): number {
  if (isSix(a) && isSix(b)) return Buffer.compare(toBytes(a), toBytes(b));
  if (isSix(a) || isSix(b)) return isSix(a) ? 1 : -1;
  return (value(a) - value(b)) | 0;
}

function value(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export const CONNECTION_HEADER =
  'IPVS connection entries\npro expire state       source             virtual            destination';

export function connectionHeader(persistence: boolean): string {
  return persistence ? `${CONNECTION_HEADER}        pe name          pe_data` : CONNECTION_HEADER;
}

/** `persistence`: with what a template's engine knows, where there is one. */
export function connectionLine(
  connection: ConnectionReport,
  names?: Names,
  persistence = false,
): string {
  const { protocol, state, client, clientPort, virtual, virtualPort } = connection;
  const at = (address: string, port: number) => end({ address, port }, protocol, names);
  const left = Math.max(0, Math.floor((connection.timeoutMs - connection.idleMs) / 1000));
  const two = (number: number) => String(number).padStart(2, '0');
  const server = at(connection.server, connection.serverPort);
  const { engine, engineData } = connection;
  return [
    protocol.toUpperCase().padEnd(3),
    `${two(Math.floor(left / 60))}:${two(left % 60)}`.padEnd(6),
    state.padEnd(11),
    at(client, clientPort).padEnd(18),
    at(virtual, virtualPort).padEnd(18),
    ...(persistence && engine ? [server.padEnd(16), engine.padEnd(18), engineData] : [server]),
  ].join(' ');
}

/** The lines that `ipvsadm -R` makes the same services of. */
export function savedLines(
  services: readonly ServiceReport[],
  names?: Names,
  clients: readonly ClientReport[] = [],
): string[] {
  const lists = new Map<string, ClientReport[]>();
  for (const one of clients) {
    const known = lists.get(one.service);
    if (known) known.push(one);
    else lists.set(one.service, [one]);
  }
  return services.flatMap((service) => {
    const { persistence } = service;
    const address = savedAddress(service, names);
    const flags = schedulingFlags(service.flags);
    const words = [
      `-A ${address} -s ${service.scheduler}`,
      ...(persistence ? [`-p ${persistence.timeoutS}`] : []),
      ...(persistence && !isUsual(persistence.netmask) ? [`-M ${persistence.netmask}`] : []),
      ...(persistence?.engine ? [`--pe ${persistence.engine}`] : []),
      ...(service.flags.includes('ops') ? ['-o'] : []),
      ...(service.flags.includes('synproxy') ? ['-j enable'] : []),
      ...(flags.length > 0 ? [`-b ${flags.join(',')}`] : []),
    ];
    return [
      words.join(' '),
      ...service.localAddresses.map((local) => `-P ${address} -z ${local}`),
      ...(lists.get(service.name) ?? []).map(({ list, client }) =>
        list === 'deny' ? `-U ${address} -k ${client}` : `-O ${address} -2 ${client}`,
      ),
      ...service.servers.map((server) => {
        const { weight, upperThreshold: upper, lowerThreshold: lower } = server;
        const forward = `${METHODS[server.mode]} -w ${weight}`;
        const thresholds = `${upper > 0 ? ` -x ${upper}` : ''}${lower > 0 ? ` -y ${lower}` : ''}`;
        const real = end(server, service.protocol, names);
        return `-a ${address} -r ${real} ${forward}${thresholds}${tunnelWords(server.tunnel)}`;
      }),
    ];
  });
}

function tunnelWords(tunnel: ServerReport['tunnel']): string {
  if (!tunnel) return '';
  const { type, port, checksum } = tunnel;
  const rest = type === 'ipip' ? '' : ` --tun-${checksum}`;
  return ` --tun-type ${type}${type === 'gue' ? ` --tun-port ${port}` : ''}${rest}`;
}

function savedAddress(service: ServiceReport, names: Names | undefined): string {
  const { protocol, address, port } = service;
  if (protocol === 'fwmark') return `-f ${port}${isSix(address) ? ' -6' : ''}`;
  return `${SAVED[protocol]} ${end(service, protocol, names)}`;
}

const SAVED = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const;
const METHODS: Record<ServerReport['mode'], string> = {
  nat: '-m',
  dr: '-g',
  tun: '-i',
  fullnat: '-b',
  enat: '--enat',
};
