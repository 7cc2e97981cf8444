// lab
// timeout: 180
/**
 * A director as a service: root starts it, it goes on as another user with few capabilities, and
 * tells the service manager what becomes of it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';
import { Folder, finished, start } from './support.js';

const folder = new Folder();
const SOCKET = folder.file('run/d1.sock');
const MANAGER = folder.file('manager.sock');
const REPORT = folder.file('scripts/report');

/** CAP_NET_BIND_SERVICE, NET_ADMIN, NET_RAW, IPC_LOCK and BPF. */
const KEPT = '0000008000007400';

const yaml = (more: string) => `\
director:
  name: d1
  socket: ${SOCKET}
  ${more}
  hugepages: false
  memory: 256
  mbufs: 8192
  maxConnections: 4096
  maxServices: 16
  maxServers: 16
ports:
  - { name: front, device: "net_af_packet0,iface=f0", addresses: [192.0.2.1/24] }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    health: { delayLoop: 1s, warmup: 0, checks: [{ type: misc, script: ${folder.file('who.sh')} }] }
    servers: [{ address: 192.0.2.11:8080 }]
`;

const NAMESPACE = [
  'unshare',
  '--net',
  'sh',
  '-c',
  'ip link add f0 type veth peer name f1 && ip link set f0 up && ip link set f1 up && exec "$@"',
  'sh',
];

/** Prints what comes to the manager's socket. */
const LISTEN = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777)
while True: print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`;

let manager: ChildProcess;
let director: ChildProcess;
let told = '';
let log = '';

async function until(what: string, met: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!met()) {
    if (Date.now() > deadline) throw new Error(`waited for ${what} in vain:\n${log}\n${told}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

const threads = () =>
  readdirSync(`/proc/${director.pid}/task`).map((task) =>
    readFileSync(`/proc/${director.pid}/task/${task}/status`, 'utf8'),
  );

if (process.getuid?.() !== 0 || spawnSync('unshare', ['--net', 'true']).status !== 0) {
  skip('a director as a service', 'needs root for a network namespace');
} else {
  test.before(async () => {
    chmodSync(folder.path, 0o755);
    mkdirSync(folder.file('scripts'));
    chmodSync(folder.file('scripts'), 0o777);
    const script = folder.write(
      'who.sh',
      `#!/bin/sh\n(id -u; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status) > ${REPORT}\n`,
    );
    chmodSync(script, 0o755);
    manager = spawn('python3', ['-c', LISTEN, MANAGER], { stdio: ['ignore', 'pipe', 'inherit'] });
    manager.stdout?.on('data', (chunk: Buffer) => {
      told += chunk;
    });
    await until('the socket', () => existsSync(MANAGER));
  });
  test.after(() => {
    director?.kill('SIGKILL');
    manager?.kill('SIGKILL');
    folder.remove();
  });

  test('a user that is not there is an error, and nothing is started', async () => {
    folder.write('d1.yaml', yaml('user: nosuchuser'));
    const ran = await finished(start(['run', '-c', 'd1.yaml'], folder.path, NAMESPACE));
    assert.is(ran.status, 1);
    assert.match(ran.stderr, /there is no user nosuchuser \[ERR_PRIVILEGE\]/);
  });

  test('it goes on as that user, and says that it is ready when it forwards', async () => {
    folder.write('d1.yaml', yaml('user: nobody\n  socketGroup: nogroup'));
    director = start(['run', '-c', 'd1.yaml', '--log-format', 'journal'], folder.path, [
      'env',
      `NOTIFY_SOCKET=${MANAGER}`,
      'WATCHDOG_USEC=3000000',
      ...NAMESPACE,
    ]);
    director.stderr?.on('data', (chunk: Buffer) => {
      log += chunk;
    });
    await until('READY=1', () => told.includes('READY=1'));
    assert.match(told, /^READY=1\|STATUS=forwarding; 1 service, 1 server, generation 1\|$/m);
    assert.match(log, /^<6>goes on as user nobody with CAP_NET_BIND_SERVICE CAP_NET_ADMIN/m);
    assert.match(log, /^<6>director d1 forwards on CPU/m, 'the log goes on where it was');
    assert.not.match(log, /^<[34]>/m, 'neither errors nor warnings');
  });

  test('every thread has that user and what it needs, and no more', async () => {
    const all = threads();
    assert.ok(all.length > 8);
    for (const status of all) {
      assert.match(status, /^Uid:\s65534\s65534\s65534\s65534$/m);
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) {
        assert.match(status, new RegExp(`^${set}:\\s${KEPT}$`, 'm'));
      }
    }
  });

  test('scripts have nothing of it', async () => {
    await until(
      'the script',
      () => existsSync(REPORT) && /CapAmb/.test(readFileSync(REPORT, 'utf8')),
    );
    const none = '0000000000000000';
    assert.is(
      readFileSync(REPORT, 'utf8'),
      `65534\nCapPrm:\t${none}\nCapEff:\t${none}\nCapAmb:\t${none}\n`,
    );
  });

  test("the control socket is its owner's and the group's", () => {
    const { mode, uid, gid } = statSync(SOCKET);
    assert.equal([mode & 0o777, uid, gid], [0o660, 65534, 65534]);
  });

  test('the watchdog is fed, a reload is told, and the end', async () => {
    await until('food', () => told.split('WATCHDOG=1|').length > 3);
    director.kill('SIGHUP');
    await until('the reload', () => /^RELOADING=1\|MONOTONIC_USEC=\d+\|.*\nREADY=1\|/m.test(told));
    const ended = finished(director);
    director.kill('SIGTERM');
    assert.is((await ended).status, 0);
    await until('STOPPING=1', () => /^STOPPING=1\|STATUS=stopping\|$/m.test(told));
    assert.not.ok(existsSync(SOCKET));
  });
}

test.run();
