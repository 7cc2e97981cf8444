/**
 * The checkers against real servers, good and bad, in a network namespace: sockets, TLS, ICMP and
 * packet filter are the kernel's.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Outcome, probe } from '../../src/health/checkers/index.js';
import type { Check } from '../../src/health/model.js';
import { inside, ip, run, sleep, until } from '../native/support/inside.js';
import { BODY, dns, FILTERED, http, OWN, ports, ROWS, SERVER, tcp, udp } from './checker-table.js';
import { COMMON, TIMING } from './support.js';

const check = (one: Check, port: number, address = SERVER): Promise<Outcome> =>
  probe(
    one,
    { server: { address, port }, service: { address: SERVER, port: 99 }, mode: 'nat' },
    0,
    new AbortController().signal,
  );

/** Not even waiting to be reaped. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function serveTcp(port: number, greet: (socket: Socket) => void) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    greet(socket);
  });
  server.listen(port, SERVER).unref();
}

function serveSmtp(socket: Socket): void {
  socket.write('220-one more line\r\n220 mail.example\r\n');
  socket.on('data', (line) => {
    if (/^HELO director\.example\r\n/.test(line.toString())) socket.write('250 hello\r\n');
  });
}

type Handler = Parameters<typeof createHttp>[1];
const pages: Handler = (question, answer) => {
  switch (question.url) {
    case '/':
      answer.end(BODY);
      return;
    case '/host':
      answer.end(question.headers.host);
      return;
    case '/sni':
      answer.end(String((question.socket as { servername?: unknown }).servername));
      return;
    case '/slow':
      setTimeout(() => answer.end(BODY), 5_000).unref();
      return;
    case '/drip': {
      const drip = setInterval(() => answer.write('.'), 50).unref();
      answer.on('close', () => clearInterval(drip));
      return;
    }
    default:
      answer.writeHead(404).end();
  }
};

if (inside(import.meta.url, 'health checkers against real servers')) {
  let directory: string;
  let dnsmasq: ChildProcess;

  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sluice-checkers-'));
    ip('link set lo up');
    for (const address of [OWN, SERVER, FILTERED]) ip(`addr add ${address}/32 dev lo`);
    run(
      'nft',
      `add table ip t; add chain ip t in { type filter hook input priority 0; };
      add rule ip t in ip daddr ${FILTERED} drop; add rule ip t in meta mark 77 counter`,
    );
    const key = join(directory, 'key.pem');
    const certificate = join(directory, 'cert.pem');
    const subject = ['-subj', '/CN=www.example', '-addext', 'subjectAltName=DNS:www.example'];
    const pair = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate];
    execFileSync('openssl', ['req', '-x509', ...pair, ...subject, '-days', '2'], {
      stdio: 'ignore',
    });
    createHttp(pages).listen(ports.http, SERVER).unref();
    const tls = { key: readFileSync(key), cert: readFileSync(certificate) };
    createHttps(tls, pages).listen(ports.https, SERVER).unref();
    serveTcp(ports.smtp, serveSmtp);
    serveTcp(ports.mute, () => {});
    serveTcp(ports.odd, (socket) => socket.end('421 busy\r\n'));
    serveTcp(ports.endless, (socket) => socket.write(`220 ${'x'.repeat(1 << 20)}`));
    serveTcp(ports.sly, (socket) => socket.end('421 \x1b[2Jbusy\r\n'));
    const echo = createSocket('udp4');
    echo.on('message', (bytes, { port, address }) => echo.send(bytes, port, address));
    echo.bind(ports.echo, SERVER).unref();
    createSocket('udp4').bind(ports.sink, SERVER).unref();
    dnsmasq = spawn(
      'dnsmasq',
      [
        '-k',
        '--conf-file=/dev/null',
        '--no-resolv',
        '--no-hosts',
        '--user=root',
        '--pid-file=',
        `--listen-address=${SERVER}`,
        '--bind-interfaces',
        '--address=/www.example/198.51.100.80',
      ],
      { stdio: 'ignore' },
    );
    await until('dnsmasq listens', () => run('ss', '-Hlun', 'sport', '=', ':53').includes(SERVER));
    await sleep(50);
  });

  test.after(() => {
    dnsmasq.kill();
    rmSync(directory, { recursive: true });
  });

  for (const row of ROWS) {
    test(row.it, async () => {
      // On a busy machine a handshake takes its time; silence is a row's own matter.
      const patient = row.ok && ['tcp', 'http', 'smtp'].includes(row.check.type);
      const one = patient ? { ...row.check, connectTimeoutMs: 5_000 } : row.check;
      const { ok, detail } = await check(one, row.port, row.address);
      assert.match(detail, row.says);
      assert.is(ok, row.ok);
    });
  }

  test('HTTPS: verified against its own authority, and by its name', async () => {
    const ca = join(directory, 'cert.pem');
    const good = http({}, { tls: true, verify: true, ca, sni: true, virtualhost: 'www.example' });
    assert.equal(await check(good, ports.https), { ok: true, detail: 'status 200' });
    const { ok, detail } = await check({ ...good, virtualhost: 'mail.example' }, ports.https);
    assert.is(ok, false);
    assert.match(detail, /^TLS: ERR_TLS_CERT_ALTNAME_INVALID$/);
  });

  for (const one of [tcp, udp(), { ...COMMON, type: 'ping' } as Check, http()]) {
    test(`${one.type}: packets carry the mark and come from the address asked for`, async () => {
      const marked = () =>
        Number(/counter packets (\d+)/.exec(run('nft', 'list', 'table', 't'))?.[1]);
      const before = marked();
      const port = one.type === 'udp' ? ports.sink : ports.http;
      const asked = { ...one, fwmark: 77, bindTo: OWN, bindInterface: 'lo' } as Check;
      assert.is((await check(asked, port)).ok, true);
      assert.ok(marked() > before, 'no packet had the mark');
    });
  }

  test('no checker leaves a socket behind', async () => {
    await Promise.all(ROWS.map((row) => check(row.check, row.port, row.address)));
    const ours = run('ss', '-Hanptu')
      .split('\n')
      .filter((line) => line.includes(`pid=${process.pid},`));
    const open = ours.filter((line) => !/LISTEN/.test(line) && !line.includes(`${SERVER}:`));
    assert.equal(open, []);
  });

  test('a busy event loop is not the server’s fault', async () => {
    const targets: [Check, number][] = [
      [tcp, ports.mute],
      [udp({ payload: '01', requireReply: true }), ports.echo],
      [dns(), ports.dns],
    ];
    for (const [one, port] of targets) {
      // dnsmasq and the kernel answer meanwhile; the echo server, in this process, right after.
      const result = check(
        { ...one, connectTimeoutMs: one.type === 'udp' ? 2_000 : 300 } as Check,
        port,
      );
      await new Promise((done) => setImmediate(done));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
      assert.is((await result).ok, true, one.type);
    }
  });

  test('an aborted check ends at once', async () => {
    const abort = new AbortController();
    const target = {
      ...{ server: { address: FILTERED, port: 80 }, service: { address: OWN, port: 80 } },
      mode: 'nat' as const,
    };
    const slow = { ...tcp, connectTimeoutMs: 60_000 } as Check;
    const result = probe(slow, target, 0, abort.signal);
    abort.abort();
    assert.equal(await result, { ok: false, detail: 'given up' });
  });

  test('MISC: exit status, time limit, dynamic weight, missing program, user', async () => {
    const misc = (script: string, more: object = {}): Check => ({
      ...TIMING,
      type: 'misc',
      script: { argv: ['/bin/sh', '-c', script], user: undefined, group: undefined },
      timeoutMs: 300,
      dynamic: false,
      ...more,
    });
    assert.equal(await check(misc('exit 0'), 0), { ok: true, detail: 'status 0' });
    assert.equal(await check(misc('exit 3'), 0), { ok: false, detail: 'status 3' });
    const { ok, weight } = await check(misc('exit 12', { dynamic: true }), 0);
    assert.is(ok, true);
    assert.equal(weight, { set: 10 });
    // The shell's child goes with it.
    const pid = join(directory, 'pid');
    const slow = await check(misc(`sleep 60 & echo $! > ${pid}; wait`), 0);
    assert.equal(slow, { ok: false, detail: 'killed after 0.3 s' });
    await sleep(50);
    assert.is(isRunning(Number(readFileSync(pid, 'utf8'))), false);
    const missing = { argv: ['/nowhere/at/all'], user: undefined, group: undefined };
    assert.match((await check(misc('', { script: missing }), 0)).detail, /ENOENT/);
    const nobody = {
      argv: ['/bin/sh', '-c', 'test $(id -un) = nobody'],
      user: 'nobody',
      group: undefined,
    };
    assert.is((await check(misc('', { script: nobody }), 0)).ok, true);
    const unknown = { ...nobody, user: 'noone-at-all' };
    assert.match((await check(misc('', { script: unknown }), 0)).detail, /no user noone-at-all/);
  });

  test('FILE: a number decides or weighs', async () => {
    const path = join(directory, 'number');
    const file = (content: string, more: object = {}) => {
      writeFileSync(path, content);
      const one = {
        type: 'file',
        path,
        weight: 1,
        reverse: false,
        dynamic: true,
        ...more,
      } as Check;
      return check(one, 0);
    };
    assert.equal((await file('7\n')).weight, { add: 7 });
    assert.equal((await file('7\n', { reverse: true, weight: 2 })).weight, { add: -14 });
    assert.is((await file('-254')).ok, false);
    assert.is((await file('1', { weight: 0 })).ok, false);
    assert.is((await file('0', { weight: 0 })).ok, true);
    assert.is((await file('0', { weight: 0, reverse: true })).ok, false);
    assert.match((await file('many')).detail, /'many' is no number/);
    rmSync(path);
    assert.is(
      (await check({ type: 'file', path, weight: 1, reverse: false, dynamic: false }, 0)).ok,
      false,
    );
  });

  test('BFD: the session is asked of BIRD', async () => {
    const socket = join(directory, 'bird.ctl');
    const table = `1020-IP address                Interface  State      Since         Interval  Timeout
 ${SERVER}             lo         Up         12:00:00.000    0.050    0.150
 198.51.100.13             lo         Down       12:00:00.000    0.050    0.000
0000 \n`;
    const bird = createServer((client) => {
      client.write('0001 BIRD 2.0.12 ready.\n');
      client.on('data', () => client.write(table));
    })
      .listen(socket)
      .unref();
    const bfd: Check = { type: 'bfd', name: 'one', neighbour: undefined, socket, alpha: true };
    assert.equal(await check(bfd, 0), { ok: true, detail: 'session is Up' });
    const other = await check({ ...bfd, neighbour: '198.51.100.13' }, 0);
    assert.equal(other, { ok: false, detail: 'session is Down' });
    const none = await check({ ...bfd, neighbour: '198.51.100.99' }, 0);
    assert.equal(none, { ok: false, detail: 'no session' });
    bird.close();
    const gone = await check({ ...bfd, socket: join(directory, 'nowhere') }, 0);
    assert.is(gone.ok, false);
  });

  test.run();
}
