/** The SYN proxy, byte for byte: cookies, the connection they make, and its numbers both ways. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FAMILIES, FOUR, SIX } from '../support/families.js';
import * as p from '../support/packet.js';
import {
  classOf,
  type Offer,
  Proxied,
  type ProxiedMode,
  same,
  type Told,
} from '../support/proxied.js';
import { CREWS, nameOf, toBack, toFront } from '../support/table.js';
import { BACK } from '../support/world.js';

/** One of each kind. */
const TEAMS = [CREWS[0], CREWS[1], CREWS[4]];

const MODES: ProxiedMode[] = ['nat', 'fullnat'];
const plus = (a: number, b: number) => (a + b) >>> 0;

function scene(name: string, told: Told, run: (one: Proxied) => void, modes = MODES): void {
  for (const family of FAMILIES) {
    for (const mode of modes) {
      test(`${family.name}${mode}: ${name}`, () => {
        for (const crew of TEAMS) {
          const one = new Proxied(mode, told, crew, {}, undefined, family);
          try {
            run(one);
            assert.equal(one.bench.invariants(), []);
          } catch (error) {
            (error as Error).message += ` (${nameOf(crew)})`;
            throw error;
          } finally {
            one.close();
          }
        }
      });
    }
  }
}

const ends = (one: Proxied) => one.bench.counters().ends;
const extra = (one: Proxied) => one.bench.counters().extra;
const handshakes = (one: Proxied) => {
  const { answered, refused, unanswered } = one.bench.counters().handshakes[0] ?? {};
  return [answered, refused, unanswered];
};

scene('a conversation: data both ways, acknowledgements, FIN both ways', {}, (one) => {
  one.open();
  assert.equal(handshakes(one), [1, 0, 0]);
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(700) });
  one.fromServer({ seq: 0, ack: 700, flags: 'A' });
  one.fromServer({ seq: 0, ack: 700, payload: p.pattern(1400) });
  one.fromClient({ seq: 700, ack: 1400, flags: 'A', window: 65535 });
  one.fromServer({ seq: 1400, ack: 700, flags: 'FA', window: 0 });
  assert.is(one.bench.connections()[0]?.state, 'FIN_WAIT');
  one.fromClient({ seq: 700, ack: 1401, flags: 'FA' });
  one.fromServer({ seq: 1401, ack: 701, flags: 'A' });
  assert.is(one.bench.connections()[0]?.state, 'TIME_WAIT');
});

const NUMBERS: [clientIsn: number, serverIsn: number][] = [
  [0xffff_ffff, 0xffff_ffff],
  [0xffff_fff0, 0],
  [0, 0xffff_ff00],
  [0x7fff_ffff, 0x8000_0000],
];
for (const [clientIsn, serverIsn] of NUMBERS) {
  const name = `numbers that wrap: ${clientIsn.toString(16)}, ${serverIsn.toString(16)}`;
  scene(name, { clientIsn, serverIsn }, (one) => {
    one.open();
    // Past the end of the numbers of either side, and of the cookie's.
    for (let at = 0; at < 2 ** 32; at += 2 ** 29 + 12345) {
      one.fromClient({ seq: at, ack: at + 1, payload: p.pattern(11) });
      one.fromServer({ seq: at, ack: at, payload: p.pattern(13) });
    }
  });
}

const OFFERS: Offer[] = [
  {},
  { mss: 1460 },
  { mss: 1460, wscale: 0 },
  { mss: 1460, wscale: 14, sack: true },
  { mss: 536, wscale: 7 },
  { mss: 100, sack: true, timestamps: true },
  { mss: 8960, wscale: 3, sack: true, timestamps: true },
  { wscale: 255 },
  { mss: 65535 },
  { mss: 1 },
];
const SERVERS: Offer[] = [
  {},
  { mss: 1460, wscale: 0, sack: true },
  { mss: 1460, wscale: 7 },
  { mss: 536, wscale: 14, sack: true, timestamps: true },
];
for (const client of OFFERS) {
  for (const server of SERVERS) {
    // A server scales only if it was asked to.
    const { wscale: _, ...plain } = server;
    const told = { client, server: client.wscale === undefined ? plain : server };
    const name = `client offers ${JSON.stringify(client)}, server ${JSON.stringify(told.server)}`;
    test(name, () => {
      for (const [family, mode] of FAMILIES.flatMap((it) =>
        MODES.map((way) => [it, way] as const),
      )) {
        const one = new Proxied(mode, told, {}, {}, undefined, family);
        try {
          one.open();
          for (const window of [0, 1, 127, 128, 500, 32768, 65535]) {
            one.fromClient({ seq: 5, ack: 9, window });
            one.fromServer({ seq: 9, ack: 5, window });
          }
          assert.equal(one.bench.invariants(), []);
        } finally {
          one.close();
        }
      }
    });
  }
}

test('a class holds what fits it', () => {
  const sizes = [1, 535, 536, 1459, 1460, 9000];
  const classes = (family: typeof FOUR) => sizes.map((mss) => classOf(family, mss));
  assert.equal(classes(FOUR), [64, 64, 536, 1440, 1460, 8960]);
  assert.equal(classes(SIX), [64, 64, 536, 1440, 1440, 8940]);
});

scene('SACK blocks of the client follow the server’s numbers, wherever they lie', {}, (one) => {
  one.open();
  one.fromClient({ seq: 10, ack: 100, flags: 'A', sack: [200, 300] });
  one.fromClient({ seq: 10, ack: 100, flags: 'A', sack: [2 ** 31, 2 ** 31 + 9, 400, 500, 7, 8] });
  one.fromClient({ seq: 10, ack: 100, flags: 'A', sack: [1, 2], options: [p.nop] });
  one.fromClient({ seq: 10, ack: 0, flags: 'A', sack: [200, 300] });
});

scene('SACK blocks of the server are the client’s own numbers, and stay', {}, (one) => {
  one.open();
  const options = [p.nop, p.nop, p.sack(one.clientNext, plus(one.clientNext, 9))];
  one.fromServer({ seq: 1, ack: 1, flags: 'A', options });
});

scene('options that are malformed are left to the server', {}, (one) => {
  one.open();
  const broken = [
    [Uint8Array.of(5, 40, 0, 0)],
    [Uint8Array.of(5, 0, 1, 1)],
    [Uint8Array.of(1, 1, 1, 5)],
  ];
  for (const options of broken) one.fromClient({ seq: 1, ack: 1, options });
});

scene('a cookie holds for a minute, and for two at the most', {}, (one) => {
  one.sendSyn();
  one.now = 65_000;
  one.sendAck();
});

scene('a cookie that is too old is refused by a reset', {}, (one) => {
  one.sendSyn();
  one.now = 2 * 65_536;
  const step = one.give(one.ack(), 'client');
  assert.is(step.end, 'cookie_refused');
  const reset = one.family.tcp({
    ...{
      from: one.family.V,
      to: one.family.C,
      flags: 'R',
      seq: plus(one.cookie, 1),
      ack: 0,
      window: 0,
    },
    ...{ ttl: 64, id: 0, df: true },
  });
  same(step.outputs[0]?.bytes, toFront(reset).bytes, 'reset');
  assert.is(one.bench.connections().length, 0);
});

scene('whatever is wrong about a cookie, nothing comes of it', {}, (one) => {
  one.sendSyn();
  const { cookie, clientNext: seq } = one;
  const wrong = [
    { ack: cookie },
    { ack: plus(cookie, 2) },
    { ack: plus(cookie, 1) ^ 0x100 },
    { ack: plus(cookie ^ 0x20, 1) },
    { seq: plus(seq, 1) },
    { seq: plus(seq, -2) },
    { from: one.family.at(2, 40001) },
    { from: one.family.at(3, 40000) },
  ];
  for (const fields of wrong) {
    assert.is(one.give(one.ack(fields), 'client').end, 'cookie_refused', JSON.stringify(fields));
  }
  assert.is(one.give(one.ack({ flags: 'P' }), 'client').end, 'cookie_refused');
  assert.is(one.give(one.ack({ checksum: 'bad' }), 'client').end, 'bad_l4_checksum');
  assert.is(one.give(one.ack({ flags: 'RA' }), 'client').end, 'reset_without_connection');
  assert.is(one.give(one.syn({ flags: 'SA', ack: 9 }), 'client').end, 'answered_reset');
  assert.is(one.give(one.syn({ checksum: 'bad' }), 'client').end, 'bad_l4_checksum');
  assert.is(one.bench.connections().length, 0);
  assert.equal(handshakes(one), [0, 0, 0]);
  one.sendAck();
});

test('two directors of other seeds know nothing of one another’s cookies', () => {
  const one = new Proxied('nat');
  const other = new Proxied('nat', {}, { seed: 2 });
  one.sendSyn();
  assert.is(other.give(one.ack(), 'client').end, 'cookie_refused');
  one.close();
  other.close();
});

scene('a SYN is answered statelessly as often as it comes, and with data, too', {}, (one) => {
  one.sendSyn();
  const { cookie } = one;
  one.sendSyn({ payload: p.pattern(20) });
  assert.is(one.cookie, cookie);
  one.sendSyn({ ipOptions: [Uint8Array.of(1, 1, 1, 1)] });
  assert.is(ends(one).answered_by_cookie, 3);
});

scene('an ACK with data: the data is sent again', {}, (one) => {
  one.sendSyn();
  one.sendAck({ payload: p.pattern(100), flags: 'PA' });
  assert.is(one.give(one.ack({ payload: p.pattern(100) }), 'client').end, 'awaits_server');
  one.sendSynAck();
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(100) });
});

scene('the ACK was lost: a probe of the closed window does as well', {}, (one) => {
  one.sendSyn();
  one.sendAck({ seq: plus(one.clientNext, -1) });
  one.sendSynAck();
});

scene('a client that waits probes, and repeats its ACK: the server hears of it once', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  for (const fields of [{}, { seq: plus(one.clientNext, -1) }, { payload: 'x' }, { flags: 'FA' }]) {
    const step = one.give(one.ack(fields), 'client');
    assert.is(step.end, 'awaits_server');
    assert.is(step.outputs.length, 0);
  }
  one.sendSynAck();
});

scene('a SYN-ACK that is repeated is acknowledged again', {}, (one) => {
  one.open();
  one.sendSynAck();
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(3) });
  assert.equal(handshakes(one), [1, 0, 0]);
});

scene('a server that refuses: the client gets a reset it believes', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  const refusal = { flags: 'RA', seq: 0, window: 0, options: [], id: 3 };
  const step = one.give(one.synAck(refusal), 'server');
  assert.is(step.end, `forwarded_${one.mode}_reply`);
  const reset = one.family.tcp({
    ...{
      from: one.family.V,
      to: one.family.C,
      ...refusal,
      seq: plus(one.cookie, 1),
      ack: one.clientNext,
    },
    ...{ ttl: 63, df: true },
  });
  same(step.outputs[0]?.bytes, toFront(reset).bytes, 'reset');
  assert.equal(handshakes(one), [0, 1, 0]);
  assert.is(one.bench.connections()[0]?.state, 'CLOSE');
  // It was lost: whatever the client says is answered by another.
  assert.is(one.give(one.ack({ payload: 'x' }), 'client').end, 'answered_reset');
  // And it may try again.
  one.sendAgain();
});

scene('a reset that acknowledges nothing of ours is nobody’s', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  for (const fields of [
    { flags: 'R', seq: 0, ack: 0 },
    { flags: 'RA', ack: 77 },
  ]) {
    assert.is(one.give(one.synAck({ ...fields, options: [] }), 'server').end, 'awaits_server');
  }
  one.sendSynAck();
});

scene('a server that still has an older connection is told to forget it', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  const step = one.give(one.synAck({ flags: 'A', ack: 0x777, options: [] }), 'server');
  assert.is(step.end, 'answered_reset');
  const { flags, seq } = one.family.tcpOf(step.outputs[0]?.bytes);
  assert.equal([flags, seq], ['R', 0x777]);
  one.sendSynAck();
});

scene('a client that gives up before there is a server', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  assert.is(one.give(one.ack({ flags: 'R', seq: 5 }), 'client').end, 'awaits_server');
  const step = one.give(one.ack({ flags: 'RA', id: 5 }), 'client');
  assert.is(step.end, `forwarded_${one.mode}`);
  const reset = one.family.tcp({
    ...{ from: one.local, to: one.family.R, flags: 'R', seq: one.clientNext, ack: 0, window: 502 },
    ...{ ttl: 60, id: 5, df: true },
  });
  same(step.outputs[0]?.bytes, toBack(reset).bytes, 'reset');
  assert.is(one.give(one.synAck(), 'server').end, 'awaits_server');
  assert.is(one.bench.connections()[0]?.state, 'CLOSE');
});

scene('a server that is silent is asked four times in seven seconds', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  const asked: number[] = [];
  for (one.now = 0; one.now < 20_000; one.now += 200) {
    one.stir();
    for (const { bytes, port } of one.bench.unasked.splice(0)) {
      asked.push(one.now);
      const id = one.family.idOf(bytes);
      if (port === BACK) {
        same(bytes, one.synToServer({ ttl: 63, id }), 'SYN again');
      } else {
        const reset = one.family.tcp({
          ...{
            from: one.family.V,
            to: one.family.C,
            flags: 'RA',
            seq: plus(one.cookie, 1),
            ack: one.clientNext,
          },
          ...{ window: 0, ttl: 64, id, df: true },
        });
        same(bytes, toFront(reset).bytes, 'reset at the end');
      }
    }
  }
  // The wheel looks at each once in 256 ms, after its time.
  assert.is(asked.length, 4);
  let before = 0;
  [1_000, 2_000, 4_000, 8_000].forEach((wait, index) => {
    const waited = (asked[index] as number) - before;
    assert.ok(waited >= wait && waited < wait + 900, `${waited} ms, not ${wait}`);
    before = asked[index] as number;
  });
  assert.is(one.bench.connections().length, 0);
  assert.is(extra(one).proxy_syns_repeated, 3);
  assert.is(extra(one).proxy_given_up, 1);
  assert.equal(handshakes(one), [0, 0, 1]);
});

scene('a server that answers the second SYN only', {}, (one) => {
  one.sendSyn();
  one.sendAck();
  one.now = 1_600;
  one.stir();
  assert.is(one.bench.unasked.splice(0).length, 1);
  one.sendSynAck();
  assert.equal(handshakes(one), [1, 0, 1]);
  one.now = 30_000;
  one.stir();
  assert.is(one.bench.unasked.length, 0);
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(9) });
});

scene('resets of a client carry the numbers that the server knows', {}, (one) => {
  one.open();
  one.fromClient({ seq: 4, ack: 6, flags: 'R' });
  assert.is(one.bench.connections()[0]?.state, 'CLOSE');
});

scene('and so do the server’s', {}, (one) => {
  one.open();
  one.fromServer({ seq: 6, ack: 4, flags: 'RA', window: 0 });
  assert.is(one.bench.connections()[0]?.state, 'CLOSE');
});

scene('a flood of SYNs costs nothing and counts against no server', {}, (one) => {
  one.open();
  for (let port = 1024; port < 1324; port++) {
    const step = one.give(one.syn({ from: one.family.at(77, port) }), 'client');
    assert.is(step.end, 'answered_by_cookie');
  }
  assert.is(one.bench.connections().length, 1);
  assert.equal(handshakes(one), [1, 0, 0]);
  one.fromClient({ seq: 0, ack: 0, payload: p.pattern(50) });
});

scene('no SYN ends a connection; one that is closing gives way to a cookie', {}, (one) => {
  one.open();
  one.fromClient({ seq: 0, ack: 1, flags: 'FA' });
  one.fromServer({ seq: 1, ack: 1, flags: 'FA' });
  one.fromClient({ seq: 1, ack: 2, flags: 'A' });
  assert.is(one.bench.connections()[0]?.state, 'TIME_WAIT');
  const isn = 0x9999_0000;
  const step = one.give(one.syn({ seq: isn }), 'client');
  assert.is(step.end, 'answered_by_cookie');
  assert.is(one.bench.connections()[0]?.state, 'TIME_WAIT');
  const { seq: cookie } = one.family.tcpOf(step.outputs[0]?.bytes);
  const ack = one.give(one.ack({ seq: isn + 1, ack: plus(cookie, 1) }), 'client');
  assert.is(ack.end, `forwarded_${one.mode}`);
  assert.equal(
    one.bench.connections().map(({ state }) => state),
    ['SYN_RECV'],
  );
});

scene('a SYN to an established connection is the server’s to challenge', {}, (one) => {
  one.open();
  const step = one.give(one.syn({ seq: 0x7000_0000 }), 'client');
  assert.is(step.end, `forwarded_${one.mode}`);
  assert.is(one.bench.connections()[0]?.state, 'ESTABLISHED');
  one.fromServer({ seq: 0, ack: 0, flags: 'A' });
});

scene('ICMP errors quote what their receivers have sent', {}, (one) => {
  one.open();
  const request = one.family.tcp({
    ...{
      from: one.local,
      to: one.family.R,
      flags: 'PA',
      seq: plus(one.clientNext, 3),
      payload: 'abc',
    },
    ack: plus(plus(one.cookie, one.lead), 11),
  });
  const { clientSideRouter, serverSideRouter, tooBig, quotedOf, VIP } = one.family;
  const back = one.give(tooBig(serverSideRouter, one.localAddress, request), 'server');
  assert.is(back.end, 'forwarded_icmp_error');
  const quoted = quotedOf(back.outputs[0]?.bytes);
  assert.equal([quoted?.seq, quoted?.ack], [plus(one.clientNext, 3), plus(one.cookie, 11)]);
  const reply = one.family.tcp({
    ...{
      from: one.family.V,
      to: one.family.C,
      flags: 'PA',
      seq: plus(one.cookie, 8),
      ack: one.clientNext,
    },
    payload: 'abc',
  });
  const there = one.give(tooBig(clientSideRouter, VIP, reply), 'client');
  assert.is(there.end, 'forwarded_icmp_error');
  const told = quotedOf(there.outputs[0]?.bytes);
  assert.equal([told?.seq, told?.ack], [plus(plus(one.cookie, one.lead), 8), one.clientNext]);
});

test.run();
