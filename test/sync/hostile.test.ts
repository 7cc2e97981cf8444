/** Whatever comes over the wire, or does not: nothing is adopted that the peer has not told. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { LIP, R, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';
import { agreed, KEY, Pair, settings } from './pair.js';

const one = world({
  services: [
    { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] },
    { listen: `${VIP}:81`, mode: 'nat', servers: ['198.51.100.12:8080'] },
    { listen: `${VIP}:82`, mode: 'dr', servers: ['198.51.100.13:82'] },
    { listen: V, protocol: 'udp', mode: 'tun', servers: ['198.51.100.11:80'] },
  ],
  owned: [VIP, LIP],
});
const to = [V, `${VIP}:81`, `${VIP}:82`];
const tcp = (flow: number, flags: string): Arriving =>
  fromFront(p.tcp({ from: `198.18.1.${flow}:4000`, to: to[flow % 3] as string, flags, ack: 9 }));
const udp = (flow: number): Arriving =>
  fromFront(p.udp({ from: `198.18.2.${flow}:4000`, to: V, payload: p.pattern(9) }));

/** A pair that has shaken hands, and datagrams that the first has sent and the second not seen. */
function prepared(): { pair: Pair; recorded: Uint8Array[] } {
  const pair = new Pair(one);
  pair.exchange(200);
  for (let flow = 0; flow < 60; flow++) pair.first.run([tcp(flow, 'S')], 300);
  for (let flow = 0; flow < 60; flow++) pair.first.run([tcp(flow, 'A')], 310);
  pair.first.advance(500);
  pair.second.advance(500);
  const recorded = pair.first.syncSend();
  assert.ok(recorded.length > 0);
  return { pair, recorded };
}

test('a datagram counts once, in order, and whole', () => {
  const { pair, recorded } = prepared();
  for (const datagram of recorded) pair.second.syncReceive(datagram);
  const table = agreed(pair.second.connections());
  assert.ok(table.length > 0);
  const before = pair.second.sync();
  for (const datagram of recorded) pair.second.syncReceive(datagram);
  const after = pair.second.sync();
  assert.is((after.refused_replayed ?? 0) - (before.refused_replayed ?? 0), recorded.length);
  assert.is(after.updated, before.updated);
  assert.equal(agreed(pair.second.connections()), table);
  pair.close();
});

test('a changed, cut or lengthened datagram is refused, wherever it was changed', () => {
  const { pair, recorded } = prepared();
  const datagram = recorded[0] as Uint8Array;
  let tried = 0;
  fc.assert(
    fc.property(
      fc.nat(datagram.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'cut', 'longer'),
      (at, by, how) => {
        const changed = how === 'longer' ? new Uint8Array(datagram.length + by) : datagram.slice();
        if (how === 'longer') changed.set(datagram);
        if (how === 'flip') changed[at] = (changed[at] as number) ^ by;
        tried++;
        pair.second.syncReceive(how === 'cut' ? changed.subarray(0, at) : changed);
      },
    ),
    { numRuns: 2000 },
  );
  const { refused_malformed, refused_tag } = pair.second.sync();
  assert.is((refused_malformed ?? 0) + (refused_tag ?? 0), tried);
  assert.is(pair.second.connections().length, 0);
  for (const good of recorded) pair.second.syncReceive(good);
  assert.ok(pair.second.connections().length > 0, 'and none of it was in the way of a good one');
  pair.close();
});

test('noise is refused', () => {
  const bench = new Bench(one);
  for (const protocol of ['sluice', 'ipvs'] as const) {
    bench.startSync(settings({ protocol }));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1500 }), (noise) => bench.syncReceive(noise)),
      { numRuns: 2000 },
    );
    // With a header that says what the rest is about, whatever that is.
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 400 }), fc.nat(12), (noise, count) => {
        noise.set([0, 0, noise.length >> 8, noise.length & 255, count, 1, 0, 0]);
        bench.syncReceive(noise);
      }),
      { numRuns: 2000 },
    );
  }
  assert.is(bench.connections().length, 0);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('another key is of no use, and neither is a recording of an earlier life', () => {
  const { pair, recorded } = prepared();
  const stranger = new Bench(one, { seed: 3 });
  stranger.startSync(settings({ session: 303, key: KEY.map((byte) => byte ^ 1) }));
  for (const datagram of recorded) stranger.syncReceive(datagram);
  assert.is(stranger.sync().refused_tag, recorded.length);
  stranger.close();
  // A director that has just started hears the recording: it wants a proof, and nobody gives it.
  const fresh = new Bench(one, { seed: 4 });
  fresh.startSync(settings({ session: 404 }));
  for (const datagram of recorded) fresh.syncReceive(datagram);
  assert.is(fresh.sync().refused_unproven, recorded.length);
  assert.is(fresh.connections().length, 0);
  assert.is(fresh.sync().peers, 0);
  fresh.close();
  pair.close();
});

test('any traffic, any losses: in the end both have the same connections', () => {
  const step = fc.record({
    flow: fc.nat(40),
    what: fc.constantFrom('S', 'A', 'A', 'A', 'FA', 'R', 'udp', 'udp', 'reply'),
    wait: fc.constantFrom(0, 1, 30, 150, 700),
  });
  const losses = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), losses, (steps, lost) => {
      const pair = new Pair(one, {
        first: { workers: 2 },
        second: { workers: 2, distribution: 'nic' },
      });
      let sent = 0;
      pair.wire = () => !(lost[sent++ % lost.length] as boolean);
      let now = 0;
      for (const { flow, what, wait } of steps) {
        now += wait;
        const arriving =
          what === 'udp'
            ? udp(flow)
            : what === 'reply'
              ? fromBack(p.tcp({ from: R, to: `${LIP}:${2000 + flow}`, flags: 'SA', ack: 1 }))
              : tcp(flow, what);
        pair.first.run([arriving], now);
        if (wait > 100) pair.exchange(now);
      }
      // The wire is whole again; two sweeps later whatever was lost has been told again.
      pair.wire = () => true;
      for (let tick = 1; tick <= 50; tick++) pair.exchange(now + tick * 500);
      const told = pair.first
        .connections()
        .filter(({ state }) => state === 'ESTABLISHED' || state === 'UDP');
      const known = agreed(pair.second.connections());
      const missing = agreed(told).filter(
        (line) => !known.includes(line) && !line.startsWith('udp'),
      );
      assert.equal(missing, []);
      // And nothing that the first never had, or had with other ends.
      const ends = (line: string) => line.split(' ').slice(0, -1).join(' ');
      const had = new Set(agreed(pair.first.connections()).map(ends));
      const open = pair.second
        .connections()
        .filter(({ state }) => state === 'ESTABLISHED' || state === 'UDP');
      const invented = agreed(open).filter((line) => !had.has(ends(line)));
      assert.equal(invented, []);
      assert.equal(pair.second.invariants(), []);
      pair.close();
    }),
    { numRuns: 60 },
  );
});

test.run();
