/** Adverts that are authenticated, by IPsec's AH or by the HMAC trailer: who is believed, and when. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Seal } from '../../src/native.js';
import { openFrame } from '../../src/vrrp/frame.js';
import { adverts, judge, type Place } from '../../src/vrrp/messages.js';
import { passwordBytes } from '../../src/vrrp/packet.js';
import { Replays } from '../../src/vrrp/seal.js';
import { instanceOf, Network, type Node } from './network.js';
import { sealed } from './sealing.js';

const HMAC: Seal = { kind: 'trailer', key: new Uint8Array(32).fill(7) };
const AH: Seal = { kind: 'ah', key: passwordBytes('s3cret') };
const SAME = 'addresses: [203.0.113.10]';

interface Way {
  what: string;
  keys: string;
  /** The same without authentication. */
  bare: string;
  seal: Seal;
  other: Seal;
  intervalMs: number;
}

const FILE = 'hmacKey: /etc/key';
const WAYS: Way[] = [
  {
    what: 'AH',
    keys: `version: 2, advertInterval: 1s, password: s3cret, ah: true, ${SAME}`,
    bare: `version: 2, advertInterval: 1s, password: s3cret, ${SAME}`,
    seal: AH,
    other: { kind: 'ah', key: passwordBytes('s3creT') },
    intervalMs: 1_000,
  },
  ...[2, 3].map((version) => ({
    what: `HMAC, version ${version}`,
    keys: `version: ${version}, advertInterval: 1s, ${FILE}, ${SAME}`,
    bare: `version: ${version}, advertInterval: 1s, ${SAME}`,
    seal: HMAC,
    other: { ...HMAC, key: new Uint8Array(32).fill(8) },
    intervalMs: 1_000,
  })),
];

function add(net: Network, name: string, keys: string, seal?: Seal): Node {
  const node = net.add(name, keys);
  node.seal = seal;
  return node;
}

/** Priorities 200 and 100; the first is master and all is quiet. */
function pair({ keys, seal, intervalMs }: Way) {
  const net = new Network();
  const [high, low] = [200, 100].map((priority) =>
    add(net, `n${priority}`, `priority: ${priority}, ${keys}`, seal),
  ) as [Node, Node];
  high.start();
  low.start();
  net.run(10 * intervalMs);
  assert.is(net.states, 'MASTER BACKUP');
  assert.equal([high.dropped, low.dropped], [{}, {}]);
  net.reset();
  return { net, high, low };
}

const ahead = (way: Way) => 10 * way.intervalMs;

for (const way of WAYS) {
  const { what, keys, bare, seal, other, intervalMs } = way;

  test(`${what}: the role goes to the other one and back, and nothing is taken for a replay`, () => {
    const { net, high, low } = pair(way);
    for (const node of [high, low, high]) {
      node.kill();
      net.run(ahead(way));
      assert.is(net.nodes.filter(({ isMaster }) => isMaster).length, 1, net.states);
      node.start();
      net.run(ahead(way));
      assert.is(net.states, 'MASTER BACKUP');
    }
    assert.equal([high.dropped, low.dropped], [{}, {}]);
  });

  test(`${what}: who has another key, or none, is counted and not believed, nor believes`, () => {
    for (const [text, strange] of [
      [keys, other],
      [bare, undefined],
    ] as const) {
      const { net, high, low } = pair(way);
      const stranger = add(net, 'stranger', `priority: 250, ${text}`, strange);
      stranger.start();
      net.run(ahead(way));
      assert.is(net.states, 'MASTER BACKUP MASTER');
      for (const node of net.nodes) {
        assert.equal(Object.keys(node.dropped), ['auth']);
        assert.ok((node.dropped.auth ?? 0) >= 5, JSON.stringify(node.dropped));
      }
      assert.equal([low.state, high.state], ['BACKUP', 'MASTER']);
    }
  });

  test(`${what}: a master’s adverts played again do not keep a backup down`, () => {
    const { net, high, low } = pair(way);
    const recorded = net.sent.filter(({ from }) => from === 'n200');
    high.kill();
    let next = 0;
    net.run(ahead(way), () => {
      if (net.now % 100 === 0) net.inject(recorded[next++ % recorded.length]?.frame as Uint8Array);
    });
    assert.is(net.states, 'DEAD MASTER');
    // Master_Down: three intervals and a skew, with a millisecond for each trip and turn.
    assert.ok(net.none <= 4 * intervalMs, `${net.none} ms`);
    assert.equal(Object.keys(low.dropped), ['replay']);
    assert.ok((low.dropped.replay ?? 0) > 50);
  });

  test(`${what}: a farewell played again changes nothing`, () => {
    const { net, high, low } = pair(way);
    const before = net.sent.length;
    high.resign();
    const farewell = net.sent[before]?.frame as Uint8Array;
    net.run(ahead(way));
    high.start();
    net.run(ahead(way));
    net.reset();
    const { length } = low.story;
    net.run(ahead(way), () => net.now % 100 === 0 && net.inject(farewell));
    assert.is(net.states, 'MASTER BACKUP');
    assert.equal([net.none, net.several, low.story.length], [0, 0, length]);
    assert.equal(Object.keys(low.dropped), ['replay']);
  });

  test(`${what}: a clock that is set back costs an interval of two masters at most, a step alone nothing`, () => {
    const { net, high, low } = pair(way);
    high.clockMs = -3_600_000;
    net.run(ahead(way));
    low.clockMs = 3_600_000;
    net.run(ahead(way));
    assert.equal([net.none, net.several, high.dropped, low.dropped], [0, 0, {}, {}]);
    // It comes back before anybody has missed it, so that nobody tells it where numbers are.
    high.kill();
    high.start();
    high.resign();
    high.start();
    net.run(4 * ahead(way));
    assert.is(net.states, 'MASTER BACKUP');
    assert.ok(net.several <= intervalMs + 3, `${net.several} ms`);
    net.reset();
    net.run(ahead(way));
    assert.equal([net.none, net.several], [0, 0]);
  });

  test(`${what}: no bit can be flipped unseen, but for those that routers change`, () => {
    const model = instanceOf(`priority: 200, ${keys}`);
    const place: Place = { port: 0, mac: new Uint8Array(6), address: '192.0.2.3' };
    const from: Place = { ...place, address: '192.0.2.2' };
    const frame = adverts(model, from, 200, () => undefined, seal).frames[0] as Uint8Array;
    const good = sealed(frame, seal, 5);
    const verdict = (bytes: Uint8Array) => {
      const arrived = openFrame(bytes);
      return arrived && judge(model, place, arrived, { seal, replays: new Replays() });
    };
    assert.equal((verdict(good) as { sequence: number }).sequence, 5);
    // From the sender's address on: before it are lengths, and what the dataplane has checked.
    fc.assert(
      fc.property(fc.integer({ min: (14 + 12) * 8, max: good.length * 8 - 1 }), (bit) => {
        const bad = good.slice();
        bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
        const judged = verdict(bad);
        assert.ok(judged && 'fault' in judged, `bit ${bit}: ${JSON.stringify(judged)}`);
      }),
      { numRuns: 500 },
    );
  });
}

const HEAD = '0200000000030200000000020800';
/** Sent by keepalived 2.2.7. */
const CAPTURED = [
  [
    'multicast',
    '45c0004000020000ff3318b5c0000201e0000012' +
      '70040000c00002010000000256d610ec10fa3ca4f935c953213764010201b6bcc00002090000000000000000',
  ],
  [
    'unicast',
    '45c0004000020000ff3336c4c0000201c0000203' +
      '70040000c00002010000000253f26f441790a70f61ed2507213864010201b6b9c000020b0000000000000000',
  ],
] as const;

for (const [what, hex] of CAPTURED) {
  test(`AH, ${what}: as keepalived sends it, both ways`, () => {
    const frame = Uint8Array.from(Buffer.from(HEAD + hex, 'hex'));
    const unicast = what === 'unicast';
    const keys = `password: s3cret, ah: true, addresses: [192.0.2.${unicast ? 11 : 9}]`;
    const model = {
      ...instanceOf(`version: 2, advertInterval: 1s, ${keys}`),
      unicastPeers: unicast ? ['192.0.2.1'] : [],
    };
    const place: Place = { port: 0, mac: new Uint8Array(6), address: '192.0.2.3' };
    const arrived = openFrame(frame);
    assert.ok(arrived);
    const replays = new Replays();
    const judged = judge(model, place, arrived, { seal: AH, replays });
    assert.is('sequence' in judged && judged.sequence, 2, JSON.stringify(judged));
    assert.is(
      (judge(model, place, arrived, { seal: AH, replays }) as { fault: string }).fault,
      'replay',
    );
    const bare = frame.slice();
    bare.fill(0, 14 + 28, 14 + 44);
    assert.equal(sealed(bare, AH, 2), frame);
  });
}

test('over IPv6 the trailer is as over IPv4', () => {
  const net = new Network();
  const keys = `advertInterval: 100ms, ${FILE}, addresses: ['fe80::100', '2001:db8::100']`;
  const nodes = [200, 100].map((priority, index) => {
    const node = net.add(`n${priority}`, `priority: ${priority}, ${keys}`, `fe80::${index + 1}`);
    node.seal = HMAC;
    node.start();
    return node;
  });
  net.run(2_000);
  assert.is(net.states, 'MASTER BACKUP');
  const frame = net.sent.at(-1)?.frame as Uint8Array;
  nodes[0]?.kill();
  net.run(2_000, () => net.inject(frame));
  assert.is(net.states, 'DEAD MASTER');
  assert.equal(Object.keys(nodes[1]?.dropped ?? {}), ['replay']);
});

test.run();
