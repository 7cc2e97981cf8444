/** A running director as objects: what attach() gives, and the prompt with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attach, type RunningDirector } from '../../src/api/attach.js';
import { tcp } from '../support/packet.js';
import { RunningReplay } from '../support/running.js';
import { COMMAND, Folder, start } from './support.js';

const file = (weight: number) => `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:11 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers: [{ address: 198.51.100.11:8080, weight: ${weight} }]
  - { name: empty, listen: 203.0.113.11:80, mode: nat }
`;

const folder = new Folder();
test.after(() => folder.remove());

let replay: RunningReplay;
let director: RunningDirector;
test.before.each(async () => {
  replay = await new RunningReplay(file(3)).open();
  director = await attach(replay.socket);
});
test.after.each(() => replay.close());

const servers = async () =>
  (await director.service('web')).servers.map(({ address, weight }) => `${address} ${weight}`);
const refused = async (promise: Promise<unknown>, code: string) => {
  const error = await promise.then(
    () => undefined,
    (reason: { code: string }) => reason,
  );
  assert.is(error?.code, code);
};

test('looking: data that prints as a listing', async () => {
  const frame = { fromMac: '02:00:00:00:00:fe', toMac: '02:00:00:00:01:01' };
  replay.send(
    'front',
    tcp({ flags: 'S', from: '192.0.2.7:40000', to: '203.0.113.10:80', ...frame }),
  );
  assert.match(inspect(director), /\.drain\('web', /);
  assert.match(inspect(await director.services), /TCP {2}203\.0\.113\.10:80 wlc\n/);
  const web = await director.service('203.0.113.10:80');
  assert.is(web.name, 'web');
  assert.match(inspect(web), /198\.51\.100\.11:8080 +Masq +3/);
  assert.not.match(inspect(web), /203\.0\.113\.11/);
  assert.match(inspect(await director.health), /up {3}weight 3 {2}not checked/);
  assert.is((await director.counters).forwarded_nat, 1);
  assert.is((await director.connections({ client: '192.0.2.7' })).length, 1);
  assert.is((await director.connections({ client: '192.0.2.8' })).length, 0);
  const explained = await director.explain('192.0.2.7:40000', '203.0.113.10:80');
  assert.is(explained.connection?.client, '192.0.2.7');
  assert.match(inspect(explained), /^TCP 192\.0\.2\.7:40000 → 203\.0\.113\.10:80/);
  await refused(director.explain('nobody', '203.0.113.10:80'), 'ERR_API');
});

test('changing: servers, weights, and back', async () => {
  assert.match(
    inspect(await director.drain('web', '198.51.100.11')),
    /^generation \d+: ~ server tcp 203\.0\.113\.10:80 198\.51\.100\.11:8080: drained$/,
  );
  assert.is(inspect(await director.drain('web', '198.51.100.11')), 'nothing changed');
  assert.equal(await servers(), ['198.51.100.11 0']);
  await director.undrain('web', '198.51.100.11');
  await director.weight('web', '198.51.100.11:8080', 5);
  await director.addServer('web', '198.51.100.12:8080', { weight: 2 });
  assert.equal(await servers(), ['198.51.100.11 5', '198.51.100.12 2']);
  await director.removeServer('web', '198.51.100.12');
  assert.equal(await servers(), ['198.51.100.11 5']);
  await director.addServer('empty', '198.51.100.12:80', { mode: 'nat' });
  await refused(director.addServer('web', '198.51.100.11:8080'), 'ERR_SERVER_EXISTS');
  await refused(director.addServer('web', 'somewhere'), 'ERR_API');
  await refused(director.removeServer('web', '198.51.100.99'), 'ERR_NO_SUCH_SERVER');
  const history = await director.history;
  assert.equal(
    history.slice(1).map(({ cause }) => cause),
    [
      'drain web 198.51.100.11',
      'undrain web 198.51.100.11',
      'weight 5 web 198.51.100.11:8080',
      'add server 198.51.100.12:8080 to web',
      'remove server 198.51.100.12 of web',
      'add server 198.51.100.12:80 to empty',
    ],
  );
  assert.match(inspect(history), /^ +Generation +Time +Cause +Change\n/);
  assert.match(
    inspect(await director.rollback(history[0]?.generation)),
    /^rolled back:\n {2}- server tcp \S+ \S+\n {2}~ /,
  );
  assert.equal(await servers(), ['198.51.100.11 3']);
});

test('files: what one would change, running it, and edits in its way', async () => {
  await director.weight('web', '198.51.100.11', 4);
  const next = folder.write('next.yaml', file(7));
  const diff = await director.diff(next);
  assert.is(diff.changes.length, 1);
  assert.match(inspect(diff), /next\.yaml would change in the running director:\n/);
  await refused(director.apply(next), 'ERR_RUNTIME_EDITS');
  assert.match(
    inspect(await director.apply(next, 'discard')),
    /applied: ~ server tcp \S+ \S+: weight 4 → 7$/,
  );
  assert.equal(await servers(), ['198.51.100.11 7']);
  assert.match(inspect(await director.reload()), /^reloaded: nothing changed$/m);
});

/** Types each line when the prompt is there for it, and gives all that was said. */
async function typed(child: ChildProcess, end: string, lines: string[]): Promise<string> {
  let said = '';
  let next = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
    if (said.split('sluice> ').length - 1 <= next) return;
    const line = lines[next++];
    if (line !== undefined) child.stdin?.write(`${line}${end}`);
  });
  await new Promise((resolve) => child.on('close', resolve));
  return said;
}

test('sluice repl: promises and await, edits, refusals as sentences', async () => {
  const child = start(['repl', '--socket', replay.socket], folder.path);
  const said = await typed(child, '\n', [
    "director.drain('web', '198.51.100.11')",
    "const web = await director.service('web')",
    'web.servers[0].weight',
    "await director.drain('wbe', '198.51.100.11')",
    "director.undrain('wbe', '198.51.100.11')",
    'director',
    '.exit',
  ]);
  assert.match(said, /generation \d+: ~ server tcp \S+ \S+: drained\n/);
  assert.match(said, /> 0\n/);
  assert.is(said.match(/no service is called .* wbe.*\[ERR_NO_SUCH_SERVICE\]/g)?.length, 2);
  assert.not.match(said, /\n {4}at /);
  assert.match(said, /\.rollback\(generation\)/);
});

test('on a terminal what was typed is there the next time', async () => {
  // script(1) gives it a terminal.
  const command = [...COMMAND, 'repl', '--socket', replay.socket].join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, XDG_STATE_HOME: folder.file('state'), TERM: 'dumb' },
  });
  const said = await typed(child, '\r', ['40 + 2', '.exit']);
  assert.match(said, /\n42\r?\n/);
  const history = readFileSync(folder.file('state/sluice/repl_history'), 'utf8');
  assert.match(history, /^40 \+ 2$/m);
});

test.run();
