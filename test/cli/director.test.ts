// lab
// timeout: 240
/**
 * A running director in a network namespace of its own, driven as its administrator would: the
 * command line, signals, the configuration file. What it forwards is tested elsewhere.
 */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type {
  ConnectionReport,
  DropsReport,
  PortReport,
  ServiceReport,
  StatusReport,
} from '../../src/api/types.js';
import { hex } from '../support/bytes.js';
import { tcp } from '../support/packet.js';
import { skip } from '../support/skip.js';
import { Folder, finished, start } from './support.js';

const folder = new Folder();
const SOCKET = folder.file('d1.sock');
const MAC = '02:00:00:00:01:01';

const yaml = (servers: string, more = '') => `\
director:
  name: d1
  socket: ${SOCKET}
  hugepages: false
  memory: 256
  mbufs: 8192
  maxConnections: 4096
  maxServices: 16
  maxServers: 16
  keepEdits: ${folder.file('edits')}
ports:
  - name: front
    device: net_af_packet0,iface=f0
    mac: ${MAC}
    addresses: [192.0.2.1/24]
neighbours:
  - { address: 192.0.2.11, mac: 02:00:00:00:02:01 }
  - { address: 192.0.2.12, mac: 02:00:00:00:02:02 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    scheduler: rr
    servers: [${servers}]
${more}`;
const A = '{ address: 192.0.2.11:8080, weight: 3 }';
const B = '{ address: 192.0.2.12:8080 }';

/** A veth pair whose one end the director has; frames are thrown in at the other. */
const NAMESPACE = [
  'unshare',
  '--net',
  'sh',
  '-c',
  'ip link add f0 type veth peer name f1 && ip link set f0 up && ip link set f1 up && exec "$@"',
  'sh',
];
/** Throws outside all handlers when asked to: what a bug of ours would do. */
const BUG = `data:text/javascript,process.on('SIGUSR2',()=>{throw new Error('a test threw this')})`;

class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ status: number | null }>;
  log = '';

  constructor() {
    const [node, ...rest] = ['env', `NODE_OPTIONS=--import="${BUG}"`];
    this.child = start(['run', '-c', 'd1.yaml'], folder.path, [
      ...NAMESPACE,
      node as string,
      ...rest,
    ]);
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk;
    });
    this.ended = finished(this.child);
  }

  /** Waits until the log has matched; gives what it has said since `from`. */
  async says(pattern: RegExp, from = 0): Promise<string> {
    const deadline = Date.now() + 30_000;
    while (!pattern.test(this.log.slice(from))) {
      if (Date.now() > deadline || this.child.exitCode !== null) {
        throw new Error(`waited for ${pattern} in vain:\n${this.log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return this.log.slice(from);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return (await this.ended).status;
  }

  /** Puts frames on the wire at the far end. */
  throwIn(...frames: Uint8Array[]): void {
    const program =
      'import socket,sys\n' +
      's=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n' +
      's.bind(("f1",0))\n' +
      'for l in sys.stdin: s.send(bytes.fromhex(l))\n';
    const args = ['--net', `--target=${this.child.pid}`, 'python3', '-c', program];
    const ran = spawnSync('nsenter', args, { input: frames.map(hex).join('\n') });
    assert.is(ran.status, 0, String(ran.stderr));
  }
}

const show = async <T>(...args: string[]): Promise<T> => {
  const ran = await folder.run('show', ...args, '--json', '--socket', SOCKET);
  assert.is(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout) as T;
};
const syn = (from: string) =>
  tcp({ from, to: '203.0.113.10:80', flags: 'S', toMac: MAC, fromMac: '02:00:00:00:02:09' });
/** Asks until the answer is as wanted: frames take their time. */
async function until<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer) || Date.now() > deadline) return answer;
  }
}

let running: Running | undefined;
test.after(async () => {
  await running?.stop('SIGKILL');
  folder.remove();
});

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root for a network namespace';
  const ran = spawnSync('unshare', ['--net', 'ip', 'link'], { encoding: 'utf8' });
  return ran.status === 0 ? undefined : `no network namespaces: ${ran.error ?? ran.stderr}`;
}

/** Rates go on moving by themselves. */
function withoutRates(services: ServiceReport[]): ServiceReport[] {
  return JSON.parse(JSON.stringify(services, (key, value) => (key === 'rates' ? null : value)));
}

function tests(): void {
  test('it starts, says so, and answers', async () => {
    folder.write('d1.yaml', yaml(A));
    running = new Running();
    await running.says(/director d1 forwards on CPU \d+/);
    const status = await show<StatusReport>('status');
    assert.is(status.status, 'ready');
    assert.is(status.name, 'd1');
    assert.is(status.generation, 1);
    assert.is(status.config, folder.file('d1.yaml'));
    assert.match(status.dpdk, /^DPDK \d+\.\d+/);
    assert.is(status.workers.length, 1);
    assert.is(status.lastReload, null);
    const [port] = await show<PortReport[]>('ports');
    assert.equal(
      [port?.name, port?.mac, port?.mtu, port?.up, port?.twin, port?.addresses],
      ['front', MAC, 1500, true, 'slfront', ['192.0.2.1/24']],
    );
  });

  test('a second director on the same socket refuses to start, the first goes on', async () => {
    const ran = await finished(start(['run', '-c', 'd1.yaml'], folder.path, NAMESPACE));
    assert.is(ran.status, 1);
    assert.match(ran.stderr, /a director is already running on .* \[ERR_ALREADY_RUNNING\]/);
    assert.is((await show<StatusReport>('status')).status, 'ready');
  });

  test('connections and counters of real frames', async () => {
    running?.throwIn(syn('192.0.2.7:40000'), syn('192.0.2.8:40001'));
    const all = await until(
      () => show<ConnectionReport[]>('connections'),
      (found) => found.length === 2,
    );
    assert.equal(all.map(({ client, clientPort }) => `${client}:${clientPort}`).sort(), [
      '192.0.2.7:40000',
      '192.0.2.8:40001',
    ]);
    const [one] = await show<ConnectionReport[]>('connections', '--client', '192.0.2.8');
    assert.equal(
      [one?.service, one?.mode, one?.state, one?.virtual, one?.server, one?.serverPort, one?.local],
      ['web', 'nat', 'SYN_RECV', '203.0.113.10', '192.0.2.11', 8080, ''],
    );
    assert.ok((one?.timeoutMs ?? 0) === 60_000 && (one?.idleMs ?? 1e9) < 30_000);
    assert.is((await show<unknown[]>('connections', '--service', '203.0.113.10:80')).length, 2);
    assert.is((await show<unknown[]>('connections', '--limit', '1')).length, 1);
    const [web] = await show<ServiceReport[]>('services');
    assert.equal([web?.conns, web?.inPkts, web?.outPkts], [2, 2, 0]);
    const [server] = web?.servers ?? [];
    assert.equal(
      [server?.conns, (server?.active ?? 0) + (server?.inactive ?? 0), server?.forward],
      [2, 2, 'Masq'],
    );
    const { ends } = await show<DropsReport>('drops');
    assert.is(ends.find(({ name }) => name === 'forwarded_nat')?.count, 2);
  });

  test('the same as text, with a wrong filter refused', async () => {
    const [services, connections, wrong] = await Promise.all([
      folder.run('show', 'services', '--socket', SOCKET),
      folder.run('show', 'connections', '-c', 'd1.yaml'),
      folder.run('show', 'connections', '--service', 'nope', '--socket', SOCKET),
    ]);
    assert.match(
      services.stdout,
      /^TCP {2}203\.0\.113\.10:80 rr\n {2}-> 192\.0\.2\.11:8080 {14}Masq {4}3 {6}\d/m,
    );
    assert.match(
      connections.stdout,
      /^TCP \d\d:\d\d {2}SYN_RECV {4}192\.0\.2\.7:40000 {4}203\.0\.113\.10:80 {4}192\.0\.2\.11:8080$/m,
    );
    assert.is(wrong.status, 1);
    assert.match(wrong.stderr, /no service is called or listens on nope \[ERR_API\]/);
  });

  test('explain: a connection that is there, one that would be made, and a slip', async () => {
    const ask = (from: string, ...more: string[]) =>
      folder.run('explain', '--from', from, '--to', '203.0.113.10:80', '--socket', SOCKET, ...more);
    const [there, fresh, slip] = await Promise.all([
      ask('192.0.2.7:40000'),
      ask('192.0.2.7:40009', '--json'),
      ask('192.0.2.7'),
    ]);
    assert.match(there.stdout, /a connection is there: SYN_RECV, on worker 0/);
    assert.match(
      there.stdout,
      /^→ +192\.0\.2\.11:8080 .*d1\.yaml:\d+:\d+ +takes new connections$/m,
    );
    const { connection, choice, reasons } = JSON.parse(fresh.stdout);
    assert.equal([connection, choice], [null, ['192.0.2.11:8080']]);
    assert.match(reasons.at(-1), /the only one that takes new connections/);
    assert.is(slip.status, 1);
    assert.match(slip.stderr, /from is "192\.0\.2\.7", expected an address and port such as 192/);
  });

  test('the REPL shows live objects and awaits by itself', async () => {
    const child = start(['repl', '--socket', SOCKET], folder.path);
    const ran = await finished(
      child,
      'director.services\n(await director.connections({ client: "192.0.2.7" })).length + 41\n' +
        "director.connections({ service: 'nope' })\n",
    );
    assert.is(ran.status, 0, ran.stderr);
    assert.match(ran.stdout, /TCP {2}203\.0\.113\.10:80 rr/);
    assert.match(ran.stdout, /d1> 42\n/);
    assert.match(ran.stdout, /no service is called or listens on nope \[ERR_API\]\n/);
  });

  test('SIGHUP takes over a changed file', async () => {
    folder.write('d1.yaml', yaml(`${B}, ${A.replace('3', '5')}`));
    const from = running?.log.length ?? 0;
    running?.child.kill('SIGHUP');
    const log = (await running?.says(/reloaded/, from)) ?? '';
    assert.match(
      log,
      /: \+ server tcp 203\.0\.113\.10:80 192\.0\.2\.12:8080; ~ server tcp 203\.0\.113\.10:80 192\.0\.2\.11:8080: weight 3 → 5\n/,
    );
    const [web] = await show<ServiceReport[]>('services');
    assert.equal(
      web?.servers.map(({ address, weight, conns }) => [address, weight, conns]),
      [
        ['192.0.2.12', 1, 0],
        ['192.0.2.11', 5, 2],
      ],
    );
    assert.is((await show<StatusReport>('status')).generation, 2);
  });

  test('SIGHUP with a bad file: every place in the log, the running state untouched', async () => {
    const before = withoutRates(await show<ServiceReport[]>('services'));
    folder.write('d1.yaml', yaml('{ address: 192.0.2.11:8080, weight: heavy }', 'servces: []\n'));
    const from = running?.log.length ?? 0;
    running?.child.kill('SIGHUP');
    const log = (await running?.says(/servces/, from)) ?? '';
    assert.match(log, /reload refused, the running state is untouched \[ERR_CONFIG\]/);
    assert.match(log, /d1\.yaml:24:51: services\[0\]\.servers\[0\]\.weight: is "heavy", expected/);
    assert.match(log, /d1\.yaml:25:1: servces: unknown key, did you mean services\?/);
    assert.equal(withoutRates(await show('services')), before);
    const { generation, lastReload } = await show<StatusReport>('status');
    assert.is(generation, 2);
    assert.is(lastReload?.ok, false);
  });

  test('`sluice reload`: settings that need a restart are refused with all else', async () => {
    folder.write('d1.yaml', yaml(A).replace('memory: 256', 'memory: 300'));
    const ran = await folder.run('reload', '--socket', SOCKET);
    assert.is(ran.status, 1);
    assert.match(
      ran.stderr,
      /d1\.yaml:5:11: director\.memory: changed \(was 256\): it takes effect only at a restart \[ERR_RESTART_NEEDED\]/,
    );
    assert.is((await show<ServiceReport[]>('services'))[0]?.servers.length, 2);
    folder.write('d1.yaml', yaml(A));
    const good = await folder.run('reload', '--socket', SOCKET);
    assert.is(
      good.stdout,
      'reloaded:\n' +
        '  - server tcp 203.0.113.10:80 192.0.2.12:8080\n' +
        '  ~ server tcp 203.0.113.10:80 192.0.2.11:8080: weight 5 → 3\n',
    );
    const again = await folder.run('reload', '--socket', SOCKET);
    assert.is(again.stdout, 'reloaded: nothing changed\n');
    const { generation } = await show<StatusReport>('status');
    assert.is(generation, 3, 'a file that says the same is no generation');
  });

  test('an exception that nobody catches is logged, and frames go on being forwarded', async () => {
    const from = running?.log.length ?? 0;
    running?.child.kill('SIGUSR2');
    await running?.says(/forwarding goes on: Error: a test threw this/, from);
    running?.throwIn(syn('192.0.2.9:40002'));
    const found = await until(
      () => show<ConnectionReport[]>('connections', '--client', '192.0.2.9'),
      (list) => list.length === 1,
    );
    assert.is(found[0]?.server, '192.0.2.11');
  });

  test('after kill -9 the next one starts over the dead one’s socket, and makes its edits', async () => {
    const drained = await folder.run('drain', 'web', '192.0.2.11', '--socket', SOCKET);
    assert.is(drained.status, 0, drained.stderr);
    const before = (await show<StatusReport>('status')).edits;
    assert.equal(before, ['~ server tcp 203.0.113.10:80 192.0.2.11:8080: drained']);
    await running?.stop('SIGKILL');
    assert.ok(existsSync(SOCKET));
    running = new Running();
    await running.says(/director d1 forwards/);
    assert.match(running.log, /an edit of \S+ made again: the running state is not what /);
    assert.equal(await show('connections'), []);
    assert.equal((await show<StatusReport>('status')).edits, before);
    const history = await folder.run('history', '--socket', SOCKET);
    assert.match(history.stdout, /start with \S+d1\.yaml, and an edit kept since /);
    await folder.run('undrain', 'web', '192.0.2.11', '--socket', SOCKET);
    assert.equal((await show<StatusReport>('status')).edits, []);
    assert.not.ok(existsSync(folder.file('edits')));
  });

  test('what the dataplane has to say is in the log, with its code and the service', async () => {
    const frames = Array.from({ length: 6_000 }, (_, n) =>
      syn(`198.18.${n >> 8}.${n & 255}:${1024 + n}`),
    );
    const from = running?.log.length ?? 0;
    running?.throwIn(...frames);
    const log = (await running?.says(/ERR_TABLE_PRESSURE/, from)) ?? '';
    assert.match(log, /warn: connection table or.*\[ERR_TABLE_PRESSURE\] count=\d+ service=web\n/);
    const drops = await folder.run('show', 'drops', '--socket', SOCKET);
    assert.match(drops.stdout, /^evicted_half_open +\d+$/m);
    const ran = await folder.run('show', 'connections', '--socket', SOCKET);
    const listed = ran.stdout.split('\n').length - 3;
    assert.is(listed, (await show<StatusReport>('status')).connections);
    assert.ok(listed > 3_000, `${listed} listed`);
  });

  test('SIGTERM: status 0, the socket is gone', async () => {
    assert.is(await running?.stop(), 0);
    assert.not.ok(existsSync(SOCKET));
    assert.match(running?.log ?? '', /SIGTERM: stopping\n$/);
  });

  test('SIGHUP before it forwards is no end: it starts, then reloads', async () => {
    running = new Running();
    const { pid } = running.child;
    // Bit 0 of the caught signals is SIGHUP's.
    const caught = () => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return Number(BigInt(`0x${/^SigCgt:\s*(\w+)/m.exec(status)?.[1]}`) & 1n) === 1;
    };
    const deadline = Date.now() + 20_000;
    while (!caught() && Date.now() < deadline) await new Promise((done) => setTimeout(done, 1));
    assert.not.match(running.log, /forwards/);
    running.child.kill('SIGHUP');
    await running.says(/director d1 forwards on CPU \d+/);
    await running.says(/reloaded .*d1.yaml/);
    assert.is(await running.stop(), 0);
  });

  test('a log that nobody reads any more stops nothing; SIGINT ends it as well', async () => {
    running = new Running();
    await running.says(/director d1 forwards/);
    running.child.stderr?.destroy();
    for (let last: string | undefined, count = 0; count < 2; count++) {
      running.child.kill('SIGHUP');
      const { lastReload, generation } = await until(
        () => show<StatusReport>('status'),
        (now) => now.lastReload !== null && now.lastReload.at !== last,
      );
      assert.equal([lastReload?.summary, generation], ['nothing changed', 1]);
      last = lastReload?.at;
    }
    assert.is(await running.stop('SIGINT'), 0);
    assert.not.ok(existsSync(SOCKET));
  });
}

const reason = missing();
if (reason) skip('a running director', reason);
else tests();
test.run();
