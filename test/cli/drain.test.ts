// timeout: 300
/** `sluice drain`, `undrain` and `weight` against a director with packets. */
import type { ChildProcess } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findTargets, type Target, targetId } from '../../src/api/targets.js';
import { formatServices } from '../../src/cli/format.js';
import type { SluiceError } from '../../src/errors.js';
import { tcp } from '../support/packet.js';
import { RunningReplay } from '../support/running.js';
import { Folder, finished, start } from './support.js';

const FILE = `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:11 }
  - { address: 198.51.100.12, mac: 02:00:00:00:02:12 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    scheduler: wrr
    servers:
      - { address: 198.51.100.11:8080, weight: 3 }
      - { address: 198.51.100.12:8080 }
      - { address: 198.51.100.12:8081, weight: 0 }
  - name: other
    listen: 203.0.113.11:53
    mode: nat
    servers: [{ address: 198.51.100.11:53, weight: 9 }]
  - name: other-udp
    listen: 203.0.113.11:53
    protocol: udp
    mode: nat
    servers: [{ address: 198.51.100.11:53 }]
`;

const folder = new Folder();
test.after(() => folder.remove());

let director: RunningReplay;
test.before.each(async () => {
  director = await new RunningReplay(FILE).open();
});
test.after.each(() => director.close());

const run = (...args: string[]) => folder.run(...args, '--socket', director.socket);
const good = async (...args: string[]) => {
  const ran = await run(...args);
  assert.is(ran.status, 0, ran.stderr);
  return ran.stdout;
};
const refused = async (code: string, ...args: string[]) => {
  const ran = await run(...args);
  assert.is(ran.status, 1, ran.stdout);
  assert.match(ran.stderr, `[${code}]`);
  return ran.stderr;
};
const weights = async () =>
  (await director.client.services()).map(({ servers }) => servers.map(({ weight }) => weight));
const send = (port: number, flags: string) =>
  director.send(
    'front',
    tcp({
      flags,
      from: `192.0.2.7:${port}`,
      to: '203.0.113.10:80',
      fromMac: '02:00:00:00:00:fe',
      toMac: '02:00:00:00:01:01',
    }),
  );
const connections = async () => {
  const found: string[] = [];
  for await (const one of director.client.connections()) found.push(one.server);
  return found.sort();
};

test('new connections go elsewhere, old ones stay, and the weight comes back', async () => {
  for (let port = 1000; port < 1008; port++) send(port, 'S');
  const before = await connections();
  const kept = before.filter((server) => server === '198.51.100.11');
  assert.ok(kept.length > 0);
  assert.match(
    await good('drain', 'web', '198.51.100.11:8080'),
    /^198\.51\.100\.11:8080 of web takes no new connections\n\d active, \d inactive connections left\n$/,
  );
  assert.equal(await weights(), [[0, 1, 0], [9], [1]]);
  for (let port = 1010; port < 1014; port++) assert.is(send(port, 'S'), 1);
  assert.equal(await connections(), [...before, ...Array(4).fill('198.51.100.12')]);
  const [listing, status] = [await director.client.services(), await director.client.status()];
  assert.match(formatServices(listing, status), /198\.51\.100\.11:8080 +Masq +0 .* drained\n/);
  assert.equal(status.edits, ['~ server tcp 203.0.113.10:80 198.51.100.11:8080: drained']);
  const { candidates } = await director.client.explain({
    from: '192.0.2.9:1',
    to: '203.0.113.10:80',
    protocol: 'tcp',
  });
  assert.is(candidates[0]?.against, 'it is drained, until sluice undrain');
  assert.is(
    await good('undrain', 'web', '198.51.100.11'),
    '198.51.100.11:8080 of web has weight 3\n',
  );
  assert.equal(await weights(), [[3, 1, 0], [9], [1]]);
  assert.equal((await director.client.status()).edits, []);
});

test('--wait ends when the connections have, and --timeout before', async () => {
  for (let port = 1000; port < 1008; port++) send(port, 'S');
  const args = ['drain', 'web', '198.51.100.11', '--wait'];
  assert.match(await refused('ERR_STILL_CONNECTED', ...args, '--timeout', '1'), /after 1 s/);
  const waiting = start([...args, '--socket', director.socket], folder.path);
  const ran = finished(waiting);
  await says(waiting, /connections left/);
  director.advance(3_600);
  const { status, stdout } = await ran;
  assert.is(status, 0);
  assert.match(stdout, /\n0 active, 0 inactive connections left\n$/);
});

test('a weight ends draining, also ipvsadm’s', async () => {
  const [web] = findTargets(await director.client.services(), 'web', '198.51.100.11');
  const drain = () =>
    director.client.edit({
      edits: [{ edit: 'drainServer', ...targetId(web as Target) }],
      cause: 'a test',
    });
  await drain();
  assert.is(
    await good('weight', 'web', '198.51.100.11', '5'),
    '198.51.100.11:8080 of web has weight 5\n',
  );
  assert.equal(await weights(), [[5, 1, 0], [9], [1]]);
  await drain();
  assert.equal(await weights(), [[0, 1, 0], [9], [1]]);
  await director.ipvsadm('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 7'.split(' '));
  assert.equal(await weights(), [[7, 1, 0], [9], [1]]);
});

test('all: every service that has the server, in one step', async () => {
  await good('drain', 'all', '198.51.100.11');
  assert.equal(await weights(), [[0, 1, 0], [0], [0]]);
  const history = await director.client.history();
  assert.is(history.at(-1)?.cause, 'sluice drain all 198.51.100.11');
  assert.is(history.length, 2);
});

test('what is not there, what is two things, what has no weight to go back to', async () => {
  const services = await director.client.services();
  const refusal = (service: string, server: string) => {
    try {
      findTargets(services, service, server);
    } catch (error) {
      return `${(error as SluiceError).code} ${(error as Error).message}`;
    }
    return 'found';
  };
  assert.match(
    refusal('wbe', '198.51.100.11'),
    /ERR_NO_SUCH_SERVICE .* there are web, other, other-udp/,
  );
  assert.match(
    refusal('web', '198.51.100.99'),
    /ERR_NO_SUCH_SERVER web has no server 198\.51\.100\.99; there are 198\.51\.100\.11:8080, /,
  );
  assert.match(refusal('all', '198.51.100.99'), /ERR_NO_SUCH_SERVER/);
  assert.match(refusal('web', '198.51.100.12'), /ERR_AMBIGUOUS .* several servers of web/);
  assert.match(refusal('203.0.113.11:53', '198.51.100.11'), /ERR_AMBIGUOUS .* several services/);
  assert.is(refusal('udp 203.0.113.11:53', '198.51.100.11'), 'found');
  await refused('ERR_NOT_DRAINED', 'undrain', 'web', '198.51.100.12:8081');
  assert.is((await run('weight', 'web', '198.51.100.11', '65536')).status, 2);
  assert.equal(await weights(), [[3, 1, 0], [9], [1]]);
});

async function says(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk;
      if (pattern.test(text)) resolve();
    });
  });
}

test.run();
