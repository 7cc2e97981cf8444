// timeout: 120
// serial: worker lcores poll
/**
 * `sluice capture` and `sluice trace` on a director that runs on a veth: what is written is read
 * back by tshark.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Folder, finished, type Ran, start } from '../cli/support.js';
import { hex } from '../support/bytes.js';
import { tcp } from '../support/packet.js';
import { skip } from '../support/skip.js';

const folder = new Folder();
const SOCKET = folder.file('d1.sock');
const MAC = '02:00:00:00:01:01';
const VIP = '203.0.113.10';

folder.write(
  'd1.yaml',
  `\
director: { name: d1, socket: ${SOCKET}, hugepages: false, memory: 256, mbufs: 8192, maxConnections: 1024, maxServices: 16, maxServers: 16, alerts: { table: 50 } }
ports:
  - { name: front, device: 'net_af_packet0,iface=f0', mac: ${MAC}, addresses: [192.0.2.1/24] }
neighbours:
  - { address: 192.0.2.11, mac: 02:00:00:00:02:01 }
services:
  - { name: web, listen: '${VIP}:80', mode: nat, servers: [{ address: '192.0.2.11:8080' }] }
`,
);

const NAMESPACE = [
  'unshare',
  '--net',
  'sh',
  '-c',
  'ip link add f0 type veth peer name f1 && ip link set f0 up && ip link set f1 up && exec "$@"',
  'sh',
];

let director: ChildProcess | undefined;
test.after(async () => {
  director?.kill('SIGTERM');
  if (director && director.exitCode === null) {
    await new Promise((done) => director?.once('close', done));
  }
  folder.remove();
});

/** Waits until a program's stderr has matched. */
function says(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      text += chunk;
      if (pattern.test(text)) resolve(text);
    });
    child.once('close', () => reject(new Error(`it ended before it said ${pattern}:\n${text}`)));
  });
}

function throwIn(...frames: Uint8Array[]): void {
  const program =
    'import socket,sys\n' +
    's=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n' +
    's.bind(("f1",0))\n' +
    'for l in sys.stdin: s.send(bytes.fromhex(l))\n';
  const args = ['--net', `--target=${director?.pid}`, 'python3', '-c', program];
  const ran = spawnSync('nsenter', args, { input: frames.map(hex).join('\n') });
  assert.is(ran.status, 0, String(ran.stderr));
}

const syn = (port: number, from = 40_000) =>
  tcp({
    from: `192.0.2.9:${from}`,
    to: `${VIP}:${port}`,
    flags: 'S',
    payload: 'twenty bytes of data',
    toMac: MAC,
    fromMac: '02:00:00:00:02:09',
  });

/** Starts a watching command, throws frames in when it watches, and waits for its end. */
async function watched(args: string[], ...frames: Uint8Array[]): Promise<Ran> {
  const child = start([...args, '--socket', SOCKET], folder.path);
  const ended = finished(child);
  await says(child, /(capturing|watching)/);
  throwIn(...frames);
  return await ended;
}

function tshark(file: string, ...fields: string[]): string[] {
  const args = fields.flatMap((field) => ['-e', field]);
  const ran = spawnSync('tshark', ['-r', folder.file(file), '-T', 'fields', ...args], {
    encoding: 'utf8',
  });
  assert.is(ran.status, 0, ran.stderr);
  return ran.stdout.trim().split('\n');
}

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for a network namespace';
  const ran = spawnSync('unshare', ['--net', 'ip', 'link'], { encoding: 'utf8' });
  return ran.status === 0 ? undefined : `no network namespaces: ${ran.error ?? ran.stderr}`;
}

const why = missing();
if (why) {
  skip('capture and trace on a running director', why);
} else {
  test('a director begins', async () => {
    director = start(['run', '-c', 'd1.yaml'], folder.path, NAMESPACE);
    await says(director, /forwards on CPU/);
  });

  test('what comes and what goes, with direction, time, port, and end', async () => {
    const before = Date.now() / 1000;
    const args = ['capture', '--write', 'all.pcapng', '--count', '4', '--snaplen', '60', 'tcp'];
    const ran = await watched(args, syn(80), syn(81));
    assert.is(ran.status, 0, ran.stderr);
    assert.match(ran.stderr, /capturing on front for 60 s\n/);
    assert.match(ran.stderr, /4 frames captured, \d+ taken by the filter of \d+; 0 dropped/);
    const rows = tshark(
      'all.pcapng',
      'frame.interface_name',
      'frame.packet_flags_direction',
      'frame.comment',
      'tcp.dstport',
      'tcp.flags.reset',
      'frame.len',
      'frame.cap_len',
    ).map((row) => row.split('\t').join(' '));
    assert.equal(rows.sort(), [
      'front 0x00000001 answered_reset 81 0 74 60',
      'front 0x00000001 forwarded_nat 80 0 74 60',
      'front 0x00000002 answered_reset 40000 1 54 54',
      'front 0x00000002 forwarded_nat 8080 0 74 60',
    ]);
    for (const time of tshark('all.pcapng', 'frame.time_epoch')) {
      assert.match(time, /^\d+\.\d{9}$/);
      assert.ok(Number(time) >= before - 1 && Number(time) <= Date.now() / 1000 + 1, time);
    }
    const info = spawnSync('capinfos', ['-I', folder.file('all.pcapng')], { encoding: 'utf8' });
    if (info.status === 0) {
      assert.match(info.stdout, /Filter string = tcp\n/);
      assert.match(info.stdout, /Time precision = nanoseconds/);
    }
    const dump = spawnSync('tcpdump', ['-nr', folder.file('all.pcapng')], { encoding: 'utf8' });
    assert.is(dump.stdout.trim().split('\n').length, 4, dump.stderr);
  });

  test('the filter decides, and the direction', async () => {
    const one = await watched(
      ['capture', '--direction', 'in', '--count', '1', `tcp dst port 81 and host ${VIP}`],
      syn(80, 40_001),
      syn(81, 40_001),
    );
    assert.is(one.status, 0, one.stderr);
    const line =
      /^\S+ front in {2}TCP 192\.0\.2\.9:40001 → 203\.0\.113\.10:81 SYN, 74 bytes {2}\[answered_reset\]\n$/;
    assert.match(one.stdout, line);
    const out = await watched(
      ['capture', '--direction', 'out', '--count', '1', 'tcp', 'and', 'src', 'port', '40002'],
      syn(80, 40_002),
    );
    assert.match(out.stdout, /front out TCP 192\.0\.2\.9:40002 → 192\.0\.2\.11:8080 SYN/);
  });

  test('it ends by its time; more than the rate allows is counted, in the file too', async () => {
    const ran = await watched(
      ['capture', '--write', 'slow.pcapng', '--rate', '1', '--seconds', '4'].concat([
        '--direction',
        'in',
        'tcp port 80',
      ]),
      ...Array.from({ length: 20 }, (_, n) => syn(80, 41_000 + n)),
    );
    assert.is(ran.status, 0, ran.stderr);
    const told = /(\d+) frames captured, 20 taken by the filter of \d+; (\d+) dropped/.exec(
      ran.stderr,
    );
    assert.ok(told, ran.stderr);
    const [captured, dropped] = [Number(told?.[1]), Number(told?.[2])];
    assert.is(captured + dropped, 20);
    assert.ok(dropped > 0);
    assert.is(tshark('slow.pcapng', 'frame.number').length, captured);
    const dump = spawnSync(
      'tshark',
      ['-r', folder.file('slow.pcapng'), '-2', '-q', '-z', 'io,stat,0'],
      {
        encoding: 'utf8',
      },
    );
    assert.is(dump.status, 0, dump.stderr);
  });

  test('^C ends it, and the file is whole', async () => {
    const child = start(['capture', '--write', 'none.pcapng', '--socket', SOCKET], folder.path);
    const ended = finished(child);
    await says(child, /capturing/);
    child.kill('SIGINT');
    const ran = await ended;
    assert.is(ran.status, 0, ran.stderr);
    assert.match(ran.stderr, /\d+ frames captured/);
    tshark('none.pcapng', 'frame.number');
  });

  test('a filter that is none, a port that is none', async () => {
    const bad = await folder.run('capture', '--socket', SOCKET, 'tcp prot 80');
    assert.is(bad.status, 1);
    assert.match(bad.stderr, /filter 'tcp prot 80': .*syntax error.* \[ERR_NATIVE_FILTER\]/);
    const nowhere = await folder.run('capture', '--socket', SOCKET, '--port', 'middle');
    assert.match(nowhere.stderr, /no port is called middle, expected all or one of front/);
  });

  test('a traced packet, live', async () => {
    const ran = await watched(
      ['trace', '--from', '192.0.2.9', '--to', `${VIP}:80`, '--count', '1', '--json'],
      syn(81, 42_000),
      syn(80, 42_000),
    );
    assert.is(ran.status, 0, ran.stderr);
    const packet = JSON.parse(ran.stdout) as { reason: string; choice: string };
    assert.is(packet.reason, 'forwarded_nat');
    assert.is(packet.choice, '192.0.2.11:8080');
  });

  test('four at once; whoever leaves makes room for the next', async () => {
    const watching = [1, 2, 3, 4].map(() =>
      start(['trace', '--seconds', '600', '--socket', SOCKET], folder.path),
    );
    const ended = watching.map((child) => finished(child));
    await Promise.all(watching.map((child) => says(child, /watching/)));
    const next = () => folder.run('trace', '--socket', SOCKET, '--seconds', '1');
    const fifth = await next();
    assert.is(fifth.status, 1);
    assert.match(
      fifth.stderr,
      /4 traces or captures are running already \[ERR_NATIVE_WATCH_BUSY\]/,
    );
    for (const child of watching) child.kill('SIGKILL');
    await Promise.all(ended);
    const deadline = Date.now() + 20_000;
    let last = fifth;
    while (last.status !== 0 && Date.now() < deadline) last = await next();
    assert.is(last.status, 0, last.stderr);
  });

  test('a table that fills is an alert, in the log, the status and the metrics', async () => {
    const log = says(director as ChildProcess, /WARN_TABLE_NEARLY_FULL/);
    throwIn(...Array.from({ length: 700 }, (_, n) => syn(80, 50_000 + n)));
    assert.match(
      await log,
      /the connection table of worker 0 is \d+ % full: \d+ of 1024 \[WARN_TABLE/,
    );
    const status = await folder.run('show', 'status', '--socket', SOCKET);
    assert.match(status.stdout, /Alerts +the connection table of worker 0/);
    assert.match(status.stdout, /Workers +0 on CPU \d+ \(busy \d+ %\)/);
    const metrics = spawnSync('curl', ['-s', '--unix-socket', SOCKET, 'http://sluice/metrics'], {
      encoding: 'utf8',
    });
    assert.match(metrics.stdout, /sluice_alert\{code="WARN_TABLE_NEARLY_FULL",of="worker 0"\} \d/);
    assert.match(metrics.stdout, /sluice_worker_busy_ratio\{cpu="\d+"\} [01]/);
  });
}

test.run();
