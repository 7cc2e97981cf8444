/** SCTP's states, timeouts and ActiveConn / InActConn, as a real Linux IPVS shows them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectionState, Mode } from '../../src/native.js';
import { Duo } from '../support/duo.js';
import { C, LIP, R, V } from '../support/flow.js';
import { type Arriving, Bench } from '../support/replay.js';
import { CHUNKS, type Chunk, sctp } from '../support/sctp.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';

const MODES: Mode[] = ['nat', 'dr', 'tun', 'fullnat'];
const placeFor = (mode: Mode) =>
  world({
    services: [
      {
        listen: V,
        protocol: 'sctp',
        mode,
        servers: [R],
        locals: mode === 'fullnat' ? [LIP] : [],
      },
    ],
  });

/** c: from the client, s: from the server; then its chunks. */
type Event = `${'c' | 's'} ${string}`;
type Line = [events: Event[], state: ConnectionState, seconds: number];

function arrivingOf(duo: Duo, event: Event): Arriving {
  const chunks = event.slice(2).split(' ') as Chunk[];
  if (event.startsWith('c')) return fromFront(sctp({ from: C, to: V, chunks }));
  const local = duo.model.connections.all()[0]?.local;
  return fromBack(sctp({ from: R, to: local ? `${local.ip}:${local.port}` : C, chunks }));
}

const HANDSHAKE: Event[] = ['c INIT', 's INIT-ACK', 'c COOKIE-ECHO', 's COOKIE-ACK'];
const BOTH: Line[] = [
  [['c INIT'], 'INIT1', 4],
  [['c INIT', 'c INIT'], 'INIT', 61],
  [['c INIT', 's ABORT'], 'REJECTED', 4],
  [['c INIT', 's ABORT', 'c INIT'], 'INIT', 61],
  [HANDSHAKE.slice(0, 2), 'C-SENT', 61],
  [HANDSHAKE.slice(0, 3), 'C-REPLIED', 61],
  [[...HANDSHAKE.slice(0, 2), 'c COOKIE-ECHO DATA'], 'C-REPLIED', 61],
  [[...HANDSHAKE.slice(0, 2), 'c COOKIE-ECHO ABORT'], 'CLOSED', 61],
  [HANDSHAKE, 'ESTABLISHED', 900],
  [[...HANDSHAKE, 'c DATA', 's SACK DATA', 'c HEARTBEAT', 's HEARTBEAT-ACK'], 'ESTABLISHED', 900],
  [[...HANDSHAKE, 'c SHUTDOWN'], 'S-RECEIVED', 61],
  [[...HANDSHAKE, 'c SHUTDOWN', 's SHUTDOWN-ACK'], 'S-ACK-SENT', 61],
  [[...HANDSHAKE, 'c SHUTDOWN', 's SHUTDOWN-ACK', 'c SHUTDOWN-COMPLETE'], 'CLOSED', 61],
  [[...HANDSHAKE, 's SHUTDOWN'], 'S-SENT', 61],
  [[...HANDSHAKE, 's SHUTDOWN', 'c SHUTDOWN-ACK'], 'CLOSED', 61],
  [[...HANDSHAKE, 's SHUTDOWN', 'c SHUTDOWN-ACK', 's SHUTDOWN-COMPLETE'], 'CLOSED', 61],
  [[...HANDSHAKE, 'c ABORT'], 'CLOSED', 61],
  [[...HANDSHAKE, 's ABORT'], 'CLOSED', 61],
  [[...HANDSHAKE, 'c ABORT', 'c INIT'], 'INIT1', 4],
  [[...HANDSHAKE, 'c INIT'], 'ESTABLISHED', 900],
  [['c INIT', 's INIT'], 'C-WAIT', 61],
  [['c INIT', 's INIT', 'c INIT-ACK', 's COOKIE-ECHO', 'c COOKIE-ACK'], 'ESTABLISHED', 900],
];
const CLIENT_ONLY: Line[] = [
  [['c INIT'], 'INIT1', 4],
  [['c INIT', 'c INIT'], 'INIT', 61],
  [['c INIT', 'c COOKIE-ECHO'], 'ESTABLISHED', 900],
  [['c INIT', 'c COOKIE-ECHO', 'c DATA'], 'ESTABLISHED', 900],
  [['c INIT', 'c COOKIE-ECHO', 'c SHUTDOWN'], 'S-RECEIVED', 61],
  [['c INIT', 'c COOKIE-ECHO', 'c SHUTDOWN', 'c SHUTDOWN-COMPLETE'], 'CLOSED', 61],
  [['c INIT', 'c COOKIE-ECHO', 'c SHUTDOWN-ACK'], 'CLOSED', 61],
  [['c INIT', 'c COOKIE-ECHO', 'c ABORT'], 'CLOSED', 61],
  [['c INIT', 'c COOKIE-ECHO', 'c ABORT', 'c INIT'], 'INIT1', 4],
];

for (const mode of MODES) {
  const seesReplies = mode === 'nat' || mode === 'fullnat';
  for (const [events, state, seconds] of seesReplies ? BOTH : CLIENT_ONLY) {
    test(`${mode}: ${events.join(', ')} → ${state}`, () => {
      const duo = new Duo(placeFor(mode));
      events.forEach((event, at) => {
        assert.equal(duo.run([arrivingOf(duo, event)], at).complaints, [], event);
      });
      const [connection] = duo.bench.connections();
      assert.equal([connection?.protocol, connection?.state], ['sctp', state]);
      assert.is(connection?.timeoutMs, seconds * 1000);
      const server = duo.bench.counters().servers[0]!;
      const active = state === 'ESTABLISHED' ? 1 : 0;
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

  test(`${mode}: every two chunks behind an INIT, as the model has it`, () => {
    const duo = new Duo(placeFor(mode));
    const chunks = Object.keys(CHUNKS) as Chunk[];
    const events = chunks.flatMap((chunk): Event[] =>
      seesReplies ? [`c ${chunk}`, `s ${chunk}`] : [`c ${chunk}`],
    );
    let at = 0;
    const complaints: string[] = [];
    const seen = new Set<string>();
    const play = (series: Event[]) => {
      for (const event of ['c INIT' as const, ...series]) {
        complaints.push(...duo.run([arrivingOf(duo, event)], at).complaints);
        seen.add(duo.model.connections.all()[0]?.state ?? '');
      }
      const table = duo.compareTables();
      complaints.push(...table.map((line) => `${series}: ${line}`));
      // Long enough for each of them to be gone.
      at += 1_000_000;
      duo.advance(at);
    };
    for (const first of events) for (const second of events) play([first, second]);
    assert.equal(complaints.slice(0, 5), []);
    assert.is(seen.size, seesReplies ? 13 : 6, `${[...seen]}`);
    duo.close();
  });
}

test('an association that is being set up gives way in a full table, an established one doesn’t', () => {
  const bench = new Bench(placeFor('nat'), { limits: { maxConnections: 8 } });
  const from = (port: number) => `198.18.0.3:${port}`;
  const send = (port: number, chunk: Chunk, server = false) =>
    server
      ? fromBack(sctp({ from: R, to: from(port), chunks: [chunk] }))
      : fromFront(sctp({ from: from(port), to: V, chunks: [chunk] }));
  for (let port = 1; port <= 4; port++) {
    bench.run([send(port, 'INIT')], port);
    bench.run([send(port, 'COOKIE-ACK', true)], port);
  }
  for (let port = 5; port <= 20; port++) bench.run([send(port, 'INIT')], port);
  const established = bench.connections().filter(({ state }) => state === 'ESTABLISHED');
  assert.is(established.length, 4);
  const { extra } = bench.counters();
  assert.equal([extra.connections, extra.evicted_half_open], [8, 12]);
  bench.close();
});

test.run();
