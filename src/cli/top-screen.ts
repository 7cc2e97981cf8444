/**
 * What `sluice top` asks of a director, and what it shows of two looks. Pure. Of ports and losses it is
 * the difference a second; of services and servers the director's own rates, for of very many it
 * is told only those that the picture has room for, the busiest, and those may be others each time.
 */
import type { DropsReport, PortReport, Rates, ServiceReport, StatusReport } from '../api/types.js';
import { formatEndpoint } from '../config/address.js';
import { formatEnd } from '../config/marks.js';

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
  /** Services alone. */
  folded?: boolean;
}

/** Of the services; what is not said is as the API has it. */
export interface Asked {
  sort?: Order;
  lines?: number;
  servers?: number;
}

/** The first look is there for what is counted. */
export const NOTHING: Asked = { lines: 1, servers: 0 };

/** No more than there are rows for; the director sorts. */
export function asked({ order, rows, folded }: Screen): Asked {
  return {
    sort: order,
    ...(Number.isFinite(rows) && { lines: rows }),
    ...(folded && { servers: 0 }),
  };
}

type Column = [head: string, cell: (row: Row) => string];
const TO_NAME: Column = ['Service, server', ({ name }) => name];
const OF_SERVER: Column[] = [
  ['Weight', ({ weight }) => weight],
  ['Active', ({ active }) => active],
  ['Inact', ({ inactive }) => inactive],
  ['conn/s', ({ rate }) => figure(rate.cps)],
];
const WIDE: Column[] = [
  TO_NAME,
  ['How', ({ how }) => how],
  ...OF_SERVER,
  ['in pkt/s', ({ rate }) => figure(rate.inPps)],
  ['out pkt/s', ({ rate }) => figure(rate.outPps)],
  ['in bit/s', ({ rate }) => figure(8 * rate.inBps)],
  ['out bit/s', ({ rate }) => figure(8 * rate.outBps)],
];
/** For 80 columns: both directions together. */
const NARROW: Column[] = [
  TO_NAME,
  ...OF_SERVER,
  ['pkt/s', ({ rate }) => figure(rate.inPps + rate.outPps)],
  ['bit/s', ({ rate }) => figure(8 * (rate.inBps + rate.outBps))],
];
/** From here on cells are figures, but for the weight, which may have a word behind it. */
const FIRST_FIGURE = OF_SERVER[1]?.[0];
const SHORTEST_NAME = 20;

export function screen(before: Look, now: Look, wanted: Screen): string {
  const { columns, rows } = wanted;
  const seconds = Math.max((now.at - before.at) / 1_000, 0.001);
  const head = [...summary(before, now, seconds), ''];
  const drops = dropLines(before, now, seconds);
  const tail = drops.length === 0 ? [] : ['', ...drops];
  const body = fitted(serviceRows(now, wanted), columns);
  const room = Math.max(rows - head.length - tail.length, 3);
  const { services, servers } = now.status.totals;
  // And the line above them.
  const all = 1 + services + (wanted.folded ? 0 : servers);
  const some = body.slice(0, room - 1);
  const shown = all <= room ? body : [...some, `… ${all - some.length} more lines`];
  return [...head, ...shown, ...tail].map((line) => line.slice(0, columns)).join('\n');
}

function summary(before: Look, now: Look, seconds: number): string[] {
  const { status } = now;
  const port = (look: Look, name: keyof PortReport) =>
    look.ports.reduce((sum, one) => sum + (one[name] as number), 0);
  const perSecond = (name: keyof PortReport) =>
    Math.max(0, port(now, name) - port(before, name)) / seconds;
  const stalled = status.workers.filter(({ lagUs }) => lagUs > 100_000);
  const { totals } = status;
  const drained = totals.serversDrained > 0 ? `, ${totals.serversDrained} drained` : '';
  const workers = status.workers.length === 1 ? '1 worker' : `${status.workers.length} workers`;
  const lines = [
    `${status.name}  up ${duration(status.uptimeSeconds)}  generation ${status.generation}  ${workers}` +
      (stalled.length > 0 ? `, stalled: CPU ${stalled.map(({ cpu }) => cpu).join(', ')}` : ''),
    `in ${figure(perSecond('rxPackets'))} pkt/s ${figure(8 * perSecond('rxBytes'))}bit/s   ` +
      `out ${figure(perSecond('txPackets'))} pkt/s ${figure(8 * perSecond('txBytes'))}bit/s   ` +
      `connections ${status.connections} of ${status.maxConnections}`,
    `services ${totals.services}   servers ${totals.serversUp} of ${totals.servers} up${drained}   ` +
      `${figure(totals.rates.cps)} conn/s`,
    `busy ${status.workers.map(({ cpu, load }) => `${load} % (CPU ${cpu})`).join(', ')}`,
    ...status.alerts.map(({ code, message }) => `alert: ${message} [${code}]`),
  ];
  return lines;
}

interface Row {
  name: string;
  how: string;
  weight: string;
  active: string;
  inactive: string;
  rate: Rates;
}

/** With as many columns as there is room for. */
function fitted(rows: Row[], columns: number): string[] {
  const whole = lines(rows, WIDE);
  if ((whole[0]?.length ?? 0) <= columns) return whole;
  const others = lines(rows, NARROW.slice(1))[0]?.length ?? 0;
  const room = Math.max(columns - others - 2, SHORTEST_NAME);
  const cut = (name: string) => (name.length <= room ? name : `${name.slice(0, room - 1)}…`);
  return lines(
    rows.map((row) => ({ ...row, name: cut(row.name) })),
    NARROW,
  );
}

/** Figures stand under one another by their last digit, whatever their unit. */
function lines(rows: Row[], columns: Column[]): string[] {
  const first = columns.findIndex(([head]) => head === FIRST_FIGURE);
  const cells = [
    columns.map(([head]) => head),
    ...rows.map((row) => columns.map(([, cell]) => cell(row))),
  ];
  const widths = columns.map((_, at) =>
    cells.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), 0),
  );
  return cells.map((row) =>
    row
      .map((cell, at) =>
        at < first ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
      )
      .join('  '),
  );
}

function serviceRows({ services }: Look, { folded }: Screen): Row[] {
  return services.flatMap((service): Row[] => {
    const own = {
      name: `${service.name} ${service.protocol} ${formatEnd(service.protocol, service)}`,
      how: service.scheduler,
      weight: '',
      active: '',
      inactive: '',
      rate: service.rates,
    };
    if (folded) return [own];
    const servers = service.servers.map((server) => ({
      name: `  ${formatEndpoint(server)}`,
      how: server.forward,
      weight: `${server.weight}${server.up ? '' : ' down'}`,
      active: `${server.active}`,
      inactive: `${server.inactive}`,
      rate: server.rates,
    }));
    return [own, ...servers];
  });
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
