/**
 * Persistence engine sip: calls of a client are told apart by their Call-ID, whatever port a packet
 * comes from; in both families, with one worker and with several. What a real Linux IPVS makes of
 * the same packets is compared in test/oracle/scenarios/persistence.ts.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fragments } from '../oracle/scene.js';
import { type Arriving, Bench, type BenchOptions } from '../support/replay.js';
import {
  datagram,
  FAMILIES,
  type FamilyName,
  message,
  NAMES,
  virtual,
  type Words,
  yaml,
} from '../support/sip.js';
import { CREWS, fromBack, fromFront, nameOf } from '../support/table.js';
import { BACK_MAC, serverMac } from '../support/world.js';
import { yamlWorld } from '../support/yaml.js';

const benchOf = (name: FamilyName, words: Words = {}, options: BenchOptions = {}) =>
  new Bench(yamlWorld(yaml(name, words)), { ...options, limits: { maxServers: 16 } });

/** Where each datagram went: A, B, C; or how it ended. */
function go(bench: Bench, frames: Arriving[], atMs = 0): string {
  return bench
    .run(frames, atMs)
    .map(({ kind, server, end }) =>
      kind === 'forwarded' ? String.fromCharCode(65 + (server ?? 0)) : end,
    )
    .join(' ');
}

const listed = (bench: Bench) =>
  bench
    .connections()
    .filter(({ state }) => state === 'NONE')
    .map(
      (one) =>
        `${one.protocol} ${one.client}:${one.clientPort} ${one.virtual}:${one.virtualPort} ` +
        `${one.server}:${one.serverPort} ${one.engine} ${one.engineData}`,
    )
    .sort();

for (const name of NAMES) {
  const { client, vip, near, everybody, udp, tcp } = FAMILIES[name];
  const packet = (from: string, payload: string) => datagram(name, from, payload);
  const call = (network: number, host: number, port: number, id: string) =>
    packet(client(network, host, port), message(id));

  for (const crew of CREWS) {
    test(`${name}, ${nameOf(crew)}: a client’s calls have a server each, whatever port they come from`, () => {
      for (const mode of ['dr', 'nat', 'fullnat'] as const) {
        for (const onePacket of [false, true]) {
          const bench = benchOf(name, { mode, onePacket }, crew);
          const first = go(
            bench,
            [1, 2, 3].map((n) => call(1, 1, 1_000 + n, `call-${n}@a`)),
          );
          assert.is(first, 'C B A', `${mode}, ${onePacket ? 'ops' : 'connections'}`);
          const again = [3, 1, 2, 1].map((n, at) => call(1, 1, 2_000 + at, `call-${n}@a`));
          assert.is(go(bench, again), 'A C B C');
          assert.equal(
            listed(bench),
            [1, 2, 3]
              .map(
                (n) =>
                  `udp ${client(1, 1, 0).replace(/[[\]]|:0$/g, '')}:0 ${vip}:5060 ` +
                  `${FAMILIES[name].server(4 - n).replace(/[[\]]/g, '')} sip call-${n}@a`,
              )
              .sort(),
          );
          assert.equal(bench.invariants(), []);
          bench.close();
        }
      }
    });

    test(`${name}, ${nameOf(crew)}: the netmask says whose calls they are, as with IPVS`, () => {
      const alone = benchOf(name, {}, crew);
      go(alone, [call(1, 1, 1, 'a'), call(1, 2, 1, 'a'), call(2, 1, 1, 'a')]);
      assert.is(listed(alone).length, 3, 'each client has calls of its own');
      alone.close();
      const network = benchOf(name, { netmask: near }, crew);
      const [one, two] = go(network, [call(1, 1, 1, 'a'), call(1, 2, 9, 'a')]).split(' ');
      assert.is(two, one, 'one network');
      go(network, [call(2, 1, 1, 'a')]);
      assert.is(listed(network).length, 2, 'another one');
      network.close();
      const all = benchOf(name, { netmask: everybody }, crew);
      const frames = Array.from({ length: 12 }, (_, at) => call(at, at + 1, at, 'a'));
      assert.is(new Set(go(all, frames).split(' ')).size, 1, 'whoever calls');
      all.close();
    });
  }

  // `field` and `id` as they stand; undefined: nothing is forwarded.
  const rows: [say: string, payload: string, id: string | undefined][] = [
    ['the name in any case', message('x@y', 'cALL-id: '), 'x@y'],
    ['the compact form', message('x@y', 'i: '), 'x@y'],
    ['a compact form in capitals', message('x@y', 'I:'), 'x@y'],
    ['without a blank', message('x', 'Call-ID:'), 'x'],
    ['blanks on both sides of the colon', message('x', 'Call-ID \t : \t'), 'x'],
    ['blanks behind', message('x \t '), 'x'],
    ['folded', message('x', 'Call-ID:\r\n '), 'x'],
    [
      'every character of a word',
      message('aZ09-.!%*_+`\'~()<>:\\"/[]?{}@h'),
      'aZ09-.!%*_+`\'~()<>:\\"/[]?{}@h',
    ],
    ['lines that end in LF', 'OPTIONS\nCall-ID: x\n\n', 'x'],
    ['lines that end in CR', 'OPTIONS\rCall-ID: x\r\r', 'x'],
    ['empty lines before the message', `\r\n\r\n${message('x')}`, 'x'],
    ['255 bytes', message('x'.repeat(255)), 'x'.repeat(255)],
    ['256 bytes', message('x'.repeat(256)), undefined],
    ['none', 'OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n', undefined],
    ['nothing', '', undefined],
    ['a keep-alive (RFC 5626 section 3.5.1)', '\r\n\r\n', undefined],
    ['empty', message(''), undefined],
    ['an @ without a host', message('x@'), undefined],
    ['two words', message('x y'), undefined],
    ['a character that is none of a word', message('x,y'), undefined],
    ['another field that ends so', message('x', 'X-Call-ID: '), undefined],
    ['another field that begins so', message('x', 'Call-IDs: '), undefined],
    ['another field that begins with i', message('x', 'Identity: '), undefined],
    ['in the first line', 'Call-ID: x\r\n\r\n', undefined],
    ['in the body', 'OPTIONS sip:a SIP/2.0\r\n\r\nCall-ID: x\r\n', undefined],
    ['in a folded line', message('y\r\n Call-ID: x', 'Via: '), undefined],
    ['a line that does not end', 'OPTIONS sip:a SIP/2.0\r\nCall-ID: x', undefined],
    ['a wrong one, then a right one', message('a b\r\nCall-ID: c'), 'c'],
    ['two: the first', message('a\r\ni: b'), 'a'],
    ['behind 4000 bytes', `OPTIONS\r\nVia: ${'v'.repeat(3_970)}\r\nCall-ID: x\r\n\r\n`, 'x'],
    ['behind 4096 bytes', `OPTIONS\r\nVia: ${'v'.repeat(4_080)}\r\nCall-ID: x\r\n\r\n`, undefined],
  ];

  test(`${name}: Call-IDs as they are written, and what is none`, () => {
    const bench = benchOf(name, { onePacket: true });
    const seen: string[] = [];
    for (const [at, [say, payload, id]] of rows.entries()) {
      // Larger than a frame: in fragments of IPv4, as these are made here.
      const whole = packet(client(9, 1 + at, 5060), payload);
      const arriving =
        whole.frame.length <= 1_514
          ? [whole]
          : fragments({ port: 'front', bytes: whole.frame }, 1_400).map(({ bytes }) =>
              fromFront(bytes),
            );
      if (arriving.length > 1 && name === 'IPv6') continue;
      const steps = bench.run(arriving, at);
      const last = steps.at(-1)!;
      assert.is(last.end, id === undefined ? 'no_call_id' : 'forwarded_dr', say);
      const made = listed(bench).filter((one) => !seen.includes(one));
      assert.equal(
        made.map((one) => one.replace(/^.* sip /, '')),
        id === undefined ? [] : [id],
        say,
      );
      seen.push(...made);
    }
    assert.equal(bench.invariants(), []);
    bench.close();
  });

  test(`${name}: without connections each packet is looked at, with them a flow’s first`, () => {
    for (const onePacket of [false, true]) {
      const bench = benchOf(name, { onePacket });
      const frames = ['a', 'b', 'a', 'c'].map((id) => call(1, 1, 5_060, id));
      assert.is(go(bench, frames), onePacket ? 'C B C A' : 'C C C C');
      const rest = go(bench, [packet(client(1, 1, 5_060), '\r\n\r\n')]);
      assert.is(rest, onePacket ? 'no_call_id' : 'C', 'what is no message follows its flow');
      bench.close();
    }
  });

  test(`${name}: a call is kept for its time, and while it has connections`, () => {
    const bench = benchOf(name, { timeout: '10s', onePacket: true });
    assert.is(go(bench, [call(1, 1, 1, 'a')], 0), 'C');
    assert.is(go(bench, [call(1, 1, 2, 'a')], 9_000), 'C');
    assert.is(go(bench, [call(1, 1, 3, 'a')], 18_000), 'C');
    bench.advance(29_000);
    assert.equal(listed(bench), []);
    assert.is(go(bench, [call(1, 1, 4, 'a')], 29_000), 'B');
    bench.close();
    const flows = benchOf(name, { timeout: '10s' });
    const port = 700;
    for (let at = 0; at <= 20; at++) {
      assert.is(go(flows, [call(1, 1, port, 'a')], at * 60_000), 'C');
    }
    assert.is(go(flows, [call(1, 1, 2, 'a')], 20 * 60_000 + 30_000), 'C', 'its flow lives');
    // UDP flows are forgotten after five minutes, and the call a minute later.
    flows.advance(25 * 60_000 + 45_000);
    assert.is(listed(flows).length, 1);
    flows.advance(27 * 60_000);
    assert.equal(listed(flows), []);
    assert.equal(flows.invariants(), []);
    flows.close();
  });

  test(`${name}: for a mark, whose TCP has no calls and goes nowhere, as with IPVS`, () => {
    const bench = benchOf(name, { mark: true, onePacket: true });
    const to = virtual(name);
    assert.is(go(bench, [call(1, 1, 1, 'a'), call(1, 1, 2, 'b'), call(1, 1, 3, 'a')]), 'C B C');
    const syn = tcp({ from: client(1, 1, 4), to, flags: 'S' });
    assert.is(go(bench, [fromFront(syn)]), 'no_call_id');
    assert.is(listed(bench).filter((one) => one.startsWith('ip ')).length, 2);
    bench.close();
  });

  test(`${name}: a server that goes takes its calls along`, () => {
    const bench = benchOf(name, { onePacket: true });
    assert.is(go(bench, [call(1, 1, 1, 'a'), call(1, 1, 1, 'b')]), 'C B');
    const without = yaml(name, { onePacket: true }).replace(
      `, { address: "${FAMILIES[name].server(3)}" }`,
      '',
    );
    const slots = yamlWorld(yaml(name, { onePacket: true })).slots;
    bench.publish(yamlWorld(without, slots).snapshot);
    assert.is(go(bench, [call(1, 1, 2, 'b')]), 'B', 'stays');
    assert.match(go(bench, [call(1, 1, 2, 'a')]), /^[AB]$/);
    bench.close();
  });

  test(`${name}: the reply of a call that another port began goes to that port`, () => {
    const bench = benchOf(name, { mode: 'nat' });
    go(bench, [call(1, 1, 1_001, 'a'), call(1, 1, 1_002, 'a')]);
    const reply = udp({
      ...{ from: FAMILIES[name].server(3), to: client(1, 1, 1_002), payload: 'SIP/2.0 200 OK' },
      ...{ fromMac: serverMac(3), toMac: BACK_MAC },
    });
    assert.is(bench.run([fromBack(reply)], 1)[0]?.end, 'forwarded_nat_reply');
    bench.close();
  });

  test(`${name}: random calls, ports and clients: a model of one map agrees`, () => {
    const visit = fc.record({
      network: fc.integer({ min: 1, max: 2 }),
      host: fc.integer({ min: 1, max: 3 }),
      port: fc.integer({ min: 1_000, max: 1_003 }),
      id: fc.constantFrom('a', 'b', 'c@d', 'c@e', 'A'),
      wide: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(visit, { maxLength: 60 }),
        fc.constantFrom(1, 2, 4),
        (visits, workers) => {
          const bench = benchOf(name, { netmask: near, onePacket: true }, { workers });
          const known = new Map<string, string>();
          for (const { network, host, port, id, wide } of visits) {
            const from = client(network, host, port);
            const got = go(bench, [packet(from, message(id, wide ? 'i:' : 'Call-ID: '))]);
            const key = `${network} ${id}`;
            assert.is(got, known.get(key) ?? got);
            assert.match(got, /^[ABC]$/);
            known.set(key, got);
          }
          assert.is(listed(bench).length, known.size);
          assert.equal(bench.invariants(), []);
          bench.close();
        },
      ),
      { numRuns: 40 },
    );
  });
}

test('more calls than there is room for: the oldest give way, and nothing else', () => {
  const text = yaml('IPv4', { onePacket: true, timeout: '5m' });
  const bench = new Bench(yamlWorld(text), { limits: { maxConnections: 4_096 } });
  const { client } = FAMILIES.IPv4;
  const room = 1_024; // a quarter of the connection table
  const last = 8 * room;
  for (let n = 0; n < last; n++) {
    bench.run([datagram('IPv4', client(1, 1, 1 + (n % 9)), message(`call-${n}`))], n);
  }
  const left = listed(bench).map((one) => Number(/call-(\d+)$/.exec(one)?.[1]));
  assert.ok(left.length <= room + 8 && left.length > room / 2, `${left.length}`);
  assert.ok(left.filter((n) => n > last - room / 4).length > room / 5, 'the latest are there');
  bench.close();
});

test('a netmask with holes: whoever is the same where it has ones, as with IPVS', () => {
  const text = yaml('IPv4', { netmask: '255.0.255.0', onePacket: true }).replace(
    'engine: sip, ',
    '',
  );
  const same = ['198.18.7.1:1', '198.99.7.200:2', '198.0.7.0:3'];
  for (const workers of [1, 2, 4]) {
    const bench = new Bench(yamlWorld(text), { workers });
    const of = (from: string) => go(bench, [datagram('IPv4', from, 'anything')]);
    const had = same.map(of);
    assert.is(new Set(had).size, 1);
    assert.is(
      new Set([...had, ...['198.18.8.1:1', '199.18.7.1:1'].map(of)]).size > 1 || workers > 1,
      true,
    );
    assert.equal([...new Set(bench.connections().map((one) => one.client))].sort(), [
      '198.0.7.0',
      '198.0.8.0',
      '199.0.7.0',
    ]);
    bench.close();
  }
});

test.run();
