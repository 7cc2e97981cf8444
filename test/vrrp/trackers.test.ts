/** Each kind of tracker against what it tracks: files, programs, interfaces, a BIRD of paper. */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { until } from '../../src/lab/command.js';
import type { InstanceModel, TrackerModel } from '../../src/vrrp/model.js';
import { judged, Tracker, type Use } from '../../src/vrrp/trackers.js';
import { Tracking } from '../../src/vrrp/tracking.js';
import { BASE } from '../config/support.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-trackers-'));
const at = (name: string) => join(folder, name);
test.after(() => rmSync(folder, { recursive: true, force: true }));

const AS_IT_IS: Use = { weight: undefined, reverse: undefined };

function model(keys: string): TrackerModel {
  const yaml = `${BASE}vrrp: { trackers: [{ name: t, ${keys} }] }\n`;
  return parseConfig(yaml, 'x.yaml').model.vrrp.trackers[0] as TrackerModel;
}

/** Of a dataplane of paper. */
const BUFFERS = { mbufs: 1_000, mbufsInUse: 100 };

/** Runs one until the end of `body`. */
async function tracking(keys: string, body: (tracker: Tracker) => Promise<void>): Promise<void> {
  const tracker = new Tracker(
    model(keys),
    () => {},
    () => BUFFERS,
  );
  try {
    await body(tracker);
  } finally {
    tracker.stop();
  }
}

const becomes = async (tracker: Tracker, good: boolean) =>
  assert.ok(await until(() => tracker.good === good, 20_000), tracker.detail);

test('weights: the good is worth a positive one, the bad costs a negative one, 0 is a fault', () => {
  const rows: [good: boolean, weight: number, reverse: boolean, weight: number, fault: boolean][] =
    [
      [true, 0, false, 0, false],
      [false, 0, false, 0, true],
      [true, 0, true, 0, true],
      [false, 0, true, 0, false],
      [true, 20, false, 20, false],
      [false, 20, false, 0, false],
      [true, -20, false, 0, false],
      [false, -20, false, -20, false],
      [true, 20, true, 0, false],
      [false, 20, true, 20, false],
      [true, -20, true, -20, false],
      [false, -20, true, 0, false],
    ];
  for (const [good, weight, reverse, adds, fault] of rows) {
    assert.equal(
      judged(good, weight, reverse),
      { weight: adds, fault },
      `${good} ${weight} ${reverse}`,
    );
  }
});

test('a script: as many failures as fall says, as many successes as rise says', async () => {
  const script = at('script');
  writeFileSync(script, `#!/bin/sh\necho >> ${at('runs')}\ntest ! -e ${at('broken')}\n`, {
    mode: 0o755,
  });
  const keys = `type: script, script: ${script}, interval: 50ms, timeout: 5s, rise: 2, fall: 3, weight: -30`;
  await tracking(keys, async (tracker) => {
    assert.equal(tracker.finding(AS_IT_IS), { weight: 0, fault: false });
    writeFileSync(at('broken'), '');
    await becomes(tracker, false);
    assert.equal(tracker.finding(AS_IT_IS), { weight: -30, fault: false });
    assert.equal(tracker.finding({ weight: 0, reverse: undefined }), { weight: 0, fault: true });
    assert.equal(tracker.finding({ weight: 5, reverse: true }), { weight: 5, fault: false });
    assert.is(tracker.detail, 'status 1');
    rmSync(at('broken'));
    await becomes(tracker, true);
  });
});

test('a script that hangs is killed and has failed; initFail is bad until it has run', async () => {
  await tracking(
    'type: script, script: /bin/sleep 60, interval: 50ms, timeout: 100ms',
    async (tracker) => {
      await becomes(tracker, false);
      assert.match(tracker.detail, /killed after 0\.1 s/);
    },
  );
  await tracking(
    'type: script, script: /bin/true, interval: 50ms, initFail: true',
    async (tracker) => {
      assert.not.ok(tracker.good);
      await becomes(tracker, true);
    },
  );
});

test('a file: its number times the weight', async () => {
  writeFileSync(at('load'), '7\n');
  await tracking(`type: file, path: ${at('load')}, weight: 2`, async (tracker) => {
    const finds = async (
      text: string | undefined,
      weight: number,
      fault: boolean,
      use = AS_IT_IS,
    ) => {
      if (text === undefined) rmSync(at('load'));
      else writeFileSync(at('load'), text);
      const same = () => JSON.stringify(tracker.finding(use)) === JSON.stringify({ weight, fault });
      assert.ok(await until(same, 20_000), `${text}: ${JSON.stringify(tracker.finding(use))}`);
    };
    await finds('7\n', 14, false);
    await finds('-3', -6, false);
    await finds('-127', -253, true);
    await finds('1000', 253, false);
    await finds('10', -20, false, { weight: undefined, reverse: true });
    await finds('1', 0, true, { weight: 0, reverse: undefined });
    await finds('nonsense', 0, false);
    await finds('9', 18, false);
    await finds(undefined, 0, false);
  });
});

test('a process: how many there are, with which arguments, and for how long they may be gone', async () => {
  const program = at('sluice-tracked-p');
  copyFileSync('/bin/sleep', program);
  const name = 'sluice-tracked-p'.slice(0, 15);
  const start = (...args: string[]) => spawn(program, args, { stdio: 'ignore' });
  const all = [start('600'), start('700')];
  try {
    await tracking(`type: process, process: ${name}, quorum: 2`, async (tracker) => {
      await becomes(tracker, true);
      all.pop()?.kill('SIGKILL');
      await becomes(tracker, false);
      assert.is(tracker.detail, `1 of ${name} run`);
      all.push(start('700'));
      await becomes(tracker, true);
    });
    const rows: [keys: string, good: boolean][] = [
      [`process: ${name}, quorumMax: 1`, false],
      [`process: ${program}, fullCommand: true, quorum: 2`, true],
      [`process: ${name}, fullCommand: true`, false],
      [`process: ${name}, arguments: ['600']`, true],
      [`process: ${name}, arguments: ['600'], quorum: 2`, false],
      [`process: ${name}, arguments: [], partial: true, quorum: 2`, true],
      [`process: ${name}, arguments: []`, false],
      ['process: sluice-no-such', false],
    ];
    for (const [keys, good] of rows) {
      await tracking(`type: process, ${keys}`, async (tracker) => {
        assert.is(tracker.good, good, keys);
      });
    }
    await tracking(
      `type: process, process: ${name}, quorum: 2, terminateDelay: 10m`,
      async (tracker) => {
        await becomes(tracker, true);
        all.pop()?.kill('SIGKILL');
        assert.ok(await until(() => tracker.detail.startsWith('1 of'), 20_000));
        assert.ok(tracker.good, 'it may come back');
      },
    );
  } finally {
    for (const one of all) one.kill('SIGKILL');
  }
});

test('BFD: the state of BIRD’s session, and a BIRD that is not there', async () => {
  let state = 'Up';
  const bird = createServer((socket) => {
    socket.write('0001 BIRD 2.0.12 ready.\n');
    socket.on('error', () => socket.destroy());
    socket.on('data', () => {
      socket.write(
        `1020-IP address  Interface  State\n 198.51.100.9 back ${state} 12:00:00 0.1 0.5\n0000 \n`,
      );
    });
  });
  await new Promise<void>((done) => bird.listen(at('bird.ctl'), done));
  await tracking(
    `type: bfd, neighbour: 198.51.100.9, socket: ${at('bird.ctl')}`,
    async (tracker) => {
      await becomes(tracker, true);
      state = 'Down';
      await becomes(tracker, false);
      assert.is(tracker.detail, 'session is Down');
      state = 'Up';
      await becomes(tracker, true);
      bird.close();
      rmSync(at('bird.ctl'), { force: true });
      await becomes(tracker, false);
      assert.match(tracker.detail, /^BIRD: /);
    },
  );
});

test('packet buffers: bad with too few free ones, good again with some more', async () => {
  await tracking('type: mempool, free: 20', async (tracker) => {
    await becomes(tracker, true);
    BUFFERS.mbufsInUse = 801;
    await becomes(tracker, false);
    assert.is(tracker.detail, '19 % of 1000 packet buffers are free');
    assert.equal(tracker.finding({ weight: -30, reverse: undefined }), {
      weight: -30,
      fault: false,
    });
    assert.equal(tracker.finding(AS_IT_IS), { weight: 0, fault: true });
    // A little more than what is wanted is not enough any more.
    BUFFERS.mbufsInUse = 790;
    assert.ok(await until(() => tracker.detail.startsWith('21 %'), 20_000), tracker.detail);
    assert.not(tracker.good);
    BUFFERS.mbufsInUse = 780;
    await becomes(tracker, true);
  });
});

test('interfaces of the kernel, our ports and workers', () => {
  const instance = (keys: string) =>
    parseConfig(
      `${BASE}vrrp: { instances: [{ name: A, port: front, routerId: 1, addresses: [203.0.113.1], ${keys} }] }\n`,
      'x.yaml',
    ).model.vrrp.instances[0] as InstanceModel;
  const up: Record<string, boolean> = { front: true, back: true };
  let lag = 0;
  const watch = new Tracking(
    {
      ports: () => Object.entries(up).map(([name, isUp]) => ({ name, up: isUp })),
      workerLag: () => [0, lag],
    } as never,
    () => {},
  );
  const finds = (keys: string) => watch.assess()(instance(keys));
  const both = 'track: [{ port: back, weight: -20 }, { interface: lo, weight: 5 }]';
  assert.equal(finds(both), { weight: 5, fault: undefined });
  up.back = false;
  assert.equal(finds(both), { weight: -15, fault: undefined });
  assert.equal(finds('track: [{ port: back }]').fault, 'port back is down');
  assert.equal(finds('track: [{ interface: sluice-none }]').fault, 'interface sluice-none is down');
  up.front = false;
  assert.equal(finds('priority: 10').fault, 'port front is down');
  assert.equal(finds('trackPort: false').fault, undefined);
  lag = 2_000_000;
  assert.equal(finds('trackPort: false').fault, 'worker 1 hangs');
});

test('a reload keeps what trackers know, where they stay the same', async () => {
  const changes: string[] = [];
  const watch = new Tracking({ ports: () => [] } as never, ({ good }) =>
    changes.push(String(good)),
  );
  const first = model('type: script, script: /bin/true, interval: 50ms, initFail: true');
  watch.configure([first]);
  assert.ok(await until(() => changes.length === 1, 20_000));
  watch.configure([model('type: script, script: /bin/true, interval: 50ms, initFail: true')]);
  const track = [{ kind: 'tracker', name: 't', weight: undefined, reverse: undefined }];
  assert.is(watch.report({ track } as unknown as InstanceModel)[0]?.good, true);
  watch.configure([model('type: script, script: /bin/false, interval: 50ms, initFail: true')]);
  assert.is(watch.report({ track } as unknown as InstanceModel)[0]?.good, false);
  watch.stop();
});

test.run();
