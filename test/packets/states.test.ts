/** Connection states, timeouts and ActiveConn / InActConn, as a real Linux IPVS shows them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectionState, Mode } from '../../src/native.js';
import { Duo } from '../support/duo.js';
import { C, data, LIP, query, R, RIP, syn, synAck, V } from '../support/flow.js';
import type { TcpFields } from '../support/packet.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';

const MODES: Mode[] = ['nat', 'dr', 'tun', 'fullnat', 'enat'];
const placeFor = (mode: Mode) =>
  world({
    services: (['tcp', 'udp'] as const).map((protocol) => ({
      listen: V,
      protocol,
      mode,
      servers: [R],
      locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
    })),
  });

const fromClient = (flags: string): Arriving =>
  fromFront(p.tcp({ ...(flags.includes('S') ? syn : data), flags, payload: '' }));

function fromServer(duo: Duo, flags: string): Arriving {
  const to = duo.model.connections.all()[0]?.local;
  const base: TcpFields = flags.includes('S') ? synAck : { ...data, from: R, to: C };
  return fromBack(p.tcp({ ...base, flags, payload: '', to: to ? `${to.ip}:${to.port}` : C }));
}

/** c: from the client, s: from the server; then the flags. */
type Event = `${'c' | 's'} ${string}`;
type Line = [events: Event[], state: ConnectionState, seconds: number, active: 0 | 1];

const BOTH: Line[] = [
  [['c S'], 'SYN_RECV', 60, 1],
  [['c S', 'c S'], 'SYN_RECV', 60, 1],
  [['c S', 's SA'], 'SYN_RECV', 60, 1],
  [['c S', 's SA', 'c A'], 'ESTABLISHED', 900, 1],
  [['c S', 's A'], 'ESTABLISHED', 900, 1],
  [['c S', 'c A', 's FA'], 'FIN_WAIT', 120, 0],
  [['c S', 'c A', 's FA', 'c A'], 'FIN_WAIT', 120, 0],
  [['c S', 'c A', 's FA', 'c FA'], 'TIME_WAIT', 120, 0],
  [['c S', 'c A', 'c FA'], 'CLOSE_WAIT', 60, 0],
  [['c S', 'c A', 'c FA', 's A'], 'CLOSE_WAIT', 60, 0],
  [['c S', 'c A', 'c FA', 's FA'], 'TIME_WAIT', 120, 0],
  [['c S', 'c A', 'c FA', 's FA', 'c S'], 'SYN_RECV', 60, 1],
  [['c S', 'c A', 'c R'], 'CLOSE', 10, 0],
  [['c S', 'c A', 'c R', 'c A'], 'CLOSE', 10, 0],
  [['c S', 'c A', 'c R', 'c S'], 'SYN_RECV', 60, 1],
  [['c S', 'c R'], 'SYN_RECV', 60, 1],
  [['c S', 's RA'], 'CLOSE', 10, 0],
  [['c S', 'c A', 's R'], 'CLOSE', 10, 0],
  [['c SA'], 'SYN_RECV', 60, 1],
];
const CLIENT_ONLY: Line[] = [
  [['c S'], 'SYN_RECV', 60, 1],
  [['c S', 'c A'], 'ESTABLISHED', 900, 1],
  [['c S', 'c A', 'c FA'], 'FIN_WAIT', 120, 0],
  [['c S', 'c A', 'c FA', 'c A'], 'FIN_WAIT', 120, 0],
  [['c S', 'c A', 'c FA', 'c S'], 'SYN_RECV', 60, 1],
  [['c S', 'c A', 'c R'], 'CLOSE', 10, 0],
  [['c S', 'c A', 'c R', 'c A'], 'CLOSE', 10, 0],
  [['c S', 'c R'], 'SYN_RECV', 60, 1],
];

for (const mode of MODES) {
  const lines = mode === 'nat' || mode === 'fullnat' ? BOTH : CLIENT_ONLY;
  for (const [events, state, seconds, active] of lines) {
    test(`${mode}: ${events.join(', ')} → ${state}`, () => {
      const duo = new Duo(placeFor(mode));
      events.forEach((event, at) => {
        const flags = event.slice(2);
        const arriving = event.startsWith('c') ? fromClient(flags) : fromServer(duo, flags);
        assert.equal(duo.run([arriving], at).complaints, [], event);
      });
      const [connection] = duo.bench.connections();
      assert.is(connection?.state, state);
      assert.is(connection?.timeoutMs, seconds * 1000);
      const server = duo.bench.counters().servers[0]!;
      assert.equal([server.active, server.inactive], [active, 1 - active]);
      assert.equal(duo.compareTables(), []);
      // Alive to the end of its timeout, gone soon after.
      const end = events.length - 1 + seconds * 1000;
      duo.advance(end - 1);
      assert.is(duo.bench.counters().extra.connections, 1);
      duo.advance(end + 2000);
      assert.is(duo.bench.counters().extra.connections, 0);
      assert.equal(duo.compareTables(), []);
      duo.close();
    });
  }
  test(`${mode}: UDP is inactive and lasts 300 s after its last packet`, () => {
    const duo = new Duo(placeFor(mode));
    duo.run([fromFront(p.udp(query))], 0);
    duo.run([fromFront(p.udp(query))], 200_000);
    const [connection] = duo.bench.connections();
    assert.equal([connection?.state, connection?.timeoutMs], ['UDP', 300_000]);
    const server = duo.bench.counters().servers[1]!;
    assert.equal([server.active, server.inactive, server.conns], [0, 1, 1]);
    duo.advance(499_999);
    assert.is(duo.bench.counters().extra.connections, 1);
    duo.advance(502_000);
    assert.is(duo.bench.counters().extra.connections, 0);
    duo.close();
  });
}

test('a packet after the timeout makes a new connection, whether or not expiry came by', () => {
  const bench = new Bench(placeFor('nat'));
  bench.run([fromFront(p.udp(query))], 0);
  bench.run([fromFront(p.udp(query))], 300_500);
  const { extra, servers } = bench.counters();
  assert.equal([extra.connections, extra.connections_created, servers[1]?.conns], [1, 2, 2]);
  bench.close();
});

test('the timeouts are the snapshot’s, also for connections that are there already', () => {
  const place = placeFor('nat');
  const bench = new Bench(place);
  bench.run([fromFront(p.udp(query))], 0);
  const timeouts = [...place.snapshot.timeouts];
  timeouts[11] = 5_000;
  bench.publish({ ...place.snapshot, timeouts, generation: 2 });
  bench.run([fromFront(p.udp(query))], 1_000);
  assert.is(bench.connections()[0]?.timeoutMs, 5_000);
  bench.advance(8_500);
  assert.is(bench.counters().extra.connections, 0);
  bench.close();
});

test('a local port is free again when its connection has ended', () => {
  const bench = new Bench(placeFor('fullnat'), { limits: { maxConnections: 1024 } });
  for (let round = 0; round < 40; round++) {
    const at = round * 400_000;
    const frames = Array.from({ length: 1000 }, (_, n) =>
      fromFront(p.udp({ ...query, from: `198.18.0.2:${1024 + n}` })),
    );
    const steps = bench.run(frames, at);
    const lost = steps.filter((step) => step.kind !== 'forwarded').map((step) => step.end);
    assert.equal(lost, [], `round ${round}`);
    bench.advance(at + 310_000);
    assert.is(bench.counters().extra.connections, 0);
  }
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('local ports run out by name, and only towards that server', () => {
  const place = world({
    services: [
      { listen: V, mode: 'fullnat', servers: [R], locals: [LIP] },
      { listen: `${V}1`, mode: 'fullnat', servers: [`${RIP}:9`], locals: [LIP] },
    ],
  });
  const bench = new Bench(place, { limits: { maxConnections: 100_000 }, burst: 32 });
  const flows = 65536 - 1024;
  const seen = new Set<number>();
  const batch = 8192;
  for (let from = 0; from < flows; from += batch) {
    const frames = Array.from({ length: Math.min(batch, flows - from) }, (_, n) => {
      const flow = from + n;
      const client = `198.18.${1 + (flow >> 14)}.2:${1024 + (flow & 0x3fff)}`;
      return { from: client, options: [] };
    });
    const opening = frames.map((ends) => fromFront(p.tcp({ ...syn, ...ends })));
    for (const step of bench.run(opening, 0)) {
      assert.is(step.end, 'forwarded_fullnat');
      const bytes = step.outputs[0]!.bytes;
      const at = 14 + ((bytes[14] as number) & 15) * 4;
      seen.add(((bytes[at] as number) << 8) | (bytes[at + 1] as number));
    }
    // Half-open ones would give way.
    bench.run(
      frames.map((ends) => fromFront(p.tcp({ ...data, ...ends, flags: 'A', payload: '' }))),
      0,
    );
  }
  assert.is(seen.size, flows, 'every port once');
  assert.is(Math.min(...seen), 1024);
  const more = fromFront(p.tcp({ ...syn, from: '198.18.99.2:1' }));
  assert.is(bench.run([more], 0)[0]?.end, 'local_ports_exhausted');
  const other = fromFront(p.tcp({ ...syn, from: '198.18.99.2:1', to: `${V}1` }));
  assert.is(bench.run([other], 0)[0]?.end, 'forwarded_fullnat');
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('a full table drops by name and goes on with what it has', () => {
  const bench = new Bench(placeFor('nat'), { limits: { maxConnections: 64 } });
  const ends = Array.from({ length: 100 }, (_, n) => {
    const from = `198.18.0.2:${2000 + n}`;
    const [first] = bench.run([fromFront(p.tcp({ ...syn, from }))], 0);
    bench.run([fromFront(p.tcp({ ...data, from, flags: 'A', payload: '' }))], 0);
    return first?.end;
  });
  const full = ends.filter((end) => end === 'table_full').length;
  assert.ok(full >= 1 && full <= 100 - 64, `${full} of 100 found the table full`);
  const old = fromFront(p.tcp({ ...data, from: '198.18.0.2:2000' }));
  assert.is(bench.run([old], 1)[0]?.end, 'forwarded_nat');
  assert.equal(bench.invariants(), []);
  bench.advance(1_000_000);
  assert.is(bench.counters().extra.connections, 0);
  const late = fromFront(p.tcp({ ...syn, from: '198.18.0.2:2099' }));
  assert.is(bench.run([late], 1_000_001)[0]?.end, 'forwarded_nat');
  bench.close();
});

test.run();
