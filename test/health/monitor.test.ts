/** The monitor under a clock of its own: what it tells plan(), the log and the scripts. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from '../../src/health/checkers/index.js';
import type { Check } from '../../src/health/model.js';
import type { MonitorState } from '../../src/health/state.js';
import { plan } from '../../src/plan.js';
import { monitorWith as monitor } from './monitor-bench.js';
import { COMMON, modelWith, SERVICE, serverName as server, TIMING } from './support.js';

const TCP: Check = { ...COMMON, type: 'tcp' };

test('a server that stops answering is out after its retries, and back with the first success', async () => {
  const { world, monitor: health, changes, log } = monitor();
  health.update(modelWith([[TCP], [TCP]]));
  await world.pass(1_000);
  assert.is(changes(), 0);
  world.answers.set('198.51.100.12', { ok: false, detail: 'connection refused' });
  await world.pass(2_000);
  assert.is(changes(), 1);
  assert.equal(
    [...health.health().servers],
    [
      [server(1), { up: true, weight: 2 }],
      [server(2), { up: false, weight: 2 }],
    ],
  );
  assert.equal(health.checksOf(server(2)), [
    { type: 'TCP_CHECK', up: false, detail: 'connection refused' },
  ]);
  world.answers.delete('198.51.100.12');
  await world.pass(2_000);
  assert.is(changes(), 2);
  assert.is(health.health().servers.get(server(2))?.up, true);
  assert.equal(await log(), [
    'Gained quorum 1+0=1 <= 4 for VS [203.0.113.10]:tcp:80',
    'warn: TCP_CHECK on service [198.51.100.12]:tcp:80 failed after 1 retries: connection refused.',
    'Removing service [198.51.100.12]:tcp:80 from VS [203.0.113.10]:tcp:80',
    'TCP_CHECK on service [198.51.100.12]:tcp:80 success (fine).',
    'Adding service [198.51.100.12]:tcp:80 to VS [203.0.113.10]:tcp:80',
  ]);
});

test('all checks of a server have to agree', async () => {
  const { world, monitor: health } = monitor();
  const script = { argv: ['/bin/true'], user: undefined, group: undefined };
  const misc: Check = { ...TIMING, type: 'misc', script, timeoutMs: 1_000, dynamic: false };
  health.update(modelWith([[TCP, misc]]));
  world.probe = async (check) =>
    check.type === 'misc' ? { ok: false, detail: 'status 1' } : { ok: true, detail: 'fine' };
  await world.pass(3_000);
  assert.is(health.health().servers.get(server(1))?.up, false);
  assert.equal(
    health.checksOf(server(1)).map(({ up }) => up),
    [true, false],
  );
});

test('lost and gained quorum are told, and plan() hears of it', async () => {
  const { world, monitor: health, log } = monitor();
  health.update(modelWith([[TCP], [TCP]], { quorum: 3, hysteresis: 0 }));
  await world.pass(1_000);
  world.answers.set('198.51.100.11', { ok: false, detail: 'timed out' });
  await world.pass(2_000);
  assert.equal([...health.health().lost], [SERVICE]);
  world.answers.clear();
  await world.pass(2_000);
  assert.equal([...health.health().lost], []);
  const quorum = (await log()).filter((line) => line.includes('quorum'));
  assert.equal(quorum, [
    'Gained quorum 3+0=3 <= 4 for VS [203.0.113.10]:tcp:80',
    'warn: Lost quorum 3-0=3 > 2 for VS [203.0.113.10]:tcp:80',
    'Gained quorum 3+0=3 <= 4 for VS [203.0.113.10]:tcp:80',
  ]);
});

test('alpha: nothing is up before its first success', async () => {
  const { world, monitor: health } = monitor();
  health.update(modelWith([[{ ...TCP, alpha: true, warmupMs: 400 }]]));
  assert.is(health.health().servers.get(server(1))?.up, false);
  assert.equal([...health.health().lost], [SERVICE]);
  await world.pass(199);
  assert.is(health.health().servers.get(server(1))?.up, false);
  await world.pass(1);
  assert.is(health.health().servers.get(server(1))?.up, true);
  assert.equal([...health.health().lost], []);
});

test('a dynamic check moves the weight, which counts for the quorum', async () => {
  const { world, monitor: health } = monitor();
  health.update(modelWith([[TCP]], { quorum: 2 }));
  const weight = (to: number): Outcome => ({ ok: true, detail: 'd', weight: { set: to } });
  world.answers.set('198.51.100.11', weight(40));
  await world.pass(1_000);
  assert.equal(health.health().servers.get(server(1)), { up: true, weight: 40 });
  world.answers.set('198.51.100.11', weight(1));
  await world.pass(1_000);
  assert.equal(health.health().servers.get(server(1)), { up: true, weight: 1 });
  assert.equal([...health.health().lost], [SERVICE]);
  world.answers.set('198.51.100.11', weight(-7));
  await world.pass(1_000);
  assert.is(health.health().servers.get(server(1))?.weight, 0);
});

test('a reload keeps what is known of checks that stay, and forgets the others', async () => {
  const { world, monitor: health } = monitor();
  world.answers.set('198.51.100.11', { ok: false, detail: 'no' });
  health.update(modelWith([[TCP], [TCP]]));
  await world.pass(1_500);
  assert.is(health.health().servers.get(server(1))?.up, false);
  health.update(modelWith([[TCP]]));
  assert.equal([...health.health().servers.keys()], [server(1)]);
  assert.is(health.health().servers.get(server(1))?.up, false);
  world.probes = [];
  await world.pass(3_000);
  assert.is(world.probes.length, 3);
  health.update(modelWith([[{ ...TCP, retry: 5 }]]));
  assert.is(health.health().servers.get(server(1))?.up, true, 'another check starts anew');
});

test('a change of one service leaves the others as they are, in what is known and in what is checked', async () => {
  const { world, monitor: health, log } = monitor();
  const base = modelWith([[TCP]]);
  const [web] = base.services;
  const other = {
    ...structuredClone(web!),
    name: 'b',
    listen: { address: '203.0.113.10', port: 81 },
  };
  const models = [web!, other].map((service) => ({ ...base, services: [service] }));
  const both = { ...base, services: [web!, other] };
  const key = (port: number) => `tcp 203.0.113.10:${port} 198.51.100.11:80`;
  world.answers.set('198.51.100.11', { ok: false, detail: 'no' });
  health.update(both);
  await world.pass(2_000);
  const down = { up: false, weight: 2 };
  assert.equal(
    [...health.health().servers],
    [80, 81].map((port) => [key(port), down]),
  );
  const lines = (await log()).length;
  other.servers = other.servers.map((server) => ({ ...server, weight: 7 }));
  health.update({ ...base, services: [web!, { ...other }] });
  assert.equal(
    [...health.health().servers],
    [
      [key(80), down],
      [key(81), { up: false, weight: 7 }],
    ],
  );
  assert.equal([...health.health().lost], ['tcp 203.0.113.10:80', 'tcp 203.0.113.10:81']);
  world.probes = [];
  await world.pass(2_000);
  assert.is(world.probes.length, 4, 'each goes on once a second');
  assert.is((await log()).length, lines, 'and nothing is told anew');
  // Now at another place, and alone.
  health.update(models[1]!);
  assert.equal([...health.health().servers.keys()], [key(81)]);
  assert.equal([...health.health().lost], ['tcp 203.0.113.10:81']);
  world.answers.delete('198.51.100.11');
  await world.pass(2_000);
  assert.is(health.health().servers.get(key(81))?.up, true);
});

test('what could not be tried changes nothing and is told once', async () => {
  const { world, monitor: health, log } = monitor();
  const lack: Outcome = { ok: false, detail: 'too many open files', notTried: true };
  world.answers.set('198.51.100.11', lack);
  health.update(modelWith([[{ ...TCP, retry: 0 }]]));
  await world.pass(5_000);
  assert.is(world.probes.length, 5 + 1);
  assert.is(health.health().servers.get(server(1))?.up, true);
  const lines = (await log()).filter((line) => line.includes('too many open files'));
  assert.is(lines.length, 1);
  assert.match(lines[0] as string, /ERR_CHECK_NOT_TRIED/);
});

test('more checks than sockets: they wait in turn, none is lost, and the log says so', async () => {
  const { world, monitor: health, log } = monitor();
  let running = 0;
  let most = 0;
  const asked = new Map<string, number>();
  world.probe = async (_check, target) => {
    most = Math.max(most, ++running);
    await new Promise((done) => world.setTimeout(() => done(undefined), 300));
    running--;
    const { address } = target.server;
    asked.set(address, (asked.get(address) ?? 0) + 1);
    return { ok: true, detail: 'fine' };
  };
  const model = modelWith(Array.from({ length: 9 }, () => [TCP]));
  model.director.maxChecks = 2;
  health.update(model);
  await world.pass(10_000);
  assert.is(most, 2);
  // Nine of 300 ms, two at a time, and the pause of a second between two of one server.
  const counts = [...asked.values()];
  assert.is(counts.length, 9);
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join());
  assert.match(
    (await log()).join('\n'),
    /: health checks wait for one of 2 sockets .*ERR_CHECKS_LATE\] waiting=/,
  );
});

test('another monitor goes on from what one knew, tells nothing twice, and is not late', async () => {
  const first = monitor();
  first.world.answers.set('198.51.100.11', { ok: false, detail: 'no' });
  const weight: Outcome = { ok: true, detail: 'd', weight: { set: 7 } };
  first.world.answers.set('198.51.100.12', weight);
  const slow: Check = { ...TCP, retry: 3, warmupMs: 9e6 };
  const checks = [[{ ...TCP, retry: 0 }], [TCP], [slow]];
  first.monitor.update(modelWith(checks, { quorum: 8 }));
  await first.world.pass(1_000);
  const state = JSON.parse(JSON.stringify(first.monitor.state())) as MonitorState;

  const next = monitor(state);
  next.world.answers = first.world.answers;
  next.monitor.update(modelWith(checks, { quorum: 8 }));
  assert.equal(next.monitor.health(), first.monitor.health());
  assert.equal(
    [1, 2, 3].map((n) => next.monitor.checksOf(server(n))),
    [1, 2, 3].map((n) => first.monitor.checksOf(server(n))),
  );
  await next.world.pass(999);
  assert.equal(await next.log(), ['']);
  assert.is(next.world.probes.length, 3, 'all within delay_loop, whatever the warm-up');
  next.world.answers.clear();
  await next.world.pass(1_000);
  assert.match((await next.log()).join('\n'), /Adding service \[198\.51\.100\.11\]:tcp:80/);
});

test('a state of another version, or of another check, is not used', async () => {
  const first = monitor();
  first.world.answers.set('198.51.100.11', { ok: false, detail: 'no' });
  first.monitor.update(modelWith([[{ ...TCP, retry: 0 }]]));
  await first.world.pass(1_000);
  const state = first.monitor.state();
  const upWith = (resumed: MonitorState, check: Check) => {
    const next = monitor(resumed);
    next.monitor.update(modelWith([[check]]));
    return next.monitor.health().servers.get(server(1))?.up;
  };
  assert.is(upWith(state, { ...TCP, retry: 0 }), false);
  assert.is(upWith(state, { ...TCP, retry: 2 }), true);
  assert.is(upWith({ ...state, version: 99 as 2 }, { ...TCP, retry: 0 }), true);
});

test('first probes are spread over the warm-up', async () => {
  const { world, monitor: health } = monitor();
  const dice = [0.9, 0.1, 0.5];
  world.random = () => dice.shift() as number;
  health.update(modelWith([[{ ...TCP, warmupMs: 1_000 }], [{ ...TCP, warmupMs: 1_000 }]]));
  await world.pass(950);
  assert.equal(
    world.probes.map(({ at, address }) => [at, address]),
    [
      [100, '198.51.100.12'],
      [900, '198.51.100.11'],
    ],
  );
});

test('a checker that throws is a failure and a line, no more', async () => {
  const { world, monitor: health, log } = monitor();
  health.update(modelWith([[{ ...TCP, retry: 0 }]]));
  world.probe = async () => {
    throw new Error('a slip');
  };
  await world.pass(100);
  assert.is(health.health().servers.get(server(1))?.up, false);
  assert.match((await log()).join('\n'), /error: health check of .*: Error: a slip/);
});

test('scripts run in order, once a change; omega runs them at the end', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-notify-'));
  const file = join(directory, 'told');
  const say = (word: string) => ({
    argv: ['/bin/sh', '-c', `echo ${word} >> ${file}`],
    user: undefined,
    group: undefined,
  });
  const { world, monitor: health } = monitor();
  health.update(
    modelWith(
      [[TCP]],
      { omega: true, quorumUp: say('quorum-up'), quorumDown: say('quorum-down') },
      { notifyUp: say('up'), notifyDown: say('down') },
    ),
  );
  world.answers.set('198.51.100.11', { ok: false, detail: 'no' });
  await world.pass(2_000);
  world.answers.clear();
  await world.pass(2_000);
  await health.stop();
  const told = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(directory, { recursive: true });
  // Those of the server and those of its service are queues of their own.
  assert.equal(
    told.filter((word) => !word.startsWith('quorum')),
    ['down', 'up', 'down'],
  );
  assert.equal(
    told.filter((word) => word.startsWith('quorum')),
    ['quorum-up', 'quorum-down', 'quorum-up', 'quorum-down'],
  );
});

test('those that stand apart are all that plan() has to know', async () => {
  const { world, monitor: health } = monitor();
  const model = modelWith([[TCP], [TCP], [TCP]]);
  const [web] = model.services;
  const check = (apart: string[], now = model) => {
    assert.equal([...health.apart().servers.keys()].sort(), apart);
    assert.equal(plan(now, health.apart()).snapshot, plan(now, health.health()).snapshot);
  };
  health.update(model);
  await world.pass(1_000);
  check([]);
  world.answers.set('198.51.100.12', { ok: false, detail: 'no' });
  await world.pass(2_000);
  check([server(2)]);
  const edited = (at: number, more: object) => ({
    ...model,
    services: [{ ...web!, servers: web!.servers.with(at, { ...web!.servers[at]!, ...more }) }],
  });
  const heavy = edited(0, { weight: 9 });
  health.update(heavy);
  check([server(2)], heavy);
  const drained = edited(0, { drained: true });
  health.update(drained);
  check([server(1), server(2)], drained);
  const without = { ...model, services: [{ ...web!, servers: web!.servers.toSpliced(1, 1) }] };
  health.update(without);
  check([], without);
  world.answers.clear();
  health.update(model);
  await world.pass(2_000);
  check([]);
});

test.run();
