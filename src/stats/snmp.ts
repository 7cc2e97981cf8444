/**
 * Services and servers as keepalived's MIB (KEEPALIVED-MIB, virtualServerTable and realServerTable)
 * has them, and snmpd's pass_persist protocol (snmpd.conf(5)) to ask for them. Columns that only
 * keepalived has a value for are left out: a walk goes by them.
 */
import type { ServerReport, ServiceReport, StatusReport } from '../api/types.js';
import { isIPv4, toBytes } from '../config/address.js';

/** 1.3.6.1.4.1.9586 is Debian's, its project 5 keepalived. */
export const ROOT = '.1.3.6.1.4.1.9586.100.5';
const [VERSION, SERVICES, SERVERS] = ['1.1.0', '3.3.1', '3.4.1'];

/** As pass_persist names them; the MIB's Unsigned32 is a gauge on the wire (RFC 2578 section 7.1.11). */
type Type = 'integer' | 'gauge' | 'counter' | 'counter64' | 'string' | 'octet';

export interface Column<Row> {
  number: number;
  /** The MIB's. */
  name: string;
  type: Type;
  /** undefined: the row has none. */
  value(row: Row): number | string | undefined;
}

const truth = (value: boolean) => (value ? 1 : 2);
const whole = (value: number) => Math.round(Math.max(0, value));
const familyOf = (address: string) => (isIPv4(toBytes(address)) ? IPV4 : IPV6);
function hex(address: string): string {
  const bytes = toBytes(address);
  const own = isIPv4(bytes) ? bytes.subarray(12) : bytes;
  return [...own].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
const index = (names: readonly string[], name: string) => {
  const at = names.indexOf(name);
  return at < 0 ? undefined : at + 1;
};
const KINDS = ['nat', 'dr', 'tun'];
const PROTOCOLS = ['tcp', 'udp', 'sctp'];
const SCHEDULERS = 'rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos'.split(' ');
/** InetAddressType (RFC 4001). */
const [IPV4, IPV6] = [1, 2];

type Counted = Pick<
  ServiceReport,
  'conns' | 'inPkts' | 'outPkts' | 'inBytes' | 'outBytes' | 'rates'
>;

/** Both tables have them, from different numbers on. */
function figures<Row extends Counted>(
  prefix: 'virtualServer' | 'realServer',
  numbers: { conns: number; inPkts: number; rates: number; wide: number },
): Column<Row>[] {
  const column = (
    number: number,
    name: string,
    type: Type,
    value: (row: Row) => number,
  ): Column<Row> => ({ number, name: `${prefix}${name}`, type, value: (row) => whole(value(row)) });
  const { conns, inPkts, rates, wide } = numbers;
  return [
    column(conns, 'StatsConns', 'gauge', (row) => row.conns),
    column(inPkts, 'StatsInPkts', 'counter', (row) => row.inPkts),
    column(inPkts + 1, 'StatsOutPkts', 'counter', (row) => row.outPkts),
    column(inPkts + 2, 'StatsInBytes', 'counter64', (row) => row.inBytes),
    column(inPkts + 3, 'StatsOutBytes', 'counter64', (row) => row.outBytes),
    column(rates, 'RateCps', 'gauge', (row) => row.rates.cps),
    column(rates + 1, 'RateInPPS', 'gauge', (row) => row.rates.inPps),
    column(rates + 2, 'RateOutPPS', 'gauge', (row) => row.rates.outPps),
    column(rates + 3, 'RateInBPS', 'gauge', (row) => row.rates.inBps),
    column(rates + 4, 'RateOutBPS', 'gauge', (row) => row.rates.outBps),
    column(wide, 'StatsConns64', 'counter64', (row) => row.conns),
    column(wide + 1, 'StatsInPkts64', 'counter64', (row) => row.inPkts),
    column(wide + 2, 'StatsOutPkts64', 'counter64', (row) => row.outPkts),
  ];
}

/** virtualServerType. */
const FWMARK = 1;
const IP = 2;
export const SERVICE_COLUMNS: readonly Column<ServiceReport>[] = [
  {
    number: 2,
    name: 'virtualServerType',
    type: 'integer',
    value: ({ protocol }) => (protocol === 'fwmark' ? FWMARK : IP),
  },
  {
    number: 4,
    name: 'virtualServerFwMark',
    type: 'gauge',
    value: ({ protocol, port }) => (protocol === 'fwmark' ? port : undefined),
  },
  {
    number: 5,
    name: 'virtualServerAddrType',
    type: 'integer',
    value: ({ address }) => familyOf(address),
  },
  {
    number: 6,
    name: 'virtualServerAddress',
    type: 'octet',
    value: ({ protocol, address }) => (protocol === 'fwmark' ? undefined : hex(address)),
  },
  {
    number: 7,
    name: 'virtualServerPort',
    type: 'gauge',
    value: ({ protocol, port }) => (protocol === 'fwmark' ? undefined : port),
  },
  {
    number: 8,
    name: 'virtualServerProtocol',
    type: 'integer',
    value: ({ protocol }) => index(PROTOCOLS, protocol),
  },
  {
    number: 9,
    name: 'virtualServerLoadBalancingAlgo',
    type: 'integer',
    value: ({ scheduler }) => index(SCHEDULERS, scheduler) ?? 99,
  },
  {
    number: 10,
    name: 'virtualServerLoadBalancingKind',
    type: 'integer',
    // The MIB knows neither FullNAT nor ENAT.
    value: ({ servers }) => index(KINDS, servers[0]?.mode ?? ''),
  },
  {
    number: 11,
    name: 'virtualServerStatus',
    type: 'integer',
    value: ({ servers }) => truth(servers.some(({ up }) => up)),
  },
  {
    number: 13,
    name: 'virtualServerPersist',
    type: 'integer',
    value: ({ persistence }) => truth(persistence !== null),
  },
  {
    number: 14,
    name: 'virtualServerPersistTimeout',
    type: 'gauge',
    value: ({ persistence }) => persistence?.timeoutS,
  },
  {
    number: 15,
    name: 'virtualServerPersistGranularity',
    type: 'octet',
    value: ({ persistence }) =>
      persistence?.netmask.includes('.') ? hex(persistence.netmask) : undefined,
  },
  {
    number: 20,
    name: 'virtualServerRealServersTotal',
    type: 'gauge',
    value: ({ servers }) => servers.length,
  },
  {
    number: 21,
    name: 'virtualServerRealServersUp',
    type: 'gauge',
    value: ({ servers }) => servers.filter(({ up }) => up).length,
  },
  ...figures<ServiceReport>('virtualServer', { conns: 27, inPkts: 28, rates: 32, wide: 38 }),
  {
    number: 37,
    name: 'virtualServerOPS',
    type: 'integer',
    value: ({ flags }) => truth(flags.includes('ops')),
  },
  { number: 71, name: 'virtualServerName', type: 'string', value: ({ name }) => name },
];

const REGULAR = 1;
export const SERVER_COLUMNS: readonly Column<ServerReport>[] = [
  { number: 2, name: 'realServerType', type: 'integer', value: () => REGULAR },
  {
    number: 3,
    name: 'realServerAddrType',
    type: 'integer',
    value: ({ address }) => familyOf(address),
  },
  { number: 4, name: 'realServerAddress', type: 'octet', value: ({ address }) => hex(address) },
  { number: 5, name: 'realServerPort', type: 'gauge', value: ({ port }) => port },
  { number: 6, name: 'realServerStatus', type: 'integer', value: ({ up }) => truth(up) },
  { number: 7, name: 'realServerWeight', type: 'integer', value: ({ weight }) => weight },
  {
    number: 8,
    name: 'realServerUpperConnectionLimit',
    type: 'gauge',
    value: ({ upperThreshold }) => upperThreshold,
  },
  {
    number: 9,
    name: 'realServerLowerConnectionLimit',
    type: 'gauge',
    value: ({ lowerThreshold }) => lowerThreshold,
  },
  {
    number: 13,
    name: 'realServerFailedChecks',
    type: 'gauge',
    value: ({ checks }) => checks.filter(({ up }) => !up).length,
  },
  { number: 15, name: 'realServerStatsActiveConns', type: 'gauge', value: ({ active }) => active },
  {
    number: 16,
    name: 'realServerStatsInactiveConns',
    type: 'gauge',
    value: ({ inactive }) => inactive,
  },
  ...figures<ServerReport>('realServer', { conns: 14, inPkts: 18, rates: 22, wide: 27 }),
  {
    number: 40,
    name: 'realServerForwardingMethod',
    type: 'integer',
    value: ({ mode }) => index(KINDS, mode),
  },
];

export interface Instance {
  oid: string;
  type: Type;
  value: string;
}

/** All of it in SNMP's order. */
export function instances(
  services: readonly ServiceReport[],
  { version }: Pick<StatusReport, 'version'>,
): Instance[] {
  const found: Instance[] = [
    { oid: `${ROOT}.${VERSION}`, type: 'string', value: `Sluice ${version}` },
  ];
  const rows = services.map((row, at) => ({ row, id: `${at + 1}` }));
  add(found, SERVICES, SERVICE_COLUMNS, rows);
  const servers = services.flatMap(({ servers: list }, service) =>
    list.map((row, at) => ({ row, id: `${service + 1}.${at + 1}` })),
  );
  add(found, SERVERS, SERVER_COLUMNS, servers);
  return found;
}

const LARGEST = { gauge: 2 ** 32 - 1, integer: 2 ** 31 - 1 };

function shown(type: Type, value: number | string): string {
  if (typeof value === 'string') return value;
  if (type === 'counter') return String(value % 2 ** 32);
  return type === 'gauge' || type === 'integer'
    ? String(Math.min(value, LARGEST[type]))
    : BigInt(value).toString();
}

function add<Row>(
  found: Instance[],
  table: string,
  columns: readonly Column<Row>[],
  rows: { row: Row; id: string }[],
): void {
  for (const { number, type, value } of [...columns].sort((a, b) => a.number - b.number)) {
    for (const { row, id } of rows) {
      const one = value(row);
      if (one === undefined) continue;
      found.push({ oid: `${ROOT}.${table}.${number}.${id}`, type, value: shown(type, one) });
    }
  }
}

const NONE = 'NONE\n';

/** One answer of pass_persist; `ask` names what is wanted, `get` or `getnext`. */
export function answer(ask: string, oid: string, all: readonly Instance[]): string {
  const found =
    ask === 'get' ? all.find((one) => one.oid === oid) : all.find((one) => after(one.oid, oid));
  return found ? `${found.oid}\n${found.type}\n${found.value}\n` : NONE;
}

/** Whether `oid` comes after `other`, number by number. */
function after(oid: string, other: string): boolean {
  const [a, b] = [oid, other].map((text) => text.split('.').slice(1).map(Number)) as [
    number[],
    number[],
  ];
  for (let at = 0; at < a.length; at++) {
    const [x = 0, y] = [a[at], b[at]];
    if (y === undefined || x > y) return true;
    if (x < y) return false;
  }
  return false;
}
