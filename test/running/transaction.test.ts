/** Changes of a running director: published whole or not at all, told, and taken back. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HistoryReport } from '../../src/api/types.js';
import { tcp } from '../support/packet.js';
import { RunningReplay } from '../support/running.js';

const file = (servers: string, more = '') => `\
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
    scheduler: rr
    servers: [${servers}]
${more}`;
const A = '{ address: 198.51.100.11:8080 }';
const B = '{ address: 198.51.100.12:8080 }';

let director: RunningReplay;
test.before.each(async () => {
  director = await new RunningReplay(file(`${A}, ${B}`)).open();
});
test.after.each(() => director.close());

const run = async (line: string) => {
  const ran = await director.ipvsadm(line.split(' '));
  assert.equal(ran, { ...ran, status: 0, error: '' }, line);
  return ran.out;
};
const saved = () => run('-Sn');
const syn = (host: number) =>
  director.send(
    'front',
    tcp({
      flags: 'S',
      from: `192.0.2.${host}:40000`,
      to: '203.0.113.10:80',
      fromMac: '02:00:00:00:00:fe',
      toMac: '02:00:00:00:01:01',
    }),
  );
const refused = async (action: Promise<unknown>, code: string): Promise<string> => {
  try {
    await action;
  } catch (error) {
    assert.is((error as { code: string }).code, code, (error as Error).message);
    return (error as Error).message;
  }
  throw new Error(`not refused with ${code}`);
};

test('connections and counters live through edits; a removed server’s come back with it', async () => {
  for (const host of [7, 8, 9, 10]) assert.is(syn(host), 1);
  const counts = async () =>
    Object.fromEntries(
      (await director.client.services())[0]?.servers.map((one) => [
        one.address,
        [one.weight, one.conns, one.active + one.inactive],
      ]) ?? [],
    );
  assert.equal(await counts(), { '198.51.100.11': [1, 2, 2], '198.51.100.12': [1, 2, 2] });
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 0');
  assert.equal(await counts(), { '198.51.100.11': [0, 2, 2], '198.51.100.12': [1, 2, 2] });
  syn(11);
  await run('-E -t 203.0.113.10:80 -s wlc');
  assert.equal(await counts(), { '198.51.100.11': [0, 2, 2], '198.51.100.12': [1, 3, 3] });
  await run('-d -t 203.0.113.10:80 -r 198.51.100.12:8080');
  assert.equal(await counts(), { '198.51.100.11': [0, 2, 2] });
  await run('-a -t 203.0.113.10:80 -r 198.51.100.12:8080 -m -w 4');
  assert.equal(await counts(), { '198.51.100.11': [0, 2, 2], '198.51.100.12': [4, 3, 3] });
  await run('-Z');
  assert.equal(await counts(), { '198.51.100.11': [0, 0, 2], '198.51.100.12': [4, 0, 3] });
});

test('a file read again refuses to overwrite edits, keeps them, or drops them', async () => {
  await run('-a -t 203.0.113.10:80 -r 198.51.100.13:8080 -m -w 3');
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 7');
  await run('--set 100 0 0');
  const before = await saved();
  director.write(
    file('{ address: 198.51.100.11:8080 }, { address: 198.51.100.12:8080, weight: 2 }'),
  );
  const message = await refused(director.client.reload(), 'ERR_RUNTIME_EDITS');
  assert.match(message, /\n {2}\+ server tcp 203\.0\.113\.10:80 198\.51\.100\.13:8080\n/);
  assert.match(
    message,
    /\n {2}~ server tcp 203\.0\.113\.10:80 198\.51\.100\.11:8080: weight 1 → 7\n/,
  );
  assert.match(message, /\n {2}~ timeouts: tcp 900 s → 100 s$/);
  assert.is(await saved(), before);

  const kept = await director.client.reload({ edits: 'keep' });
  assert.is(kept.edits.length, 3);
  assert.is(
    await saved(),
    `\
-A -t 203.0.113.10:80 -s rr
-a -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 7
-a -t 203.0.113.10:80 -r 198.51.100.12:8080 -m -w 2
-a -t 203.0.113.10:80 -r 198.51.100.13:8080 -m -w 3\n`,
  );
  const dropped = await director.client.reload({ edits: 'discard' });
  assert.equal(dropped.edits, []);
  assert.equal((await director.client.status()).edits, []);
  assert.is(await run('-L --timeout'), 'Timeout (tcp tcpfin udp): 900 120 300\n');
  assert.is((await director.client.reload()).summary, 'nothing changed');
});

test('where the file changed what was edited, the file wins and says so', async () => {
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 7');
  await run('-d -t 203.0.113.10:80 -r 198.51.100.12:8080');
  director.write(
    file('{ address: 198.51.100.11:8080, weight: 2 }, { address: 198.51.100.12:8080 }'),
  );
  const report = await director.client.reload({ edits: 'keep' });
  assert.equal(report.warnings, [
    "the file's change of tcp 203.0.113.10:80 198.51.100.11:8080 replaced a run-time edit",
  ]);
  assert.equal(report.edits, ['- server tcp 203.0.113.10:80 198.51.100.12:8080']);
  assert.match(await saved(), /198\.51\.100\.11:8080 -m -w 2\n$/);
});

test('diff: what a file would change, the connections it touches, and the edits', async () => {
  for (const host of [7, 8, 9]) syn(host);
  await run('-A -u 203.0.113.10:53 -s rr');
  const other = join(director.folder, 'other.yaml');
  writeFileSync(other, file(A.replace(' }', ', weight: 5 }')));
  const before = await saved();
  const shown = ({ change, what, key, connections }: Record<string, unknown>) =>
    [change, what, key, connections].join(' ');
  const kept = await director.client.diff(other);
  assert.equal(
    kept.changes.map((one) => shown({ ...one })),
    [
      'removed server tcp 203.0.113.10:80 198.51.100.12:8080 2',
      'changed server tcp 203.0.113.10:80 198.51.100.11:8080 1',
    ],
  );
  assert.equal(
    kept.edits.map((one) => shown({ ...one })),
    ['added service udp 203.0.113.10:53 0'],
  );
  const discarded = await director.client.diff(other, true);
  assert.is(discarded.changes.length, 3);
  assert.is(await saved(), before);
  writeFileSync(other, file('{ address: 203.0.113.10:80 }'));
  await refused(director.client.diff(other), 'ERR_CONFIG');
});

test('apply runs another file from now on; what needs a restart is refused whole', async () => {
  const other = join(director.folder, 'other.yaml');
  writeFileSync(other, file(B, 'timeouts: { udp: 7 }\n'));
  await director.client.reload({ file: other, cause: 'sluice apply' });
  assert.is((await director.client.status()).config, other);
  assert.is(await run('-L --timeout'), 'Timeout (tcp tcpfin udp): 900 120 7\n');
  writeFileSync(other, `director: { maxServices: 7 }\n${file(A)}`);
  await refused(director.client.reload({ file: other }), 'ERR_RESTART_NEEDED');
  assert.equal((await director.client.diff(other)).restart, ['director.maxServices']);
  assert.match(await saved(), /198\.51\.100\.12:8080 -m -w 1\n$/);
});

test('history and rollback, by default to the last generation and by number to any', async () => {
  const first = await saved();
  await run('-A -t 203.0.113.11:80 -s rr');
  const second = await saved();
  await run('-C');
  assert.is(await saved(), '');
  const causes = (await director.client.history()).map(({ generation, cause, current }) =>
    [generation, cause.replace(director.file, 'FILE'), current].join(' '),
  );
  assert.equal(causes, [
    '1 start with FILE false',
    '2 ipvsadm -A -t 203.0.113.11:80 -s rr false',
    '3 ipvsadm -C true',
  ]);
  const back = await director.client.rollback();
  assert.equal(back.edits, ['+ service tcp 203.0.113.11:80']);
  assert.is(await saved(), second);
  const start = await director.client.rollback(1);
  assert.equal(start.edits, []);
  assert.is(await saved(), first);
  assert.match(
    await refused(director.client.rollback(99), 'ERR_NO_GENERATION'),
    /there are: 1, 2, 3, 4, 5$/,
  );
  for (let count = 0; count < 40; count++) await run(`--set ${count + 1} 0 0`);
  assert.is((await director.client.history()).length, 32);
});

test('an edit that says what is so already is no generation; the real ipvsadm says nothing either', async () => {
  await run('-A -u 203.0.113.10:53 -s rr -p 60');
  const history = await director.client.history();
  const { generation } = await director.client.status();
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 1');
  await run('-E -u 203.0.113.10:53 -s rr -p 60');
  await run('--set 900 0 0');
  const where = {
    service: { protocol: 'tcp' as const, listen: { address: '203.0.113.10', port: 80 } },
    server: { address: '198.51.100.11', port: 8080 },
  };
  const same = [{ edit: 'setWeight' as const, ...where, weight: 1 }];
  const report = await director.client.edit({ edits: same, cause: 'the same' });
  const { results, ...said } = report;
  assert.equal(said, { generation, summary: 'nothing changed', changes: [], more: 0 });
  assert.equal(results, [null]);
  // There and back again in one request.
  const back = [{ edit: 'drainServer' as const, ...where }, ...same];
  assert.is((await director.client.edit({ edits: back, cause: 'back' })).summary, said.summary);
  await director.client.edit({ edits: back.slice(0, 1), cause: 'drain' });
  const again = await director.client.edit({ edits: back.slice(0, 1), cause: 'drain' });
  assert.is(again.summary, 'nothing changed');
  const causes = (list: HistoryReport[]) => list.map(({ cause }) => cause);
  assert.equal(causes(await director.client.history()), [...causes(history), 'drain']);
});

test('a file that says the same is read, and is no generation; nor is where it says what was edited', async () => {
  const history = await director.client.history();
  const report = await director.client.reload();
  assert.equal(report, { ...report, summary: 'nothing changed', changes: [], more: 0 });
  director.write(`# a comment\n${file(`${A}, ${B}`)}`);
  assert.is((await director.client.reload()).summary, 'nothing changed');
  const other = join(director.folder, 'other.yaml');
  writeFileSync(other, file(`${A}, ${B}`));
  assert.is((await director.client.reload({ file: other })).summary, 'nothing changed');
  assert.is((await director.client.status()).config, other, 'it is the one that runs');
  assert.equal(await director.client.history(), history);
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 7');
  writeFileSync(other, file(`${A.replace(' }', ', weight: 7 }')}, ${B}`));
  const kept = await director.client.reload({ edits: 'keep' });
  assert.equal([kept.summary, kept.edits], ['nothing changed', []]);
  assert.is((await director.client.history()).length, history.length + 1);
});

test('history has each change in words and as data, in bounds', async () => {
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 3 -x 100');
  await run('-E -t 203.0.113.10:80 -s wlc');
  const [, weight, scheduler] = await director.client.history();
  assert.equal(weight?.changes, [
    {
      what: 'server',
      change: 'changed',
      key: 'tcp 203.0.113.10:80 198.51.100.11:8080',
      fields: [
        { field: 'weight', from: 1, to: 3 },
        { field: 'upper threshold', from: 0, to: 100 },
      ],
      details: ['weight 1 → 3', 'upper threshold 0 → 100'],
    },
  ]);
  assert.is(scheduler?.summary, '~ service tcp 203.0.113.10:80: scheduler rr → wlc');
  const many = Array.from(
    { length: 900 },
    (_, n) => `-a -t 203.0.113.10:80 -r 10.0.${n >> 8}.${n & 255}:8080 -m`,
  );
  assert.is((await director.ipvsadm(['-R'], many.join('\n'))).status, 0);
  const last = (await director.client.history()).at(-1);
  assert.equal([last?.changes.length, last?.more], [50, 850]);
  assert.match(
    last?.summary ?? '',
    /^\+ 900 servers of tcp 203\.0\.113\.10:80 \(.* and 896 more\)$/,
  );
});

test('rollback twice is there and back; each says what it has changed', async () => {
  await run('-e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 3');
  const said = async (generation?: number) => (await director.client.rollback(generation)).summary;
  const name = '~ server tcp 203.0.113.10:80 198.51.100.11:8080: weight';
  assert.is(await said(), `${name} 3 → 1`);
  assert.is(await said(), `${name} 1 → 3`);
  // Of a rollback, by its number.
  assert.is(await said(3), `${name} 3 → 1`);
  assert.is(await said(1), 'nothing changed');
  const history = await director.client.history();
  assert.equal(
    history.map(({ generation, cause }) => `${generation} ${cause}`.replace(director.file, 'FILE')),
    [
      '1 start with FILE',
      '2 ipvsadm -e -t 203.0.113.10:80 -r 198.51.100.11:8080 -m -w 3',
      '3 rollback to 1',
      '4 rollback to 2',
      '5 rollback to 3',
    ],
  );
});

test('sync daemons of run time are edits: told, in the way of a file, kept or dropped', async () => {
  await run('--start-daemon master --mcast-interface vec0 --syncid 3');
  const edit = '+ sync daemon master on vec0 (syncid 3)';
  assert.equal((await director.client.status()).edits, [edit]);
  const { edits, changes } = await director.client.diff();
  assert.equal([edits.length, edits[0]?.what, changes.length], [1, 'sync daemon', 0]);
  const [dropped] = (await director.client.diff(undefined, true)).changes;
  assert.equal([dropped?.what, dropped?.change], ['sync daemon', 'removed']);
  const message = await refused(director.client.reload(), 'ERR_RUNTIME_EDITS');
  assert.match(message, /:\n {2}\+ sync daemon master on vec0 \(syncid 3\)$/);
  assert.equal((await director.client.reload({ edits: 'keep' })).edits, [edit]);
  assert.is((await director.client.sync()).daemons.length, 1);
  const discarded = await director.client.reload({ edits: 'discard' });
  assert.equal([discarded.summary, discarded.edits], [edit.replace('+', '-'), []]);
  assert.equal((await director.client.sync()).daemons, []);
  await run('--start-daemon backup --mcast-interface vec0');
  await run('--stop-daemon backup');
  assert.equal((await director.client.status()).edits, []);
});

test('together: all edits or none; apart: those that can be made', async () => {
  const service = { protocol: 'tcp' as const, listen: { address: '203.0.113.12', port: 80 } };
  const settings = {
    scheduler: 'rr' as const,
    schedulePort: false,
    scheduleFallback: false,
    onePacket: false,
  };
  const good = { edit: 'addService' as const, service, settings };
  const own = { ...service, listen: { address: '192.0.2.1', port: 80 } };
  const bad = { edit: 'addService' as const, service: own, settings };
  const before = await saved();
  const request = { edits: [good, bad, good], cause: 'a test' };
  await refused(director.client.edit(request), 'ERR_SERVICE_EXISTS');
  await refused(director.client.edit({ ...request, edits: [good, bad] }), 'ERR_CONFIG_CONFLICT');
  assert.is(await saved(), before);
  const { results } = await director.client.edit({ ...request, together: false });
  assert.equal(
    results.map((one) => one?.code ?? ''),
    ['', 'ERR_CONFIG_CONFLICT', 'ERR_SERVICE_EXISTS'],
  );
  assert.is(await saved(), `${before}-A -t 203.0.113.12:80 -s rr\n`);
});

test('a publication that fails leaves everything as it was', async () => {
  const before = await saved();
  director.failure = Object.assign(new Error('no'), { code: 'ERR_NATIVE_SNAPSHOT' });
  const ran = await director.ipvsadm(['-C']);
  assert.equal(ran, { status: 255, out: '', error: 'ERR_NATIVE_SNAPSHOT: no\n' });
  director.failure = undefined;
  assert.is(await saved(), before);
  assert.is((await director.client.history()).length, 1);
  await run('-D -t 203.0.113.10:80');
  assert.is(await saved(), '');
});

test('requests that make no sense are refused with what is wrong', async () => {
  const edit = (edits: unknown) =>
    refused(director.client.edit({ edits, cause: 'a test' } as never), 'ERR_API');
  assert.match(await edit([{ edit: 'destroy' }]), /edits\.0\.edit: /);
  assert.match(await edit('all'), /^edits: /);
  assert.match(
    await edit([
      { edit: 'removeService', service: { protocol: 'tcp', listen: { address: 'x', port: 1 } } },
    ]),
    /is "x", expected an address/,
  );
  await refused(director.client.reload({ file: 'relative.yaml' }), 'ERR_API');
  await refused(
    director.client.zero({ protocol: 'tcp', listen: { address: '203.0.113.9', port: 1 } }),
    'ERR_NO_SUCH_SERVICE',
  );
});

test.run();
