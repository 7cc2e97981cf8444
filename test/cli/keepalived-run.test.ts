// lab
// timeout: 120
/** A director that runs a keepalived.conf: started, listed, reloaded, and a broken file refused. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { skip } from '../support/skip.js';
import { Folder, finished, start } from './support.js';

const folder = new Folder();
test.after(() => folder.remove());
const SOCKET = folder.file('k.sock');

const CONF = `\
local_address_group locals {
    192.0.2.200-201
}
virtual_server 203.0.113.10 80 {
    lb_algo wrr
    lb_kind FNAT
    protocol TCP
    laddr_group_name locals
    real_server 192.0.2.11 8080 {
        weight 3
    }
    real_server 192.0.2.12 8080 {
    }
}
`;
folder.write('keepalived.conf', CONF);
folder.write(
  'sluice.yaml',
  `\
director: { socket: ${SOCKET}, hugepages: false, memory: 256, mbufs: 8192, maxConnections: 4096 }
ports:
  - { name: front, device: 'net_af_packet0,iface=f0', addresses: [192.0.2.1/24] }
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

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 100) {
    assert.ok(waited < 30_000, `no ${what} within 30 s`);
    await sleep(100);
  }
}

test('run, show, SIGHUP, and a broken file', async () => {
  if (spawnSync('unshare', ['--net', 'true']).status !== 0) {
    return skip('run a keepalived.conf', 'network namespaces are not allowed here');
  }
  const child = start(['run', '-c', 'keepalived.conf'], folder.path, NAMESPACE);
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const ended = finished(child);
  try {
    await until('socket', () => existsSync(SOCKET));
    const shown = await folder.run('show', 'services', '-c', 'keepalived.conf');
    assert.match(shown.stdout, /TCP {2}203\.0\.113\.10:80 wrr/);
    assert.match(shown.stdout, /-> 192\.0\.2\.11:8080 +FullNat 3 /);

    folder.write('keepalived.conf', CONF.replace('weight 3', 'weight 5'));
    const differs = await folder.run('diff', '-c', 'keepalived.conf');
    assert.match(differs.stdout, /192\.0\.2\.11:8080: weight 3 → 5/);
    child.kill('SIGHUP');
    await until('reload', () => /reloaded .*keepalived\.conf/.test(log));

    folder.write('keepalived.conf', CONF.replace('weight 3', 'weight three'));
    const refused = await folder.run('reload', '--socket', SOCKET);
    assert.is(refused.status, 1);
    assert.match(
      refused.stderr,
      /keepalived\.conf:10:16: weight: is three, expected a whole number/,
    );
    const still = await folder.run('show', 'services', '--socket', SOCKET);
    assert.match(still.stdout, /-> 192\.0\.2\.11:8080 +FullNat 5 /);
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
});

test.run();
