/** IPv6 frames that are random, mutated or cut off: no crash, no leak, every one counted. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat, u16, u32 } from '../support/bytes.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { BACK6, CIP6, FRONT6, LIP6, RIP6, VIPS, WAYS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const PACKETS = 60_000;
const EXTENSIONS = [0, 43, 44, 60];

/** xorshift32: whole numbers below `most`. */
function generator(seed: number): (most: number) => number {
  let state = seed;
  return (most) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
}

function frame(random: (most: number) => number): Arriving {
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  const vip = VIPS[pick(WAYS)];
  const from = `[2001:db8:c::${1 + random(4)}]:${1000 + random(4)}`;
  const to = `[${vip}]:${pick([80, 80, 80, 81])}`;
  const body = random(4) < 3 ? [] : [pick(EXTENSIONS)];
  const extensions = body.map((kind) => ({
    kind,
    body: Uint8Array.from({ length: 6 }, () => random(3)),
  }));
  const common = { from, to, extensions, hops: pick([1, 2, 64, 255]) };
  const payload = p.pattern(random(random(8) === 0 ? 1400 : 60));
  const query = q.udp6({ ...common, payload, checksum: pick(['good', 'good', 'none', 'bad']) });
  const server = `[${RIP6}]:8080`;
  switch (random(9)) {
    case 0:
      return fromFront(query);
    case 1:
    case 2:
      return fromFront(
        q.tcp6({ ...common, flags: pick(['S', 'A', 'PA', 'FA', 'R', 'SA', '']), payload }),
      );
    case 3:
      return fromBack(
        q.tcp6({
          ...common,
          from: server,
          to: pick([from, `[${LIP6}]:${2000 + random(60000)}`]),
          flags: pick(['SA', 'A', 'R', 'FA']),
        }),
      );
    case 4:
      return fromBack(
        q.udp6({ ...common, from: server, to: from, payload, checksum: pick(['good', 'none']) }),
      );
    case 5:
      return fromFront(
        q.solicitation({
          from: pick(['fe80::c', '::', vip]),
          to: pick(['ff02::1:ff00:10', vip]),
          target: pick([vip, FRONT6]),
          hops: pick([255, 255, 64]),
        }),
      );
    case 6:
      return (random(2) === 0 ? fromFront : fromBack)(
        q.icmp6Error({
          from: '2001:db8:77::1',
          to: pick([vip, LIP6, CIP6, BACK6]),
          hops: pick([64, 64, 1]),
          type: 1 + random(4),
          code: random(5),
          rest: u32(random(2000)),
          quote: pick([
            query,
            q.udp6({ from: server, to: from, payload }),
            q.udp6({ from: to, to: from, payload }),
            q.ip6Frame({ from: BACK6, to: RIP6 }, 41, q.ip6Of(query)),
          ]),
          quoteBytes: random(120),
        }),
      );
    case 7:
      return fromFront(
        q.icmp6({
          from: CIP6,
          to: pick([vip, FRONT6]),
          type: pick([128, 129, 130, 133, 200]),
          payload,
        }),
      );
    default:
      return fromFront(q.ip6Frame({ ...common }, random(256), payload));
  }
}

function mutated(one: Arriving, random: (most: number) => number): Arriving {
  let bytes: Uint8Array = one.frame.slice();
  for (let n = random(4); n > 0; n--) {
    const at = 12 + random(Math.max(1, bytes.length - 12));
    switch (random(3)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes = bytes.slice(0, at);
        break;
      default:
        bytes = concat(bytes, u16(random(65536)));
    }
  }
  return { ...one, frame: bytes };
}

for (const workers of [1, 3]) {
  test(`${PACKETS} random and mutated IPv6 packets, ${workers} workers`, () => {
    const random = generator(20260101 + workers);
    const bench = new Bench(yamlWorld(yaml6({ backMtu: 1400, servers: 2 })), {
      burst: 32,
      ...(workers > 1 ? { workers, distribution: 'inTurn' as const } : {}),
      limits: { maxConnections: 4096 },
    });
    // Every packet is a mutated copy of one that is built once.
    const stock = Array.from({ length: 3000 }, () => frame(random));
    for (let at = 0; at < PACKETS / 1000; at++) {
      const batch = Array.from({ length: 1000 }, () =>
        mutated(stock[random(stock.length)] as Arriving, random),
      );
      bench.run(batch, at * 50);
    }
    // What waits for the rest of its datagram has gone by then.
    bench.advance(PACKETS + 61_000);
    assert.equal(bench.invariants(), []);
    const { ends, extra } = bench.counters();
    assert.is(extra.received, PACKETS);
    for (const name of [
      'forwarded_nat',
      'forwarded_dr',
      'forwarded_tun',
      'forwarded_fullnat',
      'forwarded_nat_reply',
      'forwarded_icmp_error',
      'answered_neighbour',
      'answered_echo',
      'answered_reset',
      'answered_port_unreachable',
      'answered_protocol_unreachable',
      'answered_time_exceeded',
      'punted_neighbour',
      'punted_not_ours',
      'short_frame',
      'bad_ip_header',
      'bad_ip_length',
      'bad_l4_header',
      'bad_icmp_checksum',
      'bad_l4_checksum',
      'martian',
      'source_route',
      'udp_without_checksum',
      'icmp_without_connection',
      'icmp_not_echo',
      'icmp_ttl_expired',
      'reset_without_connection',
    ]) {
      assert.ok((ends[name] as number) > 0, `${name} was never reached`);
    }
    assert.is(ends.no_headroom, 0);
    bench.advance(3_000_000);
    assert.is(bench.counters().extra.connections, 0);
    const { servers } = bench.counters();
    assert.ok(servers.every(({ active, inactive }) => active === 0 && inactive === 0));
    bench.close();
  });
}

test.run();
