/**
 * The fault table: two directors, one of which, or the link between them, goes wrong. Frames are real,
 * the clock is not, so that every row says how long nobody was master, and how long two were.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { advertFrame } from '../../src/vrrp/frame.js';
import { decode, encode, GROUP_V4 } from '../../src/vrrp/packet.js';
import { Network, type Node } from './network.js';

const INTERVAL = 100;
const KEYS = `advertInterval: ${INTERVAL}ms, addresses: [203.0.113.10]`;
/** Of a backup of priority 100, with a millisecond for each trip and turn. */
const DOWN = 3 * INTERVAL + (156 * INTERVAL) / 256 + 3;

interface Pair {
  net: Network;
  high: Node;
  low: Node;
}

/** Priorities 200 and 100; the first is master and all is quiet. */
function pair(more = '', keys = KEYS): Pair {
  const net = new Network();
  const high = net.add('high', `priority: 200, ${keys}${more}`);
  const low = net.add('low', `priority: 100, ${keys}${more}`);
  high.start();
  low.start();
  net.run(3_000);
  assert.is(net.states, 'MASTER BACKUP');
  net.reset();
  return { net, high, low };
}

test('kill -9: the backup is master after Master_Down, and again a backup when the other is back', () => {
  const { net, high } = pair();
  high.kill();
  net.run(1_000);
  assert.is(net.states, 'DEAD MASTER');
  assert.ok(net.none <= DOWN && net.none > 2 * INTERVAL, `${net.none} ms`);
  net.reset();
  high.start();
  net.run(1_000);
  assert.is(net.states, 'MASTER BACKUP');
  // The trip of the new master's first advert.
  assert.ok(net.none === 0 && net.several <= 2, `${net.none} ${net.several}`);
});

test('without preemption the one that comes back stays a backup, and nobody notices', () => {
  const { net, high } = pair(', preempt: false');
  high.kill();
  net.run(1_000);
  net.reset();
  high.start();
  net.run(5_000);
  assert.is(net.states, 'BACKUP MASTER');
  assert.equal([net.none, net.several], [0, 0]);
});

test('an orderly stop: the backup waits for its skew alone', () => {
  const { net, high } = pair();
  high.resign();
  net.run(500);
  assert.is(net.states, 'STOP MASTER');
  assert.ok(net.none <= (156 * INTERVAL) / 256 + 3, `${net.none} ms`);
});

test('SIGSTOP and CONT: who wakes up as an old master steps down before it says a word', () => {
  for (const preempt of [true, false]) {
    const { net, high } = pair(`, preempt: ${preempt}`);
    high.stop();
    net.run(2_000);
    assert.is(net.states, 'MASTER MASTER', 'the stopped one believes what it believed');
    assert.ok(net.none <= DOWN && net.several === 0);
    net.reset();
    const before = net.sent.length;
    high.continue();
    assert.is(high.state, 'BACKUP');
    net.run(20);
    assert.not.ok(net.sent.slice(before).some(({ from }) => from === 'high'));
    net.run(1_000);
    assert.is(net.states, preempt ? 'MASTER BACKUP' : 'BACKUP MASTER');
    assert.ok(net.none === 0 && net.several <= 2, `${net.none} ${net.several}`);
  }
});

test('link down: the master is in FAULT, and master again when it is back', () => {
  const { net, high, low } = pair();
  net.part(high, low);
  high.fault('port front is down');
  net.run(1_000);
  assert.is(net.states, 'FAULT MASTER');
  assert.is(net.several, 0);
  net.heal();
  high.fault(undefined);
  net.run(1_000);
  assert.is(net.states, 'MASTER BACKUP');
});

test('one-way link, the master is not heard: both are master until it heals, and no longer', () => {
  const { net, high, low } = pair();
  net.cut(high, low);
  net.run(2_000);
  assert.is(net.states, 'MASTER MASTER', 'nothing tells the backup otherwise');
  assert.ok(high.told.length > 5, 'the master goes on telling where the addresses are');
  assert.is(low.story.length, 2, 'without flapping');
  net.heal();
  net.reset();
  net.run(1_000);
  assert.is(net.states, 'MASTER BACKUP');
  assert.ok(net.several <= INTERVAL + 2, `${net.several} ms`);
});

test('one-way link, the backup is not heard: nothing happens', () => {
  const { net, high, low } = pair();
  net.cut(low, high);
  net.run(2_000);
  assert.is(net.states, 'MASTER BACKUP');
  assert.equal([net.none, net.several], [0, 0]);
});

test('both masters: at the end of a partition the lower one steps down, and the other tells the network', () => {
  const { net, high, low } = pair();
  net.part(high, low);
  net.run(2_000);
  assert.is(net.states, 'MASTER MASTER');
  const told = high.told.length;
  net.heal();
  net.reset();
  net.run(500);
  assert.is(net.states, 'MASTER BACKUP');
  assert.ok(net.several <= INTERVAL + 2, `${net.several} ms`);
  // Only if it has heard the lower one: switches have learned from that one's frames.
  const heardIt = net.sent.some(({ at, from }) => from === 'low' && at >= net.now - 500);
  assert.is(high.told.length > told, heardIt);
});

test('equal priorities: the higher address is master', () => {
  const net = new Network();
  for (const name of ['a', 'b']) net.add(name, `priority: 100, ${KEYS}`).start();
  net.run(2_000);
  assert.is(net.nodes.filter(({ isMaster }) => isMaster).length, 1);
  net.part(net.nodes[0] as Node, net.nodes[1] as Node);
  net.run(2_000);
  net.heal();
  net.run(500);
  assert.is(net.states, 'BACKUP MASTER');
});

test('a duplicate router ID with other addresses: version 2 and strict ones do not listen', () => {
  for (const [more, deaf] of [
    [', strict: true', true],
    ['', false],
  ] as const) {
    const { net, high, low } = pair(more);
    const other = net.add('other', `priority: 250, ${KEYS.replace('.10', '.99')}${more}`);
    other.start();
    net.run(2_000);
    assert.is(net.states, deaf ? 'MASTER BACKUP MASTER' : 'BACKUP BACKUP MASTER');
    assert.is((high.dropped.addresses ?? 0) > 10, deaf);
    assert.is((low.dropped.addresses ?? 0) > 10, deaf);
  }
});

/** A frame from a stranger of the highest priority, which would make everybody a backup. */
function stranger(change: {
  version?: 2 | 3;
  ttl?: number;
  flip?: number;
  cut?: number;
  source?: string;
  destination?: string;
  type?: number;
}): Uint8Array {
  const { version = 3, source = '192.0.2.77', destination = GROUP_V4 } = change;
  const around = { source, destination };
  const message = {
    version,
    vrid: 51,
    priority: 254,
    intervalMs: version === 2 ? 1000 : INTERVAL,
    addresses: ['203.0.113.10'],
  };
  let payload = encode(message, around);
  if (change.flip !== undefined) payload[change.flip] = (payload[change.flip] as number) ^ 1;
  if (change.cut) payload = payload.subarray(0, -change.cut);
  const frame = advertFrame({
    sourceMac: Uint8Array.of(2, 0, 0, 0, 9, 9),
    targetMac: undefined,
    ...around,
    payload,
  });
  if (change.ttl !== undefined) frame[22] = change.ttl;
  return frame;
}

test('the stranger of the next test would win if nothing were wrong with him', () => {
  const { net } = pair();
  net.inject(stranger({}));
  net.run(20);
  assert.is(net.states, 'BACKUP BACKUP');
});

const STRANGERS: [string, Parameters<typeof stranger>[0], string][] = [
  ['of another version', { version: 2 }, 'version'],
  ['with a wrong checksum', { flip: 6 }, 'checksum'],
  ['with a bit of its address flipped', { flip: 11 }, 'checksum'],
  ['of another type', { flip: 0 }, 'type'],
  ['from another link', { ttl: 254 }, 'ttl'],
  ['cut short', { cut: 4 }, 'short'],
  ['with our own address', { source: '192.0.2.2' }, 'own'],
  ['by unicast', { destination: '192.0.2.2' }, 'source'],
];
for (const [what, change, fault] of STRANGERS) {
  test(`adverts ${what} are counted, and change nothing`, () => {
    const { net, high } = pair();
    net.run(1_000, () => net.now % 10 === 0 && net.inject(stranger(change)));
    assert.is(net.states, 'MASTER BACKUP');
    assert.ok((high.dropped[fault] ?? 0) >= 99, JSON.stringify(high.dropped));
    assert.equal([net.none, net.several], [0, 0]);
  });
}

test('adverts that are not authenticated can be replayed: they keep a backup down as long as they come', () => {
  const { net, high, low } = pair();
  const { frame } = net.sent.findLast(({ from }) => from === 'high') as { frame: Uint8Array };
  high.kill();
  net.run(2_000, () => net.now % INTERVAL === 0 && net.inject(frame));
  assert.is(net.states, 'DEAD BACKUP');
  net.run(1_000);
  assert.is(low.state, 'MASTER');
});

test('a farewell replayed while the master lives costs two masters for less than an interval', () => {
  const { net, high, low } = pair();
  high.resign();
  net.run(300);
  const farewell = net.sent.find(({ frame }) => {
    const decoded = decode(frame.subarray(34), {
      source: '192.0.2.2',
      destination: GROUP_V4,
      ttl: 255,
    });
    return 'message' in decoded && decoded.message.priority === 0;
  }) as { frame: Uint8Array };
  high.start();
  net.run(1_000);
  net.reset();
  net.inject(farewell.frame);
  net.run(1_000);
  assert.is(net.states, 'MASTER BACKUP');
  assert.ok(net.none === 0 && net.several <= INTERVAL, `${net.several} ms`);
  assert.is(low.state, 'BACKUP');
});

test('restarts of either, again and again: nobody is missing for longer than Master_Down', () => {
  const { net, high, low } = pair();
  let longest = 0;
  let row = 0;
  const watch = () => {
    row = net.nodes.some(({ isMaster }) => isMaster) ? 0 : row + 1;
    longest = Math.max(longest, row);
  };
  for (const node of [high, low, high, low]) {
    node.kill();
    net.run(700, watch);
    node.start();
    net.run(1_500, watch);
  }
  assert.is(net.states, 'MASTER BACKUP');
  assert.ok(longest <= DOWN, `${longest} ms`);
});

/** What may happen, and for how long. */
const troubles = fc.array(
  fc.record({
    what: fc.constantFrom('kill', 'stop', 'cut', 'part', 'fault', 'noise'),
    who: fc.nat(2),
    other: fc.nat(2),
    ms: fc.integer({ min: 1, max: 800 }),
    quiet: fc.integer({ min: 0, max: 300 }),
  }),
  { maxLength: 8 },
);

test('property: whatever has happened, then one master, the highest, who stays it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 3 }), fc.boolean(), troubles, (many, preempt, list) => {
      const net = new Network();
      for (let n = 1; n <= many; n++) {
        net.add(`n${n}`, `priority: ${n * 50}, ${KEYS}, preempt: ${preempt}`).start();
      }
      for (const { what, who, other, ms, quiet } of list) {
        const a = net.nodes[who % many] as Node;
        const b = net.nodes[other % many] as Node;
        if (what === 'kill') a.kill();
        if (what === 'stop') a.stop();
        if (what === 'cut') net.cut(a, b);
        if (what === 'part') net.part(a, b);
        if (what === 'fault') a.fault('link');
        net.run(ms, () => what === 'noise' && net.inject(stranger({ flip: 8 })));
        if (what === 'kill') a.start();
        if (what === 'stop') a.continue();
        if (what === 'fault') a.fault(undefined);
        net.heal();
        net.run(quiet);
      }
      net.run(1_500);
      const masters = net.nodes.filter(({ isMaster }) => isMaster);
      assert.is(masters.length, 1, net.states);
      if (preempt) assert.is(masters[0], net.nodes[many - 1]);
      const stories = net.nodes.map(({ story }) => story.length);
      net.reset();
      net.run(2_000);
      assert.equal([net.several, net.none], [0, 0]);
      assert.equal(
        net.nodes.map(({ story }) => story.length),
        stories,
        'no flapping',
      );
    }),
    { numRuns: 60 },
  );
});

test.run();
