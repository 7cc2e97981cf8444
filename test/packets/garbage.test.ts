// timeout: 300
/**
 * A million random and mutated packets: no crash, no mbuf lost, every packet counted once. Makes its
 * own pseudo-random numbers, so that a run can be repeated by its seed (SLUICE_SEED).
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ip4, readU16 } from '../support/bytes.js';
import { Duo } from '../support/duo.js';
import {
  answer,
  C,
  CIP,
  data,
  LIP,
  query,
  R,
  response,
  syn,
  synAck,
  VIP,
} from '../support/flow.js';
import * as p from '../support/packet.js';
import { Bench } from '../support/replay.js';
import { type Chunk, sctp } from '../support/sctp.js';
import { fromBack, fromFront } from '../support/table.js';
import { BACK_ADDRESS, serverAddress, type WorldWords, world } from '../support/world.js';

const SEED = Number(process.env.SLUICE_SEED ?? 1);
const PACKETS = 1_000_000;
const BATCH = 20_000;

/** xorshift32: good enough to shake bytes with. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

const words: WorldWords = {
  services: (['nat', 'dr', 'tun', 'fullnat', 'enat'] as const).flatMap((mode, n) =>
    (mode === 'enat' ? (['tcp', 'udp'] as const) : (['tcp', 'udp', 'sctp'] as const)).map(
      (protocol) => ({
        listen: `${VIP}:${80 + n}`,
        protocol,
        mode,
        scheduler: 'wlc' as const,
        servers: [1, 2, 3].map((one) => `${serverAddress(one)}:${8080 + n}`),
        locals: mode === 'fullnat' || mode === 'enat' ? [LIP] : [],
      }),
    ),
  ),
  backMtu: 1400,
  partialChecksums: true,
};

/** Good packets to start from; ports and addresses vary with the number. */
const MODELS: ((n: number) => { port: number; frame: Uint8Array })[] = [
  (n) => fromFront(p.tcp({ ...syn, from: `${CIP}:${1024 + n}`, to: `${VIP}:${80 + (n % 5)}` })),
  (n) => fromFront(p.tcp({ ...data, from: `${CIP}:${1024 + n}`, to: `${VIP}:${80 + (n % 5)}` })),
  (n) => fromFront(p.udp({ ...query, from: `${CIP}:${1024 + n}`, to: `${VIP}:${80 + (n % 5)}` })),
  (n) =>
    fromFront(
      p.udp({
        ...query,
        from: `${CIP}:${1024 + n}`,
        to: `${VIP}:${80 + (n % 5)}`,
        payload: p.pattern(1440),
        ipOptions: n % 2 === 0 ? [] : [p.uoa(C), p.nop],
      }),
    ),
  (n) =>
    fromFront(
      p.udp({
        ...query,
        from: `${CIP}:${1024 + n}`,
        to: `${VIP}:${80 + (n % 5)}`,
        payload: p.pattern(1440),
        df: true,
      }),
    ),
  (n) => {
    const ends = { from: `${CIP}:${1024 + n}`, to: `${VIP}:${80 + (n % 5)}` };
    const chunks: Chunk[] = n % 3 === 0 ? ['INIT'] : ['COOKIE-ECHO', 'ABORT'];
    return fromFront(sctp({ ...ends, chunks, checksum: n % 7 === 0 ? 'none' : 'good' }));
  },
  (n) => fromBack(sctp({ from: R, to: `${CIP}:${1024 + n}`, chunks: ['COOKIE-ACK', 'DATA'] })),
  (n) => fromBack(p.tcp({ ...synAck, to: `${CIP}:${1024 + n}` })),
  (n) => fromBack(p.udp({ ...response, to: `${LIP}:${1024 + n}` })),
  (n) => fromBack(p.tcp({ ...answer, to: `${LIP}:${1024 + n}` })),
  (n) =>
    fromBack(
      p.icmpError({
        from: serverAddress(1),
        to: CIP,
        type: 3,
        code: 4,
        mtu: 1300,
        quote: p.tcp({ ...data, from: `${CIP}:${1024 + n}`, to: R }),
        quoteBytes: 20 + (n % 60),
      }),
    ),
  (n) =>
    fromFront(
      p.icmpError({
        from: CIP,
        to: VIP,
        type: 11,
        code: 0,
        quote: p.udp({ ...response, from: `${VIP}:${80 + (n % 5)}`, to: `${CIP}:${1024 + n}` }),
        ttl: n % 4 === 0 ? 1 : 64,
      }),
    ),
  (n) =>
    fromBack(
      p.icmpError({
        from: '198.51.100.99',
        to: BACK_ADDRESS,
        type: 3,
        code: 4,
        mtu: 1300,
        quote: p.ip(
          { from: BACK_ADDRESS, to: serverAddress(1) },
          4,
          p.ipOf(p.tcp({ ...data, from: `${CIP}:${1024 + n}`, to: `${VIP}:82` })),
        ),
      }),
    ),
  (n) => fromFront(p.echo({ from: CIP, to: VIP, payload: p.pattern(n % 600) })),
  (n) =>
    fromFront(
      p.arp({
        op: 1,
        senderMac: p.CLIENT_MAC,
        sender: '192.0.2.9',
        target: VIP,
        ...(n % 3 === 0 ? { hardwareLength: n } : {}),
      }),
    ),
  (n) =>
    fromFront(
      p.ip(
        { from: CIP, to: VIP, id: n % 50, mf: n % 3 !== 0, fragmentOffset: (n % 4) * 64 },
        17,
        p.pattern(512),
      ),
    ),
  (n) => fromFront(p.ip({ from: CIP, to: VIP }, n % 256, p.pattern(n % 200))),
];

/** Frame n: of each kind in turn, its number counted apart so that kinds meet all services. */
function modelOf(n: number): { port: number; frame: Uint8Array } {
  const make = MODELS[n % MODELS.length] as (typeof MODELS)[number];
  return make(Math.floor(n / MODELS.length));
}

/** Puts the header checksum right again, so that a mutation gets past it. */
function mend(frame: Uint8Array): void {
  const header = 14 + ((frame[14] as number) & 15) * 4;
  if (frame.length < 34 || header < 34 || header > frame.length) return;
  frame.set([0, 0], 24);
  const sum = p.checksum(frame.subarray(14, header));
  frame.set([sum >> 8, sum & 0xff], 24);
}

function mutate(frame: Uint8Array, random: (below: number) => number): Uint8Array {
  let bytes = frame;
  const changes = random(4);
  for (let n = 0; n < changes; n++) {
    // Mostly in the headers, where it matters.
    const at = random(4) === 0 ? random(bytes.length) : random(Math.min(bytes.length, 74));
    bytes[at] = random(3) === 0 ? ([0, 1, 127, 128, 255][random(5)] as number) : random(256);
  }
  if (random(8) === 0) bytes = bytes.slice(0, 1 + random(bytes.length));
  if (random(8) === 0 && bytes.length >= 34) {
    const total = random(2) === 0 ? bytes.length - 14 : random(1600);
    bytes.set([total >> 8, total & 255], 16);
  }
  if (random(20) === 0 && bytes.length >= 34) bytes[22] = random(3);
  if (random(8) !== 0 && bytes.length >= 14 && readU16(bytes, 12) === 0x0800) mend(bytes);
  return bytes;
}

/** A request as its server's reply: ends swapped, which leaves every checksum right. */
function turnedRound(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  const swap = (a: number, b: number, bytes: number) => {
    copy.set(frame.subarray(a, a + bytes), b);
    copy.set(frame.subarray(b, b + bytes), a);
  };
  swap(0, 6, 6);
  swap(26, 30, 4);
  const l4 = 14 + ((frame[14] as number) & 15) * 4;
  if (frame.length >= l4 + 4) swap(l4, l4 + 2, 2);
  return copy;
}

test(`${PACKETS} random and mutated packets: no crash, no leak, every end counted (seed ${SEED})`, () => {
  const random = generator(SEED);
  // Clients that some bit's fall has moved are denied.
  const services = words.services.map((one) => ({ ...one, deny: ['64.0.0.0/2', '198.18.0.0/31'] }));
  const bench = new Bench(world({ ...words, services }), { burst: 32, seed: SEED });
  // One of each kind and number is built once; every packet is a mutated copy of one.
  const stock = Array.from({ length: 3000 }, (_, n) => modelOf(n));
  let replies: Uint8Array[] = [];
  let at = 0;
  for (let done = 0; done < PACKETS; done += BATCH) {
    const arriving = Array.from({ length: BATCH }, () => {
      if (random(50) === 0) {
        const noise = Uint8Array.from({ length: 1 + random(200) }, () => random(256));
        return { port: random(2), frame: noise };
      }
      if (replies.length > 0 && random(10) === 0) {
        const reply = replies[random(replies.length)] as Uint8Array;
        return { port: 1, frame: random(2) === 0 ? reply : mutate(reply.slice(), random) };
      }
      const { port, frame } = stock[random(stock.length)] as { port: number; frame: Uint8Array };
      return { port, frame: random(3) === 0 ? frame : mutate(frame.slice(), random) };
    });
    const steps = bench.run(arriving, at);
    assert.is(steps.length, BATCH);
    replies = steps.flatMap(({ end, outputs }) =>
      /^forwarded_(nat|fullnat|enat)$/.test(end) && random(20) === 0
        ? outputs.map(({ bytes }) => turnedRound(bytes))
        : [],
    );
    at += random(3) === 0 ? 40_000 : 50;
  }
  bench.advance(at + 31_000);
  assert.equal(bench.invariants(), []);
  const { ends, extra } = bench.counters();
  assert.is(extra.received, PACKETS);
  // The shaking reached everywhere: all five modes, both directions, and most reasons to drop.
  const never = Object.entries(ends).filter(([, count]) => count === 0);
  const unreachable = new Set([
    'table_full',
    'local_ports_exhausted',
    'tuple_conflict',
    'no_route',
    'no_neighbour',
    'no_headroom',
    'mbufs_exhausted',
    'transmit_full',
    'punt_full',
    'hand_off_full',
    'icmp_too_big',
    'server_removed',
    'reassembled',
    'standby',
    'punted_accepted',
    // IPv6's: garbage6.test.ts, fragments6.test.ts
    'answered_neighbour',
    'punted_neighbour',
    'fragment_ipv6',
    // Of services with a SYN proxy: syn-proxy.test.ts
    'answered_by_cookie',
    'cookie_refused',
    'awaits_server',
    // Of persistence engines: calls.test.ts
    'no_call_id',
    // Its own test, of a limit: answers-limit.test.ts
    'answer_limited',
    'udp_without_checksum',
    'mtu_below_ipv6',
  ]);
  assert.equal(
    never.map(([name]) => name).filter((name) => !unreachable.has(name)),
    [],
  );
  assert.is(ends.no_headroom, 0);
  assert.is(ends.mbufs_exhausted, 0);
  bench.advance(at + 2_000_000);
  assert.is(bench.counters().extra.connections, 0);
  const { servers } = bench.counters();
  assert.equal(
    servers.filter(({ active, inactive }) => active !== 0 || inactive !== 0),
    [],
    'ActiveConn and InActConn fall to 0 with the last connection',
  );
  bench.close();
});

test('30000 mutated packets: the model agrees on every one', () => {
  const random = generator(SEED + 2);
  const duo = new Duo(world({ ...words, backMtu: 1500 }), { burst: 32 });
  let replies: Uint8Array[] = [];
  for (let at = 0; at < 1000; at++) {
    const arriving = Array.from({ length: 30 }, () => {
      const n = random(400);
      const reply = random(4) === 0 ? replies[random(Math.max(1, replies.length))] : undefined;
      const { port, frame } = reply ? { port: 1, frame: reply.slice() } : modelOf(n);
      return { port, frame: mutate(frame, random) };
    });
    const { steps, complaints } = duo.run(arriving, at);
    assert.equal(complaints, []);
    replies = steps.flatMap(({ end, outputs }) =>
      /^forwarded_(nat|fullnat|enat)$/.test(end)
        ? outputs.map(({ bytes }) => turnedRound(bytes))
        : [],
    );
  }
  assert.equal(duo.compareTables(), []);
  duo.close();
});

test('option bytes of every kind and length, in TCP and IP, are walked without a crash', () => {
  const random = generator(SEED + 1);
  const bench = new Bench(world(words), { burst: 32 });
  for (let round = 0; round < 20; round++) {
    const arriving = Array.from({ length: 2000 }, (_, n) => {
      const bytes = Uint8Array.from({ length: 4 * (1 + random(10)) }, () =>
        random(2) === 0 ? random(12) : random(256),
      );
      const to = `${VIP}:${80 + (n % 5)}`;
      const from = `198.18.${round}.2:${1024 + n}`;
      return fromFront(
        n % 2 === 0
          ? p.tcp({ ...syn, from, to, flags: n % 4 === 0 ? 'S' : 'A', options: [bytes] })
          : p.udp({ ...query, from, to, ipOptions: [bytes] }),
      );
    });
    bench.run(arriving, round);
  }
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('the same seed gives the same bytes, another one other IDs or ports', () => {
  const outputs = (seed: number) => {
    const bench = new Bench(world(words), { burst: 7, seed });
    const arriving = Array.from({ length: 400 }, (_, n) =>
      modelOf(n - (n % MODELS.length) + (n % 4)),
    );
    const sent = bench
      .run(arriving, 0)
      .flatMap((step) => step.outputs.map(({ bytes }) => Buffer.from(bytes).toString('hex')));
    bench.close();
    return sent.join('\n');
  };
  assert.is(outputs(5), outputs(5));
  assert.is.not(outputs(5), outputs(6));
});

test('burst size changes nothing but the engine’s own choices', () => {
  const kinds = (burst: number) => {
    const bench = new Bench(world(words), { burst });
    const arriving = Array.from({ length: 600 }, (_, n) => modelOf(n % 90));
    const ends = bench.run(arriving, 0).map((step) => `${step.end} ${step.server}`);
    bench.close();
    return ends;
  };
  const one = kinds(1);
  for (const burst of [2, 8, 31, 32]) assert.equal(kinds(burst), one, `burst ${burst}`);
});

test('an address is never taken for another by its last bytes', () => {
  // VIP 203.0.113.10 and neighbours one bit away: all strangers.
  const bench = new Bench(world(words));
  const vip = ip4(VIP);
  for (let bit = 0; bit < 32; bit++) {
    const other = vip.slice();
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
    const to = `${other.join('.')}:80`;
    const [step] = bench.run([fromFront(p.tcp({ ...syn, to }))], 0);
    assert.is(step?.end, 'punted_not_ours', to);
  }
  bench.close();
});

test.run();
