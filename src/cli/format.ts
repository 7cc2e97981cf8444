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
import { editLines } from '../changes/words.js';
import { formatEndpoint } from '../config/address.js';
import { formatListing, type Shape, title } from '../ipvsadm/format.js';

/** `ipvsadm -Ln` and its variants; the size is that of our connection tables. */
export function formatServices(
  services: ServiceReport[],
  status: { version: string; maxConnections: number },
  shape: Shape = 'plain',
  exact = false,
): string {
  const remark = ({ up, drained }: ServerReport) => {
    if (shape !== 'plain') return '';
    return `${drained ? ' drained' : ''}${up ? '' : ' down'}`;
  };
  return formatListing(services, { shape, exact, title: title(status), remark });
}

/** What `sluice show` says beside a listing when the running state is not what its file says. */
export function editsNote({ edits, config }: StatusReport): string | undefined {
  if (edits.length === 0) return undefined;
  const places = edits.length === 1 ? 'one place' : `${edits.length} places`;
  return `the running state differs from ${config} in ${places}; sluice diff shows them`;
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
    .filter(([name, count]) => all || (/^evicted_|_denied$/.test(name) && count > 0))
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
    .map(({ cpu, lagUs, load }, index) => {
      const stalled = lagUs > 100_000 ? ', stalled' : '';
      return `${index} on CPU ${cpu} (busy ${load} %${stalled})`;
    })
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
    ['Edited since', status.edits.length === 0 ? 'no' : editLines(status.edits, 3).join('; ')],
    ['Control socket', status.socket],
    ['Workers', workers],
    ['Connections', `${status.connections} of ${status.maxConnections}`],
    ...alertRows(status),
    ['Counters', status.counters === 'live' ? 'read in place' : 'read by copying'],
    ['Last reload', reload],
  ]);
}

function alertRows({ alerts }: StatusReport): string[][] {
  if (alerts.length === 0) return [['Alerts', 'none']];
  return alerts.map(({ code, message, since }, index) => [
    index === 0 ? 'Alerts' : '',
    `${message} [${code}], since ${since}`,
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
