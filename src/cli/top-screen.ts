/** What `sluice top` shows: two looks at a director, and the difference a second. Pure. */
import type {
  DropsReport,
  PortReport,
  ServerReport,
  ServiceReport,
  StatusReport,
} from '../api/types.js';
import { formatEndpoint } from '../config/address.js';
import { formatEnd } from '../config/marks.js';
import { table } from './format.js';

export interface Look {
  /** Milliseconds of a monotonic clock. */
  at: number;
  services: ServiceReport[];
  ports: PortReport[];
  drops: DropsReport;
  status: StatusReport;
}

export const ORDERS = ['connections', 'packets', 'bits', 'name'] as const;
export type Order = (typeof ORDERS)[number];

export interface Screen {
  columns: number;
  rows: number;
  order: Order;
}

const HEAD = ['Service, server', 'How', 'Weight', 'Active', 'Inact'].concat([
  'conn/s',
  'in pkt/s',
  'out pkt/s',
  'in bit/s',
  'out bit/s',
]);
const FIRST_FIGURE = 3;

const COUNTED = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'] as const;
type Counted = Record<(typeof COUNTED)[number], number>;
type Keyed<T> = T & { key: string };

/** A second; what was not there before, or has been set back, counts nothing yet. */
function rates(now: Counted, before: Counted | undefined, seconds: number): Counted {
  const rate = (name: keyof Counted) =>
    before ? Math.max(0, now[name] - before[name]) / seconds : 0;
  return Object.fromEntries(COUNTED.map((name) => [name, rate(name)])) as Counted;
}

const serviceKey = ({ protocol, address, port }: ServiceReport) => `${protocol} ${address} ${port}`;

function serversOf(look: Look): Map<string, Keyed<ServerReport>> {
  return new Map(
    look.services.flatMap((service) =>
      service.servers.map((server): [string, Keyed<ServerReport>] => {
        const key = `${serviceKey(service)} ${server.address} ${server.port}`;
        return [key, { ...server, key }];
      }),
    ),
  );
}

export function screen(before: Look, now: Look, { columns, rows, order }: Screen): string {
  const seconds = Math.max((now.at - before.at) / 1_000, 0.001);
  const head = [...summary(before, now, seconds), ''];
  const drops = dropLines(before, now, seconds);
  const tail = drops.length === 0 ? [] : ['', ...drops];
  const body = serviceLines(before, now, seconds, order);
  const room = Math.max(rows - head.length - tail.length, 3);
  const shown =
    body.length <= room
      ? body
      : [...body.slice(0, room - 1), `… ${body.length - room + 1} more lines`];
  return [...head, ...shown, ...tail].map((line) => line.slice(0, columns)).join('\n');
}

function summary(before: Look, now: Look, seconds: number): string[] {
  const { status } = now;
  const port = (look: Look, name: keyof PortReport) =>
    look.ports.reduce((sum, one) => sum + (one[name] as number), 0);
  const perSecond = (name: keyof PortReport) =>
    Math.max(0, port(now, name) - port(before, name)) / seconds;
  const stalled = status.workers.filter(({ lagUs }) => lagUs > 100_000);
  const workers = status.workers.length === 1 ? '1 worker' : `${status.workers.length} workers`;
  const lines = [
    `${status.name}  up ${duration(status.uptimeSeconds)}  generation ${status.generation}  ${workers}` +
      (stalled.length > 0 ? `, stalled: CPU ${stalled.map(({ cpu }) => cpu).join(', ')}` : ''),
    `in ${figure(perSecond('rxPackets'))} pkt/s ${figure(8 * perSecond('rxBytes'))}bit/s   ` +
      `out ${figure(perSecond('txPackets'))} pkt/s ${figure(8 * perSecond('txBytes'))}bit/s   ` +
      `connections ${status.connections} of ${status.maxConnections}`,
    `busy ${status.workers.map(({ cpu, load }) => `${load} % (CPU ${cpu})`).join(', ')}`,
    ...status.alerts.map(({ code, message }) => `alert: ${message} [${code}]`),
  ];
  return lines;
}

function serviceLines(before: Look, now: Look, seconds: number, order: Order): string[] {
  const earlier = new Map(before.services.map((service) => [serviceKey(service), service]));
  const earlierServers = serversOf(before);
  const services = now.services.map((service) => ({
    service,
    rate: rates(service, earlier.get(serviceKey(service)), seconds),
  }));
  services.sort((a, b) => weigh(b.rate, order) - weigh(a.rate, order));
  if (order === 'name') {
    services.sort((a, b) => a.service.name.localeCompare(b.service.name));
  }
  const rowsOf = services.flatMap(({ service, rate }) => [
    [
      `${service.name} ${service.protocol} ${formatEnd(service.protocol, service)}`,
      service.scheduler,
      '',
      '',
      '',
    ].concat(rateCells(rate)),
    ...service.servers.map((server) => {
      const key = `${serviceKey(service)} ${server.address} ${server.port}`;
      return [
        `  ${formatEndpoint(server)}`,
        server.forward,
        `${server.weight}${server.up ? '' : ' down'}`,
        `${server.active}`,
        `${server.inactive}`,
        ...rateCells(rates(server, earlierServers.get(key), seconds)),
      ];
    }),
  ]);
  return table(undefined, alignRight([HEAD, ...rowsOf], FIRST_FIGURE)).split('\n');
}

/** Figures under one another by their last digit, whatever their unit. */
function alignRight(rows: string[][], from: number): string[][] {
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, column) => (column < from ? cell : cell.padStart(widths[column] ?? 0))),
  );
}

function rateCells(rate: Counted): string[] {
  return [
    figure(rate.conns),
    figure(rate.inPkts),
    figure(rate.outPkts),
    figure(8 * rate.inBytes),
    figure(8 * rate.outBytes),
  ];
}

function weigh(rate: Counted, order: Order): number {
  if (order === 'connections') return rate.conns;
  return order === 'packets' ? rate.inPkts + rate.outPkts : rate.inBytes + rate.outBytes;
}

/** What is being lost right now, the most first. */
function dropLines(before: Look, now: Look, seconds: number): string[] {
  const earlier = new Map(before.drops.ends.map(({ name, count }) => [name, count]));
  const lost = now.drops.ends
    .filter(({ kind }) => kind === 'dropped')
    .map(({ name, count, help }) => ({
      name,
      help,
      rate: (count - (earlier.get(name) ?? 0)) / seconds,
    }))
    .filter(({ rate }) => rate > 0)
    .sort((a, b) => b.rate - a.rate);
  return lost.map(({ name, rate, help }) => `dropped ${figure(rate)} pkt/s  ${name}: ${help}`);
}

/** Three digits and a letter: 0, 12.3, 456, 7.89K … */
export function figure(value: number): string {
  if (value === 0) return '0';
  const letters = ['', 'K', 'M', 'G', 'T'];
  let scale = 0;
  let rest = value;
  while (rest >= 999.5 && scale < letters.length - 1) {
    rest /= 1_000;
    scale++;
  }
  const digits = rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${rest.toFixed(digits)}${letters[scale]}`;
}

function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const clock = new Date((seconds % 86_400) * 1_000).toISOString().slice(11, 19);
  return days > 0 ? `${days} d ${clock}` : clock;
}
