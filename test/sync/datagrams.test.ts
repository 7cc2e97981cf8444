/** Sluice's own sync datagrams, byte by byte, of both families; and strange ones of IPv6. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { STATES } from '../../src/native.js';
import { concat, u16, u32 } from '../support/bytes.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { sctp } from '../support/sctp.js';
import { fromBack, fromFront } from '../support/table.js';
import { LIP6, RIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';
import { decodeDatagram, siphash128, type ToldConnection } from './datagram-decoder.js';
import { KEY, Pair, settings } from './pair.js';

const FOUR = `
  - name: four
    listen: 203.0.113.10:80
    mode: dr
    scheduler: rr
    servers: [{ address: 198.51.100.11:80 }]
  - name: signalling
    listen: 203.0.113.11:2905
    protocol: sctp
    mode: nat
    scheduler: rr
    servers: [{ address: 198.51.100.11:2906 }]
`;
const SCTP4 = '203.0.113.11:2905';
const one = () => yamlWorld(yaml6() + FOUR);
const V4 = '203.0.113.10:80';
const at = (vip: string) => `[${vip}]:80`;
const C6 = '[2001:db8:c::2]:40000';

test('the tag is what its authors say it is', () => {
  // Of the SipHash reference's vectors_sip128: key and message count up from 0.
  const key = Uint8Array.from({ length: 16 }, (_, index) => index);
  const vectors = ['a3817f04ba25a8e66df67214c7550293', 'da87c1d86b99af44347659119b22fc45'];
  vectors.forEach((wanted, length) => {
    const message = Uint8Array.from({ length }, (_, index) => index);
    assert.is(Buffer.from(siphash128(message, key)).toString('hex'), wanted);
  });
});

test('what is told of each connection is what is listed', () => {
  const pair = new Pair(one());
  pair.exchange(10);
  const { first } = pair;
  const tcp6 = (to: string, flags: string, ack = 0) =>
    fromFront(q.tcp6({ from: C6, to: at(to), flags, seq: 1, ack }));
  first.run([tcp6(VIPS.dr, 'S'), tcp6(VIPS.fullnat, 'S'), tcp6(VIPS.sixInFour, 'S')], 100);
  first.run([fromFront(p.tcp({ from: '198.18.0.2:40000', to: V4, flags: 'S' }))], 100);
  const full = first.connections().find(({ mode }) => mode === 'fullnat');
  const local = `[${LIP6}]:${full?.localPort}`;
  const answer = { from: `[${RIP6}]:8080`, to: local, flags: 'SA', seq: 7000, ack: 2 };
  first.run([fromBack(q.tcp6(answer))], 110);
  first.run([tcp6(VIPS.dr, 'A', 5), tcp6(VIPS.fullnat, 'A', 7001), tcp6(VIPS.sixInFour, 'A')], 120);
  first.run([fromFront(p.tcp({ from: '198.18.0.2:40000', to: V4, flags: 'A' }))], 120);
  const ends = { from: '198.18.0.2:40001', to: SCTP4 };
  first.run([fromFront(sctp({ ...ends, chunks: ['INIT'] }))], 110);
  const back = { from: '198.51.100.11:2906', to: ends.from };
  first.run([fromBack(sctp({ ...back, chunks: ['COOKIE-ACK'] }))], 120);
  first.run([fromFront(q.udp6({ from: C6, to: at(VIPS.nat), payload: p.pattern(9) }))], 130);
  first.run([fromFront(q.udp6({ from: C6, to: at(VIPS.nat), payload: p.pattern(9) }))], 140);
  first.advance(300);
  const datagrams = first.syncSend().map((datagram) => decodeDatagram(datagram, KEY));
  const sequences = datagrams.map(({ sequence }) => sequence);
  assert.equal(
    sequences,
    sequences.map((_, index) => (sequences[0] as bigint) + BigInt(index)),
  );
  assert.ok(datagrams.every(({ session }) => session === 101n));
  const told = datagrams.flatMap(({ connections }) => connections);
  const base = { tale: 'live', client: C6, isnKnown: false, answered: false, number: 0 } as const;
  const established = { ...base, protocol: 'tcp', state: STATES.indexOf('ESTABLISHED') } as const;
  const nobody = '[::]:0';
  const wanted: ToldConnection[] = [
    {
      ...established,
      mode: 'dr',
      client: '198.18.0.2:40000',
      virtual: V4,
      server: '198.51.100.11:80',
      local: '0.0.0.0:0',
      idleMs: 180,
    },
    {
      ...established,
      protocol: 'sctp',
      state: STATES.lastIndexOf('ESTABLISHED'),
      mode: 'nat',
      client: ends.from,
      virtual: SCTP4,
      server: back.from,
      local: ends.from,
      answered: true,
      idleMs: 180,
    },
    {
      ...established,
      mode: 'dr',
      virtual: at(VIPS.dr),
      server: `[${RIP6}]:80`,
      local: nobody,
      idleMs: 180,
    },
    {
      ...established,
      mode: 'fullnat',
      virtual: at(VIPS.fullnat),
      server: `[${RIP6}]:8080`,
      local,
      isnKnown: true,
      answered: true,
      number: 7001,
      idleMs: 180,
    },
    {
      ...established,
      mode: 'tun',
      virtual: at(VIPS.sixInFour),
      server: '[::ffff:198.51.100.11]:80',
      local: nobody,
      idleMs: 180,
    },
    {
      ...base,
      protocol: 'udp',
      state: STATES.indexOf('UDP'),
      mode: 'nat',
      virtual: at(VIPS.nat),
      server: `[${RIP6}]:8080`,
      local: C6,
      number: 10,
      idleMs: 160,
    },
  ];
  const order = (all: ToldConnection[]) =>
    [...all].sort((a, b) => (a.virtual < b.virtual ? -1 : 1));
  assert.equal(order(told), order(wanted));
  pair.close();
});

interface Over {
  mode?: number;
  state?: number;
  protocol?: number;
  tale?: number;
  server?: string;
  virtual?: string;
  local?: string;
}

/** A record of IPv6 as the format has it: FullNAT unless told. */
function record(over: Over = {}): Uint8Array {
  const { mode = 3, state = 1, protocol = 6, tale = 0 } = over;
  const { server = RIP6, virtual = VIPS.fullnat, local = LIP6 } = over;
  return concat(
    concat(q.ip6('2001:db8:c::9'), q.ip6(virtual), u16(4000), u16(80)),
    concat(q.ip6(server), q.ip6(local), u16(8080), u16(5000)),
    concat(u32(7), u32(0)),
    Uint8Array.of(tale, protocol, mode, state, 3, 0, 0, 0),
  );
}

/** A director that believes session 303, and a way to tell it something. */
function listener(): { bench: Bench; tell: (body: Uint8Array, count?: number) => void } {
  const bench = new Bench(one());
  bench.startSync(settings({ session: 404 }));
  bench.advance(10);
  let sequence = 0n;
  const seal = (type: number, count: number, body: Uint8Array) => {
    const header = concat(Buffer.from('SLsy'), Uint8Array.of(1, type), u16(count));
    const numbers = new Uint8Array(16);
    new DataView(numbers.buffer).setBigUint64(0, 303n);
    new DataView(numbers.buffer).setBigUint64(8, ++sequence);
    const bytes = concat(header, numbers, body);
    bench.syncReceive(concat(bytes, siphash128(bytes, KEY)));
  };
  seal(1, 0, new Uint8Array());
  const challenge = bench
    .syncSend()
    .find((datagram) => decodeDatagram(datagram, KEY).type === 'challenge');
  seal(3, 0, (challenge as Uint8Array).slice(32, 40));
  assert.is(bench.sync().peers, 1);
  return { bench, tell: (body, count = body.length / 88) => seal(6, count, body) };
}

const STRANGE: [string, Over, string | undefined][] = [
  ['a connection', {}, undefined],
  ['ENAT', { mode: 4 }, 'refused_other'],
  ['a mode that there is not', { mode: 7 }, 'refused_other'],
  ['a state that there is not', { state: 40 }, 'refused_other'],
  ['UDP in a state of TCP', { protocol: 17 }, 'refused_other'],
  ['SCTP in a state of TCP', { protocol: 132 }, 'refused_other'],
  ['TCP in a state of SCTP', { state: STATES.lastIndexOf('ESTABLISHED') }, 'refused_other'],
  ['SCTP to no service', { protocol: 132, state: STATES.indexOf('INIT1') }, 'refused_service'],
  ['a signpost', { tale: 2 }, 'refused_other'],
  ['no service of ours', { virtual: '2001:db8:f::99' }, 'refused_service'],
  ['no server of ours', { server: '2001:db8:2::99' }, 'refused_server'],
  // The same as ours when it is folded to 32 bits.
  [
    'another server with the same folded address',
    { server: '2001:db8:2::1:0:10' },
    'refused_server',
  ],
  ['somebody’s local address', { local: '2001:db8:2::201' }, 'refused_local'],
];
for (const [what, over, reason] of STRANGE) {
  test(`${what}: ${reason ?? 'adopted'}`, () => {
    const { bench, tell } = listener();
    tell(record(over));
    assert.is(bench.connections().length, reason === undefined ? 1 : 0);
    if (reason !== undefined) assert.is(bench.sync()[reason], 1, JSON.stringify(bench.sync()));
    bench.close();
  });
}

test('whatever a peer that has the key tells: each record is adopted or refused', () => {
  const { bench, tell } = listener();
  let told = 0;
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 88, maxLength: 88 }),
      fc.nat(87),
      fc.boolean(),
      (noise, from, whole) => {
        const body = record();
        body.set(whole ? noise : noise.subarray(from), whole ? 0 : from);
        told++;
        tell(body);
      },
    ),
    { numRuns: 2000 },
  );
  const figures = bench.sync();
  assert.is(figures.received_records, told);
  const refused = Object.entries(figures).filter(([name]) => name.startsWith('refused_'));
  const sum = ['adopted', 'updated', 'replaced', 'ended'].reduce(
    (all, name) => all + (figures[name] ?? 0),
    refused.reduce((all, [, count]) => all + count, 0),
  );
  assert.ok(sum > 0 && sum >= told / 2, `${sum} of ${told}`);
  bench.run([fromFront(q.udp6({ from: C6, to: at(VIPS.nat), payload: 'ask' }))], 1000);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('a count that the length does not bear out is malformed', () => {
  const { bench, tell } = listener();
  for (const count of [0, 2, 700]) tell(record(), count);
  assert.is(bench.sync().refused_malformed, 3);
  assert.is(bench.connections().length, 0);
  bench.close();
});

test.run();
