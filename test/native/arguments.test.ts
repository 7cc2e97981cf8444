/** Wrong arguments across the boundary throw coded TypeErrors that name the argument. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { native, type ReplayOptions } from '../../src/native.js';
import { LIMITS, snapshot } from './support/snapshots.js';

interface Coded extends Error {
  code?: string;
}

function thrown(body: () => unknown): Coded {
  try {
    body();
  } catch (error) {
    return error as Coded;
  }
  throw new Error('nothing was thrown');
}

/** A TypeError with the boundary's code whose message starts with the argument's name. */
function refused(what: string, body: () => unknown, name: string, expected: RegExp): void {
  test(what, () => {
    const error = thrown(body);
    assert.instance(error, TypeError);
    assert.is(error.code, 'ERR_NATIVE_ARGUMENT');
    assert.ok(error.message.startsWith(`${name} must be `), error.message);
    assert.match(error.message, expected);
  });
}

const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const good: ReplayOptions = {
  ports: [{ name: 'front', mac, mtu: 1500 }],
  limits: LIMITS,
  seed: 1,
  burst: 32,
};
const replayOf = (changes: object) => () =>
  native().createReplay({ ...good, ...changes } as ReplayOptions);
const port = (changes: object) => ({ ports: [{ ...good.ports[0], ...changes }] });

refused('no options', () => native().createReplay(undefined as never), 'options', /an object/);
refused('ports that are none', replayOf({ ports: 'front' }), 'options.ports', /an array/);
refused('no port', replayOf({ ports: [] }), 'options.ports', /at least one/);
refused(
  'more ports than there can be',
  replayOf({ ports: Array.from({ length: 17 }, (_, i) => ({ name: `p${i}`, mac, mtu: 1500 })) }),
  'options.ports',
  /at most 16/,
);
refused(
  'a port without MAC',
  replayOf(port({ mac: undefined })),
  'options.ports[0].mac',
  /6 bytes/,
);
refused('a short MAC', replayOf(port({ mac: mac.slice(1) })), 'options.ports[0].mac', /6 bytes/);
refused('a MAC as text', replayOf(port({ mac: '02:0:0:0:0:1' })), 'options.ports[0].mac', /Uint8/);
refused('an MTU of 67', replayOf(port({ mtu: 67 })), 'options.ports[0].mtu', /from 68 to/);
refused('an MTU of 1500.5', replayOf(port({ mtu: 1500.5 })), 'options.ports[0].mtu', /integer/);
refused('an MTU of NaN', replayOf(port({ mtu: Number.NaN })), 'options.ports[0].mtu', /integer/);
refused(
  'a name twice',
  replayOf({ ports: [good.ports[0], good.ports[0]] }),
  'options.ports[1].name',
  /unique/,
);
refused('a burst of 65', replayOf({ burst: 65 }), 'options.burst', /1 to 64/);
refused('a negative seed', replayOf({ seed: -1 }), 'options.seed', /integer/);
refused('no worker', replayOf({ workers: 0 }), 'options.workers', /1 to 16/);
refused(
  'no connection',
  replayOf({ limits: { ...LIMITS, maxConnections: 0 } }),
  'options.limits.maxConnections',
  /from 1 to/,
);

const engine = {
  eal: { hugepages: false, memory: 128, workerCpus: [0], pci: [] as string[] },
  ports: [{ name: 'front', device: 'net_null0,no-rx=1', mtu: 1500 }],
  limits: LIMITS,
  idle: { afterUs: 100, sleepUs: 50 },
  mbufs: 1024,
};
const engineOf =
  (changes: object, onEvent: unknown = () => {}) =>
  () =>
    native().startEngine({ ...engine, ...changes } as never, onEvent as never);

refused('an engine without EAL', engineOf({ eal: undefined }), 'options.eal', /an object/);
refused(
  'hugepages by name',
  engineOf({ eal: { ...engine.eal, hugepages: 'yes' } }),
  'options.eal.hugepages',
  /a boolean/,
);
refused(
  'an engine without worker',
  engineOf({ eal: { ...engine.eal, workerCpus: [] } }),
  'options.eal.workerCpus',
  /at least one CPU/,
);
refused(
  'two workers on a CPU',
  engineOf({ eal: { ...engine.eal, workerCpus: [0, 0] } }),
  'options.eal.workerCpus[1]',
  /of its own/,
);
refused(
  'a port without device',
  engineOf({ ports: [{ name: 'front', mtu: 1500 }] }),
  'options.ports[0].device',
  /a string/,
);
refused(
  'a sleep of a minute',
  engineOf({ idle: { afterUs: 1, sleepUs: 6e7 } }),
  'options.idle.sleepUs',
  /integer/,
);
refused('no event handler', engineOf({}, null), 'onEvent', /a function/);
refused(
  '17 workers in a layout',
  () => native().counterLayout(17, 1, LIMITS),
  'workers',
  /1 to 16/,
);

const replay = native().createReplay(good);
const batch = {
  bytes: new Uint8Array(60),
  offsets: Uint32Array.of(0, 60),
  times: BigUint64Array.of(1n),
  ports: Uint8Array.of(0),
};
const runOf = (changes: object) => () => replay.run({ ...batch, ...changes });

refused(
  'frames as a Buffer of words',
  runOf({ bytes: new Uint16Array(30) }),
  'batch.bytes',
  /Uint8/,
);
refused('offsets as numbers', runOf({ offsets: [0, 60] }), 'batch.offsets', /Uint32Array/);
refused('an offset too few', runOf({ offsets: Uint32Array.of(0) }), 'batch.offsets', /one longer/);
refused(
  'offsets that fall',
  runOf({ offsets: Uint32Array.of(60, 0) }),
  'batch.offsets',
  /ascending/,
);
refused('offsets outside', runOf({ offsets: Uint32Array.of(0, 61) }), 'batch.offsets', /within/);
refused('a port that is not there', runOf({ ports: Uint8Array.of(1) }), 'batch.ports', /indices/);
refused('a time as number', () => replay.advance(1 as never), 'toNs', /a bigint/);
refused('a time before all', () => replay.advance(-1n), 'toNs', /a bigint/);
refused('a snapshot as text', () => replay.publish('x' as never), 'snapshot', /Uint8Array/);
refused('a worker that is not there', () => replay.connections(1, 0, 1), 'worker', /0 to 0/);

test('a snapshot with rubbish in it names the byte and leaves the last one in force', () => {
  const bytes = snapshot({});
  replay.publish(bytes);
  for (const [at, message] of [
    [0, /byte 0: not a snapshot/],
    [4, /byte 4: unknown version/],
    [12, /byte 12: length/],
  ] as const) {
    const broken = bytes.slice();
    broken[at] = 0xee;
    const error = thrown(() => replay.publish(broken));
    assert.is(error.code, 'ERR_NATIVE_SNAPSHOT');
    assert.match(error.message, message);
  }
  assert.is(thrown(() => replay.publish(bytes.slice(0, 100))).code, 'ERR_NATIVE_SNAPSHOT');
  replay.run(batch);
});

test('a closed replay says so, and may be closed again', () => {
  replay.close();
  replay.close();
  assert.is(thrown(() => replay.run(batch)).code, 'ERR_NATIVE_STOPPED');
  assert.is(thrown(() => replay.counters()).code, 'ERR_NATIVE_STOPPED');
});

test('an engine after a replay has started DPDK without lcores is refused', () => {
  const error = thrown(engineOf({}));
  assert.is(error.code, 'ERR_NATIVE_EAL_STARTED');
});

test.run();
