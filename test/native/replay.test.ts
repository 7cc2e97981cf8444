/** The replay object: counters, verdicts, clock, several of them, several workers, no privileges. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { native, type ReplayOptions, VERDICT_WORDS } from '../../src/native.js';
import * as p from '../support/packet.js';
import { skip } from '../support/skip.js';
import { LIMITS, snapshot, udpService, wide } from './support/snapshots.js';

const MACS = [p.DIRECTOR_MAC, '02:00:00:00:01:02'].map((mac) =>
  Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16))),
);
const [VIP, RIP] = ['203.0.113.10', '198.51.100.11'];
const START = 1_700_000_000_000_000_000n;

function make(options: Partial<ReplayOptions> = {}) {
  const ports = MACS.map((mac, i) => ({ name: `p${i}`, mac, mtu: 1500 }));
  const replay = native().createReplay({ ports, limits: LIMITS, seed: 7, burst: 32, ...options });
  replay.publish(
    snapshot({
      services: [udpService(VIP, 53, RIP, 'nat')],
      owned: [wide(VIP)],
      portAddresses: [
        { address: wide('192.0.2.1'), length: 24, port: 0 },
        { address: wide('198.51.100.1'), length: 24, port: 1 },
      ],
      neighbours: [{ address: wide(RIP), mac: MACS[1]!.map((b) => b ^ 0x40), port: 1 }],
    }),
  );
  return replay;
}

function batch(frames: Uint8Array[], times: bigint[], ports?: number[]) {
  const offsets = new Uint32Array(frames.length + 1);
  frames.forEach((frame, i) => {
    offsets[i + 1] = offsets[i]! + frame.length;
  });
  return {
    bytes: Uint8Array.from(frames.flatMap((frame) => [...frame])),
    offsets,
    times: BigUint64Array.from(times),
    ports: Uint8Array.from(ports ?? frames.map(() => 0)),
  };
}

const query = (port: number, bytes = 20) =>
  p.udp({ from: `192.0.2.99:${port}`, to: `${VIP}:53`, payload: new Uint8Array(bytes) });

const layout = native().counterLayout(2, 2, LIMITS);
const word = (counters: BigUint64Array, group: 'ends' | 'extra', name: string, worker = 0) =>
  counters[worker * layout.words + layout[group].offset + layout[group].names.indexOf(name)];

test('a frame goes in, a frame comes out, and the verdict says why', () => {
  const replay = make();
  const result = replay.run(batch([query(1000)], [START]));
  assert.equal([...result.offsets], [0, query(1000).length]);
  assert.equal([...result.ports], [1]);
  assert.equal([...result.sources], [0]);
  assert.equal([...result.times], [START]);
  const end = layout.ends.names.indexOf('forwarded_nat');
  assert.equal([...result.verdicts], [0, 0, end, 0, 2, 3, 1, 0]);
  assert.is(word(replay.counters(), 'ends', 'forwarded_nat'), 1n);
  assert.is(replay.mbufsInUse(), 0);
  replay.close();
});

test('the counters of all ends add up to the frames received', () => {
  const replay = make();
  const frames = [query(1), query(2), new Uint8Array(5), new Uint8Array(60)];
  const result = replay.run(batch(frames, [START, START, START, START]));
  assert.is(result.verdicts.length, frames.length * VERDICT_WORDS);
  const inputs = frames.map((_, i) => result.verdicts[i * VERDICT_WORDS]);
  assert.equal(inputs, [0, 1, 2, 3]);
  const counters = replay.counters();
  const { offset, names } = layout.ends;
  const sum = counters.slice(offset, offset + names.length).reduce((a, b) => a + b, 0n);
  assert.is(sum, 4n);
  assert.is(word(counters, 'extra', 'received'), 4n);
  assert.is(replay.mbufsInUse(), 0);
  replay.close();
});

test('expiry follows the virtual clock: a UDP connection ends after 300 s without a packet', () => {
  const replay = make();
  replay.run(batch([query(1000)], [START]));
  assert.is(word(replay.counters(), 'extra', 'connections'), 1n);
  assert.is(replay.connections(0, 0, 10).records.length, 96);
  replay.advance(START + 299_000_000_000n);
  assert.is(word(replay.counters(), 'extra', 'connections'), 1n);
  replay.advance(START + 302_000_000_000n);
  assert.is(word(replay.counters(), 'extra', 'connections'), 0n);
  assert.is(replay.connections(0, 0, 10).records.length, 0);
  replay.close();
});

test('a clock that goes back in the capture does not go back here', () => {
  const replay = make();
  const times = [START, START - 5_000_000n, START + 1_000_000n];
  const result = replay.run(batch([query(1), query(2), query(3)], times));
  assert.equal([...result.times], [START, START, START + 1_000_000n]);
  replay.close();
});

test('the same input gives the same bytes, in one process and with any number of others', () => {
  const frames = Array.from({ length: 200 }, (_, i) => query(1000 + (i % 50)));
  const times = frames.map((_, i) => START + BigInt(i) * 1_000_000n);
  const replays = [make(), make(), make({ burst: 1 })];
  const [first, second, one] = replays.map((replay) => replay.run(batch(frames, times)));
  assert.equal(first, second);
  assert.equal(first, one);
  for (const replay of replays) replay.close();
});

test('two workers share the frames by owner and lose none', () => {
  const replay = make({ workers: 2 });
  const frames = Array.from({ length: 300 }, (_, i) => query(1000 + (i % 100)));
  const result = replay.run(
    batch(
      frames,
      frames.map(() => START),
    ),
  );
  assert.is(result.sources.length, frames.length);
  const end = layout.ends.names.indexOf('forwarded_nat');
  for (let i = 0; i < frames.length; i++) {
    assert.is(result.verdicts[i * VERDICT_WORDS], i);
    assert.is(result.verdicts[i * VERDICT_WORDS + 2], end);
  }
  const counters = replay.counters();
  const forwarded = [0, 1].map((worker) => word(counters, 'ends', 'forwarded_nat', worker)!);
  assert.is(forwarded[0]! + forwarded[1]!, 300n);
  assert.ok(forwarded[0]! > 0n && forwarded[1]! > 0n, 'both worked');
  const made = [0, 1].map((worker) => word(counters, 'extra', 'connections', worker)!);
  assert.is(made[0]! + made[1]!, 100n);
  assert.is(replay.mbufsInUse(), 0);
  replay.close();
});

test('a frame longer than any mbuf is cut as a device would, and refused', () => {
  const replay = make();
  const result = replay.run(batch([query(1, 20_000)], [START]));
  assert.is(layout.ends.names[result.verdicts[2]!], 'bad_ip_length');
  assert.is(replay.mbufsInUse(), 0);
  replay.close();
});

test('a closed replay gives its memory back: many can be made one after the other', () => {
  for (let i = 0; i < 100; i++) {
    const replay = make();
    replay.run(batch([query(i)], [START]));
    replay.close();
  }
});

const UNPRIVILEGED = 'replay needs no privileges';
if (process.getuid?.() !== 0) {
  skip(UNPRIVILEGED, 'dropping privileges needs root; the other tests ran without');
} else {
  test(UNPRIVILEGED, () => {
    // The tree may lie in a directory that nobody else can enter.
    const directory = mkdtempSync(join(tmpdir(), 'sluice-nobody-'));
    try {
      const addon = join(directory, 'sluice.node');
      cpSync(resolve('build/Release/sluice.node'), addon);
      spawnSync('chmod', ['-R', 'a+rX', directory]);
      const script = `
        const { createReplay } = require(${JSON.stringify(addon)});
        const ports = [{ name: 'front', mac: new Uint8Array(6).fill(2), mtu: 1500 }];
        const limits = ${JSON.stringify(LIMITS)};
        const replay = createReplay({ ports, limits, seed: 1, burst: 32 });
        const result = replay.run({ bytes: new Uint8Array(60), offsets: Uint32Array.of(0, 60),
          times: BigUint64Array.of(1n), ports: Uint8Array.of(0) });
        console.log(process.getuid(), result.verdicts.length, replay.mbufsInUse());`;
      const argv = ['--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all'];
      const { status, stdout, stderr } = spawnSync(
        'setpriv',
        [...argv, process.execPath, '-e', script],
        { encoding: 'utf8', env: { PATH: process.env.PATH }, cwd: '/' },
      );
      assert.is(status, 0, stderr);
      assert.is(stdout.trim(), `65534 ${VERDICT_WORDS} 0`);
      assert.is(stderr, '');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test.run();
