/** What passive health checks count of a server: answers to SYNs, where they pass the director. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mode } from '../../src/native.js';
import { C, data, LIP, R, SERVER_SIDE_ROUTER, syn, synAck, V } from '../support/flow.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { world } from '../support/world.js';

const MODES: Mode[] = ['nat', 'fullnat', 'dr', 'tun', 'enat'];
const placeFor = (mode: Mode) =>
  world({
    services: [
      {
        listen: V,
        protocol: 'tcp',
        mode,
        servers: [R],
        locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
      },
    ],
  });

/** c: from the client, s: from the server, r: an ICMP error of a router before it; w: ms that pass. */
type Event = `${'c' | 's'} ${string}` | `r ${number}/${number}` | `w ${number}`;

/** Answered, refused, unanswered. */
const TABLE: [it: string, events: Event[], counted: [number, number, number]][] = [
  ['a SYN on its way', ['c S'], [0, 0, 0]],
  ['a handshake', ['c S', 's SA', 'c A'], [1, 0, 0]],
  ['a SYN-ACK that is repeated counts once', ['c S', 's SA', 's SA', 'c A'], [1, 0, 0]],
  ['a reset in answer', ['c S', 's RA'], [0, 1, 0]],
  ['a reset after the SYN-ACK is no refusal', ['c S', 's SA', 's R'], [1, 0, 0]],
  ['a reset of a connection that stood', ['c S', 's SA', 'c A', 's R'], [1, 0, 0]],
  ['a client that repeats its SYN', ['c S', 'w 1000', 'c S'], [0, 0, 1]],
  ['and repeats it: one connection', ['c S', 'w 1000', 'c S', 'w 2000', 'c S'], [0, 0, 1]],
  ['a SYN sent twice in no time is no evidence', ['c S', 'w 400', 'c S'], [0, 0, 0]],
  ['a repeated SYN that had its answer', ['c S', 's SA', 'w 1000', 'c S'], [1, 0, 0]],
  ['an answer that comes late', ['c S', 'w 1000', 'c S', 's SA'], [1, 0, 1]],
  ['nothing until it expires', ['c S', 'w 63000'], [0, 0, 1]],
  ['repeated, and then nothing: one connection', ['c S', 'w 1000', 'c S', 'w 63000'], [0, 0, 1]],
  ['half-open by the client, who has gone', ['c S', 's SA', 'w 63000'], [1, 0, 0]],
  ['given up by the client before an answer', ['c S', 'c R', 's RA'], [0, 1, 0]],
  ['no host there', ['c S', 'r 3/1'], [0, 1, 0]],
  ['filtered, and a router says so', ['c S', 'r 3/13'], [0, 1, 0]],
  ['a packet too big is no refusal', ['c S', 'r 3/4'], [0, 0, 0]],
  ['an error about a connection that stood', ['c S', 's SA', 'c A', 'r 3/1'], [1, 0, 0]],
];

function arriving(bench: Bench, event: Event): Arriving {
  const [from, what] = event.split(' ') as [string, string];
  if (from === 'c')
    return fromFront(p.tcp({ ...(what === 'S' ? syn : data), flags: what, payload: '' }));
  const { local = '', localPort } = bench.connections()[0] ?? {};
  const to = local === '' ? C : `${local}:${localPort}`;
  if (from === 'r') {
    const [type, code] = what.split('/').map(Number) as [number, number];
    const quote = p.tcp({ ...syn, from: to, to: R });
    const own = to.split(':')[0] as string;
    return fromBack(p.icmpError({ from: SERVER_SIDE_ROUTER, to: own, type, code, quote }));
  }
  const base = what.includes('S') ? synAck : { ...data, from: R };
  return fromBack(p.tcp({ ...base, flags: what, payload: '', to }));
}

for (const mode of MODES) {
  const sees = mode === 'nat' || mode === 'fullnat';
  for (const [it, events, counted] of TABLE) {
    // Without the server's side there is nothing to tell apart.
    if (!sees && events.some((event) => /^[sr]/.test(event))) continue;
    test(`${mode}: ${it}`, () => {
      const bench = new Bench(placeFor(mode));
      let now = 0;
      for (const event of events) {
        if (event.startsWith('w')) {
          now += Number(event.slice(2));
          bench.advance(now);
        } else {
          bench.run([arriving(bench, event)], now);
        }
      }
      const { answered, refused, unanswered } = bench.counters().handshakes[0] ?? {};
      assert.equal([answered, refused, unanswered], sees ? counted : [0, 0, 0]);
      assert.equal(bench.invariants(), []);
      bench.close();
    });
  }
}

test('who gives way to others in a flood is not held against the server', () => {
  const bench = new Bench(placeFor('nat'), { limits: { maxConnections: 64 } });
  const frames = Array.from({ length: 500 }, (_, n) =>
    fromFront(p.tcp({ ...syn, from: `198.18.1.2:${2000 + n}` })),
  );
  bench.run(frames, 0);
  const { handshakes, extra } = bench.counters();
  assert.ok((extra.evicted_half_open as number) > 400);
  assert.is(handshakes[0]?.unanswered, 0);
  bench.close();
});

test.run();
