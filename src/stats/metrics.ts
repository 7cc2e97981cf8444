/**
 * Prometheus' text exposition format (version 0.0.4). node_exporter's and keepalived exporters'
 * names, so that dashboards go on working, and ours beside them in base units. Written as it is
 * generated: a hundred thousand servers need neither memory nor a pause of the event loop, which
 * is why no registry of samples stands between. They make one and a half million lines, so that
 * a line of theirs is put together from texts and is no object with labels.
 */
import type {
  DropsReport,
  PortReport,
  StatusReport,
  SyncReport,
  VrrpReport,
} from '../api/types.js';
import type { MeasuredServer, MeasuredService } from './measured.js';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface MetricSources {
  services: Iterable<MeasuredService>;
  ports: PortReport[];
  drops: DropsReport;
  sync: SyncReport;
  vrrp: VrrpReport;
  status: StatusReport;
}

/** Characters of a piece: a fraction of a millisecond's work. */
const PIECE = 65_536;

type Labels = Record<string, string | number>;
/** Labels as text: `key="value",…`. */
type Sample = [labels: Labels | string, value: number];

/** Extra figures that go up and down; the others only count. */
const GAUGES = new Set(['connections']);

/** A metric in one piece, or in several where it has many samples. */
export function* metrics(sources: MetricSources): Generator<string> {
  const { services, ports, drops, status, sync } = sources;
  yield* general(status);
  yield* ipvs(services);
  yield* packets(drops);
  yield* synchronisation(sync);
  for (const name of Object.keys(ports[0]?.counters ?? {})) {
    yield* metric(
      `sluice_port_${snake(name)}_total`,
      'counter',
      `Port: ${name}.`,
      ports,
      (port) => [{ port: port.name }, port.counters[name] ?? 0],
    );
  }
  yield* serviceMetrics(services);
  yield* vrrpMetrics(sources.vrrp);
}

/** keepalived exporters' states: 0 init, 1 backup, 2 master, 3 fault. */
const VRRP_STATES = ['INIT', 'BACKUP', 'MASTER', 'FAULT'];

function* vrrpMetrics({ instances }: VrrpReport): Generator<string> {
  if (instances.length === 0) return;
  type Instance = VrrpReport['instances'][number];
  const each = (
    name: string,
    type: 'counter' | 'gauge',
    help: string,
    value: (one: Instance) => number,
  ) =>
    metric(name, type, help, instances, (one) => [
      { iname: one.name, intf: one.port, vrid: one.routerId },
      value(one),
    ]);
  const counter = (name: string, help: string, value: (one: Instance) => number) =>
    each(name, 'counter', help, value);
  yield* each(
    'keepalived_vrrp_state',
    'gauge',
    'INIT 0, BACKUP 1, MASTER 2, FAULT 3.',
    ({ state }) => VRRP_STATES.indexOf(state),
  );
  yield* counter(
    'keepalived_advertisements_received_total',
    'Adverts that were believed.',
    ({ advertisementsReceived }) => advertisementsReceived,
  );
  yield* counter(
    'keepalived_become_master_total',
    'Times it became master.',
    ({ becameMaster }) => becameMaster,
  );
  yield* counter(
    'keepalived_release_master_total',
    'Times it was master no more.',
    ({ releasedMaster }) => releasedMaster,
  );
  yield* counter(
    'sluice_vrrp_adverts_dropped_total',
    'Adverts that were not believed.',
    ({ dropped }) => Object.values(dropped).reduce((sum: number, count) => sum + (count ?? 0), 0),
  );
}

function* general(status: StatusReport): Generator<string> {
  const { version, dpdk, name, generation, connections, maxConnections, workers } = status;
  const one = (metricName: string, help: string, labels: Labels, value: number) =>
    metric(metricName, 'gauge', help, [value], () => [labels, value]);
  yield* one('sluice_info', 'What runs.', { version, dpdk, name }, 1);
  yield* one('keepalived_up', 'The director runs.', {}, 1);
  yield* metric(
    'sluice_control_restarts_total',
    'counter',
    'Times the control plane failed and was started again.',
    [status.controlRestarts],
    (count) => [{}, count],
  );
  yield* one('sluice_uptime_seconds', 'Since the start.', {}, status.uptimeSeconds);
  yield* one('sluice_generation', 'Publications so far.', {}, generation);
  yield* one('sluice_connections', 'Connections now.', {}, connections);
  yield* one('sluice_connections_limit', 'Room in the tables.', {}, maxConnections);
  yield* metric(
    'sluice_worker_busy_ratio',
    'gauge',
    'Part of its time with packets.',
    workers,
    (w) => [{ cpu: w.cpu }, w.load / 100],
  );
  const value = 'What is about to run out; its measure, while it is above the threshold.';
  yield* metric('sluice_alert', 'gauge', value, status.alerts, ({ code, of, value }) => [
    { code, of },
    value,
  ]);
  yield* metric(
    'sluice_worker_lag_seconds',
    'gauge',
    'Since a worker finished a turn.',
    workers,
    (w) => [{ cpu: w.cpu }, w.lagUs / 1e6],
  );
}

/** What node_exporter makes of /proc/net/ip_vs and ip_vs_stats. */
function* ipvs(services: Iterable<MeasuredService>): Generator<string> {
  const totals: [name: string, of: 'conns' | 'inPkts' | 'outPkts' | 'inBytes' | 'outBytes'][] = [
    ['connections', 'conns'],
    ['incoming_packets', 'inPkts'],
    ['outgoing_packets', 'outPkts'],
    ['incoming_bytes', 'inBytes'],
    ['outgoing_bytes', 'outBytes'],
  ];
  for (const [name, of] of totals) {
    let sum = 0;
    for (const service of services) sum += service[of];
    const help = `The total number of ${name.replace('_', ' ')} of all services.`;
    yield* metric(`node_ipvs_${name}_total`, 'counter', help, [sum], () => [{}, sum]);
  }
  const backends = () =>
    each(
      services,
      (service) => text(localEnd(service)),
      ({ address, port }) => `,remote_address="${address}",remote_port="${port}"`,
    );
  for (const [name, of, help] of [
    ['connections_active', 'active', 'Active connections of a server.'],
    ['connections_inactive', 'inactive', 'Inactive connections of a server.'],
    ['weight', 'weight', 'Weight of a server.'],
  ] as const) {
    yield* metric(`node_ipvs_backend_${name}`, 'gauge', help, backends(), ([labels, server]) => [
      labels,
      server[of],
    ]);
  }
}

/** As node exporters name it: of a mark there is no address, and it is hexadecimal. */
function localEnd({ protocol, address, port }: MeasuredService): Labels {
  if (protocol !== 'fwmark') {
    return {
      local_address: address,
      local_mark: '',
      local_port: port,
      proto: protocol.toUpperCase(),
    };
  }
  const mark = port.toString(16).toUpperCase().padStart(8, '0');
  return { local_address: '', local_mark: mark, local_port: 0, proto: 'FWM' };
}

/** Figures that are not sums. */
const SYNC_GAUGES = new Set(['waiting', 'lag_ms', 'peers']);

function* synchronisation({ running, figures }: SyncReport): Generator<string> {
  const help = 'Whether connection sync runs.';
  yield* metric('sluice_sync_running', 'gauge', help, [running], (on) => [{}, on ? 1 : 0]);
  for (const [name, value] of Object.entries(figures)) {
    const gauge = SYNC_GAUGES.has(name);
    const about = `Connection sync: ${name.replaceAll('_', ' ')}.`;
    const full = gauge ? `sluice_sync_${name}` : `sluice_sync_${name}_total`;
    yield* metric(full, gauge ? 'gauge' : 'counter', about, [value], () => [{}, value]);
  }
}

function* packets({ ends, extra }: DropsReport): Generator<string> {
  yield* metric('sluice_packets_total', 'counter', 'Packets by their end.', ends, (end) => [
    { end: end.name, kind: end.kind },
    end.count,
  ]);
  for (const [name, value] of Object.entries(extra)) {
    // sluice_connections has it already.
    if (GAUGES.has(name)) continue;
    const help = `Counted by the workers: ${name.replaceAll('_', ' ')}.`;
    yield* metric(`sluice_${name}_total`, 'counter', help, [value], () => [{}, value]);
  }
}

const TRAFFIC = [
  ['connections', 'conns'],
  ['incoming_packets', 'inPkts'],
  ['outgoing_packets', 'outPkts'],
  ['incoming_bytes', 'inBytes'],
  ['outgoing_bytes', 'outBytes'],
] as const;

function* serviceMetrics(services: Iterable<MeasuredService>): Generator<string> {
  const ofService = ({ name, protocol, address, port }: MeasuredService) =>
    text({ service: name, protocol, address, port });
  const servers = () =>
    each(
      services,
      ofService,
      ({ address, port, mode }) => `,server="${address}",server_port="${port}",mode="${mode}"`,
    );
  for (const [name, of] of TRAFFIC) {
    const words = name.replace('_', ' ');
    yield* metric(
      `sluice_service_${name}_total`,
      'counter',
      `Service: ${words}.`,
      services,
      (one) => [ofService(one), one[of]],
    );
    yield* metric(
      `sluice_server_${name}_total`,
      'counter',
      `Server: ${words}.`,
      servers(),
      ([l, s]) => [l, s[of]],
    );
  }
  const gauge = (name: string, help: string, of: (server: MeasuredServer) => number) =>
    metric(`sluice_server_${name}`, 'gauge', help, servers(), ([labels, server]) => [
      labels,
      of(server),
    ]);
  yield* gauge('up', 'Takes new connections, were it not for its weight.', ({ up }) =>
    up ? 1 : 0,
  );
  yield* gauge('weight', 'In effect.', ({ weight }) => weight);
  yield* gauge('connections_active', 'ActiveConn.', ({ active }) => active);
  yield* gauge('connections_inactive', 'InActConn.', ({ inactive }) => inactive);
}

/** Servers with their labels. Nothing of a server's own needs escaping: neither addresses nor modes. */
function* each(
  services: Iterable<MeasuredService>,
  ofService: (service: MeasuredService) => string,
  ofServer: (server: MeasuredServer) => string,
): Generator<[labels: string, server: MeasuredServer]> {
  for (const service of services) {
    const head = ofService(service);
    for (const server of service.servers) yield [head + ofServer(server), server];
  }
}

function* metric<T>(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  items: Iterable<T>,
  sample: (item: T) => Sample,
): Generator<string> {
  let lines = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  for (const item of items) {
    if (lines.length >= PIECE) {
      yield lines;
      lines = '';
    }
    const [labels, value] = sample(item);
    const inside = typeof labels === 'string' ? labels : text(labels);
    lines += inside === '' ? `${name} ${value}\n` : `${name}{${inside}} ${value}\n`;
  }
  yield lines;
}

function text(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, label]) => `${key}="${escaped(String(label))}"`)
    .join(',');
}

function escaped(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
}

/** rxPackets → rx_packets. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
