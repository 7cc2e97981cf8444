/** Prometheus' text and the files of /proc, the latter read by Debian's own node exporter. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceReport } from '../../src/api/types.js';
import { type MetricSources, metrics } from '../../src/stats/metrics.js';
import { ipvsFiles, ProcFiles } from '../../src/stats/procfs.js';
import { NO_RATES } from '../../src/stats/rates.js';
import { inside, ip, until } from '../native/support/inside.js';

const traffic = (n: number) => ({
  conns: n,
  inPkts: 10 * n,
  outPkts: 20 * n,
  inBytes: 3_000 * n,
  outBytes: 5_000_000_000 * n,
});

const SERVICES = [
  {
    name: 'we"b',
    protocol: 'tcp',
    address: '192.168.0.22',
    port: 3306,
    scheduler: 'sh',
    flags: ['sh-port', 'sh-fallback'],
    slot: 0,
    rates: { ...NO_RATES, cps: 4, inPps: 0x1fb3, inBps: 0x1282a8f },
    ...traffic(7),
    servers: [
      {
        address: '192.168.82.22',
        port: 3306,
        mode: 'tun',
        forward: 'Tunnel',
        weight: 100,
        up: true,
        active: 248,
        inactive: 2,
        ...traffic(7),
      },
      {
        address: '192.168.83.21',
        port: 65535,
        mode: 'enat',
        forward: 'ENat',
        weight: 0,
        up: false,
        active: 0,
        inactive: 1_000_000,
        ...traffic(0),
      },
    ],
  },
  {
    name: 'dns',
    protocol: 'udp',
    address: '203.0.113.10',
    port: 53,
    scheduler: 'rr',
    flags: ['ops'],
    slot: 1,
    rates: NO_RATES,
    ...traffic(1),
    servers: [
      {
        address: '198.51.100.11',
        port: 53,
        mode: 'fullnat',
        forward: 'FullNat',
        weight: 1,
        up: true,
        active: 1,
        inactive: 0,
        ...traffic(1),
      },
    ],
  },
] as unknown as ServiceReport[];

const SOURCES = {
  services: SERVICES,
  ports: [{ name: 'front', counters: { rxPackets: 12, txBytes: 99 } }],
  vrrp: { instances: [], groups: [] },
  drops: {
    ends: [{ name: 'forwarded_tun', kind: 'forwarded', help: '', count: 5 }],
    extra: { received: 17, connections: 3 },
  },
  sync: { running: true, figures: { told: 21, peers: 1, sent_records: 20 } },
  status: {
    name: 'd1',
    version: '1.2.3',
    dpdk: 'DPDK 22.11',
    generation: 4,
    uptimeSeconds: 60,
    controlRestarts: 0,
    connections: 3,
    maxConnections: 1_000,
    workers: [{ cpu: 1, lagUs: 250, load: 25 }],
    alerts: [{ code: 'WARN_TABLE_NEARLY_FULL', of: 'worker 0', value: 91 }],
  },
} as unknown as MetricSources;

const TEXT = [...metrics(SOURCES)].join('');

test('every line is well formed, every series there once, every metric has its type', () => {
  const series = new Set<string>();
  const typed = new Set<string>();
  for (const line of TEXT.trimEnd().split('\n')) {
    const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line);
    if (type) {
      assert.not(typed.has(type[1] as string), line);
      typed.add(type[1] as string);
      if (type[2] === 'counter') assert.match(type[1] as string, /_total$/);
    }
    if (line.startsWith('#')) continue;
    const match = /^(\w+)(\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? (\d+(?:\.\d+)?)$/.exec(line);
    assert.ok(match, line);
    assert.ok(typed.has(match[1] as string), line);
    assert.not(series.has(`${match[1]}${match[2]}`), line);
    series.add(`${match[1]}${match[2]}`);
  }
  assert.ok(series.size > 40);
});

test('figures have the names and values that they should', () => {
  for (const line of [
    'sluice_info{version="1.2.3",dpdk="DPDK 22.11",name="d1"} 1',
    'keepalived_up 1',
    'sluice_sync_running 1',
    'sluice_sync_peers 1',
    'sluice_sync_sent_records_total 20',
    'sluice_worker_busy_ratio{cpu="1"} 0.25',
    'sluice_alert{code="WARN_TABLE_NEARLY_FULL",of="worker 0"} 91',
    'sluice_worker_lag_seconds{cpu="1"} 0.00025',
    'sluice_packets_total{end="forwarded_tun",kind="forwarded"} 5',
    'sluice_received_total 17',
    'sluice_port_rx_packets_total{port="front"} 12',
    'sluice_service_outgoing_bytes_total{service="we\\"b",protocol="tcp",address="192.168.0.22",port="3306"} 35000000000',
    'sluice_server_up{service="we\\"b",protocol="tcp",address="192.168.0.22",port="3306",server="192.168.83.21",server_port="65535",mode="enat"} 0',
    'node_ipvs_connections_total 8',
  ]) {
    assert.ok(TEXT.includes(`\n${line}\n`), line);
  }
});

test('an SCTP service, as the kernel names it', async () => {
  const services = [{ ...(SERVICES[0] as ServiceReport), protocol: 'sctp' as const }];
  assert.match(
    (await ipvsFiles(services, 4096)).table,
    /^SCTP C0A80016:0CEA sh \(sh-port,sh-fallback\) $/m,
  );
  const text = [...metrics({ ...SOURCES, services })].join('');
  assert.match(text, /^node_ipvs_backend_weight\{.*proto="SCTP".*\} 100$/m);
});

test('a service for a mark, as the kernel and node exporter name it', async () => {
  const marked = { ...SERVICES[1], protocol: 'fwmark', address: '0.0.0.0', port: 0x3e8 };
  const services = [marked] as unknown as ServiceReport[];
  assert.match((await ipvsFiles(services, 4096)).table, /^FWM {2}000003E8 rr ops $/m);
  const lines = [...metrics({ ...SOURCES, services })].join('').split('\n');
  const labels =
    'local_address="",local_mark="000003E8",local_port="0",proto="FWM",' +
    'remote_address="198.51.100.11",remote_port="53"';
  assert.ok(lines.includes(`node_ipvs_backend_weight{${labels}} 1`), lines.join('\n'));
});

test('ip_vs and ip_vs_stats as the kernel writes them', async () => {
  const { table, stats } = await ipvsFiles(SERVICES, 4096);
  assert.is(
    table,
    `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80016:0CEA sh (sh-port,sh-fallback)${' '}
  -> C0A85216:0CEA      Tunnel  100    248        2${' '.repeat(9)}
  -> C0A85315:FFFF      ENat    0      0          1000000${' '.repeat(3)}
UDP  CB00710A:0035 rr ops${' '}
  -> C633640B:0035      FullNat 1      1          0${' '.repeat(9)}
`,
  );
  assert.equal(stats.split('\n'), [
    '   Total Incoming Outgoing         Incoming         Outgoing',
    '   Conns  Packets  Packets            Bytes            Bytes',
    '       8       50       A0             5DC0        9502F9000',
    '',
    ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    '       4     1FB3        0          1282A8F                0',
    '',
  ]);
});

if (inside(import.meta.url, 'node exporter reads our /proc files')) {
  let proc: string;
  let exporter: ChildProcess | undefined;

  test.before(() => {
    proc = mkdtempSync(join(tmpdir(), 'sluice-proc-'));
    ip('link set lo up', 'addr add 192.0.2.1/32 dev lo');
  });
  test.after(() => {
    exporter?.kill();
    rmSync(proc, { recursive: true });
  });

  test('node exporter says the same as our own metrics', async () => {
    // Which the exporter does not know: its servers must not be taken for another service's.
    const signalling = {
      ...(SERVICES[0] as ServiceReport),
      protocol: 'sctp' as const,
      ...traffic(0),
    };
    await new ProcFiles(proc).write([...SERVICES, signalling], 4096);
    const listen = '--web.listen-address=192.0.2.1:9100';
    const flags = ['--collector.disable-defaults', '--collector.ipvs', `--path.procfs=${proc}`];
    exporter = spawn('prometheus-node-exporter', [...flags, listen], { stdio: 'ignore' });
    let theirs = '';
    const ask = () =>
      get('http://192.0.2.1:9100/metrics', (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part) => {
          text += part;
        });
        answer.on('end', () => {
          theirs = text;
        });
      }).on('error', () => {});
    await until('the exporter answers', () => {
      if (theirs === '') ask();
      return theirs !== '';
    });
    const ipvs = (text: string) =>
      text
        .split('\n')
        .filter((line) => line.startsWith('node_ipvs_') && !line.includes('proto=""'))
        .map((line) => line.replace(/ (\S+)$/, (_, value) => ` ${Number(value)}`))
        .sort();
    assert.ok(ipvs(theirs).length >= 14, theirs);
    assert.equal(ipvs(theirs), ipvs(TEXT));
  });

  test('the files are replaced whole, and removed at the end', async () => {
    const files = new ProcFiles(proc);
    const work = function* () {
      const end = performance.now() + 20;
      while (performance.now() < end);
      yield* SERVICES;
    };
    await Promise.all([files.write(work(), 1), files.write([], 1)]);
    // What takes long is not done again at once.
    await files.write([], 1);
    assert.match(readFileSync(join(proc, 'net', 'ip_vs'), 'utf8'), /^TCP {2}C0A80016/m);
    assert.equal(readdirSync(join(proc, 'net')).sort(), ['ip_vs', 'ip_vs_stats']);
    await files.remove();
    assert.equal(readdirSync(join(proc, 'net')), []);
  });
}

test.run();
