/** Listings as text. Services and connections have ipvsadm's columns, so that its users (and
 * their scripts) read them; what ipvsadm does not know comes after its columns. */
import type {
  ConnectionReport,
  DropsReport,
  PortReport,
  ServerReport,
  ServiceReport,
  StatusReport,
} from '../api/types.js';
import { formatEndpoint } from '../config/address.js';
import type { ServiceFigures } from '../stats/counters.js';

function serviceTitle({ protocol, address, port }: ServiceReport): string {
  return `${protocol.toUpperCase().padEnd(4)} ${formatEndpoint({ address, port })}`;
}

function serverTitle({ address, port }: ServerReport): string {
  return `  -> ${formatEndpoint({ address, port }).padEnd(28)}`;
}

/** `ipvsadm -Ln`; the size is that of our connection tables. */
export function formatServices(
  services: ServiceReport[],
  status: { version: string; maxConnections: number },
): string {
  const lines = [
    `IP Virtual Server version ${status.version} (size=${status.maxConnections})`,
    'Prot LocalAddress:Port Scheduler Flags',
    '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
  ];
  for (const service of services) {
    lines.push([serviceTitle(service), service.scheduler, flagText(service)].join(' ').trimEnd());
    for (const server of service.servers) {
      const { forward, weight, active, inactive } = server;
      lines.push(
        `${serverTitle(server)} ${forward.padEnd(7)} ${pad(weight, 6)} ${pad(active, 10)} ` +
          `${pad(inactive, 10)}${server.up ? '' : ' down'}`,
      );
    }
  }
  return lines.join('\n');
}

function flagText({ flags }: ServiceReport): string {
  const scheduling = flags.filter((flag) => flag !== 'ops');
  return [
    ...(scheduling.length > 0 ? [`(${scheduling.join(',')})`] : []),
    ...(flags.includes('ops') ? ['ops'] : []),
  ].join(' ');
}

function pad(value: number, width: number): string {
  return String(value).padEnd(width);
}

/** `ipvsadm -Ln --stats`. */
export function formatStatistics(services: ServiceReport[], exact: boolean): string {
  const columns = ({ conns, inPkts, outPkts, inBytes, outBytes }: ServiceFigures) =>
    [conns, inPkts, outPkts, inBytes, outBytes]
      .map((value) => scaled(value, exact).padStart(9))
      .join('');
  const lines = [
    'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
    '  -> RemoteAddress:Port',
  ];
  for (const service of services) {
    lines.push(serviceTitle(service).padEnd(33) + columns(service));
    for (const server of service.servers) lines.push(serverTitle(server) + columns(server));
  }
  return lines.join('\n');
}

/** Whole numbers up to 99999999, then in K, M, G or T. */
export function scaled(value: number, exact: boolean): string {
  if (exact || value < 100_000_000) return exact && value >= 100_000_000 ? ` ${value}` : `${value}`;
  const steps: [limit: number, unit: number, letter: string][] = [
    [1e10, 1e3, 'K'],
    [1e13, 1e6, 'M'],
    [1e16, 1e9, 'G'],
  ];
  const [, unit, letter] = steps.find(([limit]) => value < limit) ?? [0, 1e12, 'T'];
  return `${Math.floor(value / unit)}${letter}`;
}

export const CONNECTION_HEADER =
  'IPVS connection entries\n' +
  'pro expire state       source             virtual            destination        local';

/** `ipvsadm -Lnc`, and the local address of FullNAT and ENAT after it. */
export function connectionLine(connection: ConnectionReport): string {
  const { protocol, state, client, clientPort, virtual, virtualPort } = connection;
  const end = (address: string, port: number) => formatEndpoint({ address, port }).padEnd(18);
  const left = Math.max(0, Math.round((connection.timeoutMs - connection.idleMs) / 1000));
  const expire = `${two(Math.floor(left / 60))}:${two(left % 60)}`;
  const local =
    connection.local === '' ? '' : end(connection.local, connection.localPort).trimEnd();
  return [
    protocol.toUpperCase().padEnd(3),
    expire.padEnd(6),
    state.padEnd(11),
    end(client, clientPort),
    end(virtual, virtualPort),
    end(connection.server, connection.serverPort),
    local,
  ]
    .join(' ')
    .trimEnd();
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

export function formatPorts(ports: PortReport[]): string {
  return table(
    ['Port', 'State', 'MAC', 'MTU', 'Twin', 'RxPkts', 'TxPkts', 'Missed', 'TxErr', 'Addresses'],
    ports.map((port) => [
      port.name,
      port.up ? 'up' : 'down',
      port.mac,
      `${port.mtu}`,
      port.twin || '-',
      `${port.rxPackets}`,
      `${port.txPackets}`,
      `${port.rxMissed + port.rxNoMbuf}`,
      `${port.txErrors}`,
      port.addresses.join(' ') || '-',
    ]),
  );
}

export function formatDrops({ ends, extra }: DropsReport, all: boolean): string {
  const shown = ends.filter(({ kind, count }) => all || (kind === 'dropped' && count > 0));
  const rows = shown.map(({ name, kind, count, help }) => [name, kind, `${count}`, help]);
  // A connection that gave way is a loss as well, though no packet's.
  const others = Object.entries(extra)
    .filter(([name, count]) => all || (name.startsWith('evicted_') && count > 0))
    .map(([name, count]) => [name, `${count}`]);
  const main =
    rows.length === 0
      ? 'nothing has been dropped'
      : table(['Reason', 'Kind', 'Packets', 'Meaning'], rows);
  if (others.length === 0) return main;
  return `${main}\n\n${table(['Also counted', 'Count'], others)}`;
}

export function formatStatus(status: StatusReport): string {
  const workers = status.workers
    .map(({ cpu, lagUs }, index) => `${index} on CPU ${cpu}${lagUs > 100_000 ? ' (stalled)' : ''}`)
    .join(', ');
  const reload = status.lastReload
    ? `${status.lastReload.at} ${status.lastReload.ok ? 'done' : 'refused'}: ${status.lastReload.summary}`
    : 'none since the start';
  return table(undefined, [
    [
      'Director',
      `${status.name}, ${status.status}, pid ${status.pid}, up ${status.uptimeSeconds} s`,
    ],
    ['Version', `Sluice ${status.version}, ${status.dpdk}`],
    ['Configuration', `${status.config}, generation ${status.generation}`],
    ['Control socket', status.socket],
    ['Workers', workers],
    ['Connections', `${status.connections} of ${status.maxConnections}`],
    ['Counters', status.counters === 'live' ? 'read in place' : 'read by copying'],
    ['Last reload', reload],
  ]);
}

/** Left-aligned columns, figures right-aligned; the last column is as wide as it likes. */
export function table(head: string[] | undefined, rows: string[][]): string {
  const all = head ? [head, ...rows] : rows;
  const widths = (all[0] ?? []).map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  const numeric = widths.map((_, column) =>
    rows.length > 0 ? rows.every((row) => /^[\d.,]+$/.test(row[column] ?? '')) : false,
  );
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
