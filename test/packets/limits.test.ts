/** Ways out that are closed, by name, and what changes under connections that are there. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Snapshot } from '../../src/snapshot.js';
import { mac, mapped } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import { Duo } from '../support/duo.js';
import { C, CIP, LIP, query, R, RIP, response, syn, V, VIP } from '../support/flow.js';
import * as p from '../support/packet.js';
import { Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { BACK, FRONT, type World, type WorldWords, world } from '../support/world.js';

const words: WorldWords = {
  services: [
    { listen: V, protocol: 'udp', mode: 'nat', servers: [R] },
    { listen: '203.0.113.11:80', protocol: 'udp', mode: 'nat', servers: [R] },
    { listen: V, mode: 'fullnat', servers: ['192.0.2.200:80'], locals: [LIP] },
  ],
};

function changed(place: World, change: (snapshot: Snapshot) => void): World {
  const snapshot = structuredClone(place.snapshot);
  snapshot.generation += 1;
  change(snapshot);
  return { ...place, snapshot };
}

/** One packet through both; its end. */
function step(duo: Duo, arriving: { port: number; frame: Uint8Array }, at = 0) {
  const { steps, complaints } = duo.run([arriving], at);
  assert.equal(complaints, []);
  assert.equal(duo.compareTables(), []);
  assert.equal(duo.bench.invariants(), []);
  return steps[0]!;
}

const ask = fromFront(p.udp(query));

test('no neighbour: dropped by name, and on its way once there is one', () => {
  const place = world(words);
  const without = changed(place, (snapshot) => {
    snapshot.neighbours = snapshot.neighbours.filter(({ port }) => port !== BACK);
  });
  const duo = new Duo(without);
  assert.is(step(duo, ask).end, 'no_neighbour');
  assert.is(duo.bench.counters().extra.neighbour_requests, 1);
  assert.is(step(duo, ask, 10).end, 'no_neighbour');
  assert.is(duo.bench.counters().extra.neighbour_requests, 1, 'asked once a second at the most');
  assert.is(step(duo, ask, 1500).end, 'no_neighbour');
  assert.is(duo.bench.counters().extra.neighbour_requests, 2);
  duo.publish(place);
  assert.is(step(duo, ask, 1600).end, 'forwarded_nat');
  duo.close();
});

test('no route: dropped by name, in both directions', () => {
  const place = world(words);
  const duo = new Duo(place);
  step(duo, ask);
  duo.publish(
    changed(place, (snapshot) => {
      snapshot.routes = [];
    }),
  );
  assert.is(step(duo, fromBack(p.udp(response)), 1).end, 'no_route');
  duo.publish(
    changed(place, (snapshot) => {
      snapshot.portAddresses = snapshot.portAddresses.filter(({ port }) => port !== BACK);
      snapshot.routes = [];
      snapshot.generation = 9;
    }),
  );
  assert.is(step(duo, ask, 2).end, 'no_route');
  duo.close();
});

test('a neighbour that gets another MAC takes its connections along', () => {
  const place = world(words);
  const duo = new Duo(place);
  step(duo, ask);
  duo.publish(
    changed(place, (snapshot) => {
      for (const neighbour of snapshot.neighbours) {
        if (neighbour.port === BACK) neighbour.mac = mac('02:00:00:00:09:09');
      }
    }),
  );
  const { outputs } = step(duo, ask, 1);
  assert.is(dissect(outputs[0]!.bytes).eth.dst, '02:00:00:00:09:09');
  duo.close();
});

test('a longer route wins, and wins connections over', () => {
  const place = world(words);
  const duo = new Duo(place);
  step(duo, ask);
  duo.publish(
    changed(place, (snapshot) => {
      snapshot.routes.push({
        address: mapped(RIP),
        length: 32,
        via: mapped('192.0.2.254'),
        port: FRONT,
      });
    }),
  );
  assert.is(step(duo, ask, 1).outputs[0]?.port, FRONT);
  duo.close();
});

test('FullNAT works on one arm: in and out by the same port', () => {
  const place = changed(world(words), (snapshot) => {
    snapshot.neighbours.push({
      address: mapped('192.0.2.200'),
      mac: mac('02:00:00:00:00:c8'),
      port: FRONT,
    });
  });
  const duo = new Duo(place);
  const out = step(duo, fromFront(p.tcp(syn)));
  assert.equal([out.end, out.outputs[0]?.port], ['forwarded_fullnat', FRONT]);
  const { ip } = dissect(out.outputs[0]!.bytes);
  const back = step(
    duo,
    fromFront(
      p.tcp({ from: '192.0.2.200:80', to: `${ip?.src}:${ip?.tcp?.sport}`, flags: 'SA', seq: 9 }),
    ),
    1,
  );
  assert.equal([back.end, back.outputs[0]?.port], ['forwarded_fullnat_reply', FRONT]);
  duo.close();
});

test('NAT: the same client and server by two VIPs: the second is a tuple conflict, not a mix-up', () => {
  const duo = new Duo(world(words));
  assert.is(step(duo, ask).end, 'forwarded_nat');
  const other = fromFront(p.udp({ ...query, to: '203.0.113.11:80' }));
  assert.is(step(duo, other, 1).end, 'tuple_conflict');
  const elsewhere = fromFront(p.udp({ ...query, from: `${CIP}:40001`, to: '203.0.113.11:80' }));
  assert.is(step(duo, elsewhere, 2).end, 'forwarded_nat');
  assert.is(dissect(step(duo, fromBack(p.udp(response)), 3).outputs[0]!.bytes).ip?.src, VIP);
  duo.close();
});

test('one-packet scheduling: each packet anew, nothing kept, replies left to the kernel', () => {
  const duo = new Duo(
    world({
      services: [
        {
          listen: V,
          protocol: 'udp',
          mode: 'nat',
          onePacket: true,
          servers: ['198.51.100.11:8080', '198.51.100.12:8080'],
        },
      ],
    }),
  );
  const to = [0, 1, 2].map((at) => dissect(step(duo, ask, at).outputs[0]!.bytes).ip?.dst);
  assert.equal(to, ['198.51.100.12', '198.51.100.11', '198.51.100.12']);
  assert.is(step(duo, fromBack(p.udp(response)), 3).end, 'punted_not_ours');
  assert.equal(duo.bench.connections(), []);
  duo.close();
});

test('wrong arguments are refused with a code, and the replay goes on', () => {
  const bench = new Bench(world(words));
  assert.throws(
    () => bench.run([{ port: 7, frame: p.udp(query) }], 0),
    (error: Error & { code?: string }) => /^ERR_NATIVE_/.test(error.code ?? ''),
  );
  const broken = world(words).snapshot;
  broken.services[0]!.servers[0]!.slot = 1_000_000;
  assert.throws(
    () => bench.publish(broken),
    (error: Error & { code?: string }) => /^ERR_NATIVE_/.test(error.code ?? ''),
  );
  const routed = world(words).snapshot;
  routed.routes[0]!.port = 9;
  assert.throws(
    () => bench.publish(routed),
    (error: Error & { code?: string }) => /^ERR_NATIVE_/.test(error.code ?? ''),
  );
  assert.is(bench.run([ask], 1)[0]?.end, 'forwarded_nat');
  bench.close();
});

test('a frame larger than any buffer is refused or dropped, not cut short', () => {
  const bench = new Bench(world(words));
  const huge = fromFront(p.udp({ ...query, payload: p.pattern(9000) }));
  let end = 'refused';
  try {
    end = bench.run([huge], 0)[0]?.kind ?? '';
  } catch (error) {
    assert.match((error as Error & { code: string }).code, /^ERR_NATIVE_/);
  }
  assert.ok(['refused', 'dropped', 'forwarded'].includes(end), end);
  assert.equal(bench.invariants(), []);
  assert.is(bench.run([fromFront(p.udp({ ...query, from: C }))], 1)[0]?.end, 'forwarded_nat');
  bench.close();
});

test.run();
