/**
 * Calls between two directors: who has told nothing but a Call-ID of a client gets its server there,
 * too, with the text that listings show; and a netmask with holes.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Bench, BenchOptions } from '../support/replay.js';
import { datagram, FAMILIES, type FamilyName, message, NAMES, yaml } from '../support/sip.js';
import { yamlWorld } from '../support/yaml.js';
import { decodeDatagram, type ToldCall } from './datagram-decoder.js';
import { KEY, Pair } from './pair.js';

const IDS = ['a@x', 'b', 'c@y', 'd', 'e', `f${'f'.repeat(254)}`];

const worldOf = (name: FamilyName, more: Parameters<typeof yaml>[1] = {}) =>
  yamlWorld(yaml(name, { onePacket: true, timeout: '300s', ...more }));

/** One datagram of each call; the servers that they got. */
function visit(bench: Bench, name: FamilyName, port: number, atMs: number, ids = IDS) {
  return ids.map((id, at) => {
    const from = FAMILIES[name].client(1, 1 + (at % 2), port + at);
    return bench.run([datagram(name, from, message(id))], atMs)[0]?.server;
  });
}

function pass(pair: Pair, from: number, to: number): void {
  for (let at = from; at <= to; at += 500) pair.exchange(at);
}

const listed = (bench: Bench) =>
  bench
    .connections()
    .filter(({ state }) => state === 'NONE')
    .map(({ client, server, engine, engineData }) => `${client} ${server} ${engine} ${engineData}`)
    .sort();

const CREWS: [string, BenchOptions, BenchOptions][] = [
  ['one worker each', {}, {}],
  ['2 workers, 3 workers', { workers: 2 }, { workers: 3 }],
  ['NICs that spread to 4, one worker', { workers: 4, distribution: 'nic' }, {}],
];

for (const name of NAMES) {
  for (const [crews, first, second] of CREWS) {
    test(`${name}, ${crews}: a call goes on at the other director, which lists it alike`, () => {
      const pair = new Pair(worldOf(name), { first, second });
      const had = visit(pair.first, name, 1_000, 0);
      assert.ok(new Set(had).size > 1, 'they are spread over the servers');
      pass(pair, 20, 5_000);
      assert.is(pair.second.sync().templates_adopted, IDS.length);
      assert.equal(listed(pair.second), listed(pair.first));
      assert.equal(visit(pair.second, name, 2_000, 5_100), had);
      assert.equal(pair.second.invariants(), []);
      pair.close();
    });
  }

  test(`${name}: a call that lives by its flow is told again while it does`, () => {
    const pair = new Pair(worldOf(name, { onePacket: false, timeout: '10s' }));
    const [had] = visit(pair.first, name, 1_000, 0, ['a']);
    for (let at = 20; at < 90_000; at += 1_000) {
      visit(pair.first, name, 1_000, at, ['a']);
      pair.exchange(at);
    }
    assert.is(listed(pair.second).length, 1);
    assert.equal(visit(pair.second, name, 3_000, 90_100, ['a']), [had]);
    pair.close();
  });

  test(`${name}: for a mark; and a director that starts later gets all`, () => {
    const pair = new Pair(worldOf(name, { mark: true }));
    pair.wire = () => false;
    const had = visit(pair.first, name, 1_000, 0);
    pass(pair, 20, 20_000);
    pair.wire = () => true;
    pair.exchange(20_500);
    pair.exchange(21_000);
    assert.is(pair.second.sync().bulks_done, 1);
    assert.equal(visit(pair.second, name, 2_000, 21_100), had);
    pair.close();
  });

  test(`${name}: a director that looks at clients in another way refuses them`, () => {
    const pair = new Pair(worldOf(name));
    pair.second.publish(worldOf(name, { netmask: FAMILIES[name].near }).snapshot);
    visit(pair.first, name, 1_000, 0);
    pass(pair, 20, 5_000);
    assert.is(pair.second.sync().templates_adopted, 0);
    assert.is(pair.second.sync().refused_stale, IDS.length);
    pair.close();
  });
}

test('on the wire: read by a decoder written apart, in both families and of a mark', () => {
  const told = (name: FamilyName, mark: boolean) => {
    const pair = new Pair(worldOf(name, { mark, netmask: FAMILIES[name].near }));
    const calls: ToldCall[] = [];
    pair.wire = (one) => calls.push(...decodeDatagram(one, KEY).calls) > 0 || true;
    visit(pair.first, name, 1_000, 0, ['a@x']);
    pass(pair, 20, 3_000);
    pair.close();
    assert.is(calls.length, 1);
    const { leftMs, server, ...rest } = calls[0] as ToldCall;
    assert.ok(leftMs > 290_000 && leftMs <= 300_000);
    assert.match(server, name === 'IPv4' ? /ffffc633640d:5060$/ : /^20010db80002.*0013:5060$/);
    return rest;
  };
  const four = { six: false, protocol: 'udp', mode: 'dr', part: 'ffffff00', id: 'a@x' };
  const client = '00000000000000000000ffffc6120100';
  const vip = '00000000000000000000ffffcb00710a:5060';
  assert.equal(told('IPv4', false), { ...four, client, virtual: vip });
  const mark = '00000000000000000000ffff00000005:0';
  assert.equal(told('IPv4', true), { ...four, protocol: 'mark', client, virtual: mark });
  assert.equal(told('IPv6', false), {
    ...{ ...four, six: true, part: '00000040' },
    client: '20010db8000c00010000000000000000',
    virtual: '20010db8000100000000000000000010:5060',
  });
});

test('a netmask with holes goes along', () => {
  const text = yaml('IPv4', { netmask: '255.0.255.0', onePacket: true }).replace(
    'engine: sip, ',
    '',
  );
  const pair = new Pair(yamlWorld(text));
  const of = (bench: Bench, from: string, atMs: number) =>
    bench.run([datagram('IPv4', from, 'anything')], atMs)[0]?.server;
  const had = ['198.18.7.1:1', '198.18.8.1:1', '198.18.9.1:1'].map((from) =>
    of(pair.first, from, 0),
  );
  pass(pair, 20, 5_000);
  assert.is(pair.second.sync().templates_adopted, 3);
  const there = ['198.99.7.9:2', '198.99.8.9:2', '198.99.9.9:2'];
  assert.equal(
    there.map((from) => of(pair.second, from, 5_100)),
    had,
  );
  pair.close();
});

test.run();
