/** Malformed packets: each ends under its name, nothing crashes, nothing leaks, counters add up. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { concat } from '../support/bytes.js';
import {
  answer,
  C,
  CIP,
  data,
  LIP,
  query,
  R,
  RIP,
  SERVER_SIDE_ROUTER,
  syn,
  synAck,
  V,
  VIP,
} from '../support/flow.js';
import * as p from '../support/packet.js';
import { type Arriving, Bench } from '../support/replay.js';
import { fromBack, fromFront, type Row, table, toTap } from '../support/table.js';
import { BACK_ADDRESS, FRONT_ADDRESS, type WorldWords, world } from '../support/world.js';

const words: WorldWords = {
  services: [
    { listen: V, mode: 'nat', servers: [R] },
    { listen: V, protocol: 'udp', mode: 'nat', servers: [R] },
    { listen: `${VIP}:81`, mode: 'fullnat', servers: [`${RIP}:81`], locals: [LIP] },
  ],
};
const open = [fromFront(p.tcp(syn)), fromBack(p.tcp(synAck))];

type Case = [what: string, frame: Uint8Array, end: string];
const asRow = ([what, frame, end]: Case): Row => ({
  it: `${what}: ${end}`,
  in: { port: 0, frame },
  out: 'nothing',
  end,
});
const front = (frame: Uint8Array) => fromFront(frame).frame;
const cut = (frame: Uint8Array, bytes: number) => front(frame).slice(0, bytes);

const short: Case[] = [
  ...[1, 6, 13].map((n): Case => [`a frame of ${n} bytes`, cut(p.tcp(syn), n), 'short_frame']),
  ...[14, 15, 20, 33].map(
    (n): Case => [`an IPv4 frame of ${n} bytes`, cut(p.tcp(syn), n), 'short_frame'],
  ),
  [
    'an ARP frame of 41 bytes',
    p.arp({ op: 1, senderMac: p.CLIENT_MAC, sender: '192.0.2.9', target: VIP }).slice(0, 41),
    'short_frame',
  ],
];

const header: Case[] = [
  ...[0, 1, 2, 3, 5, 6, 15].map(
    (version): Case => [
      `IP version ${version}`,
      front(p.tcp({ ...syn, version })),
      'bad_ip_header',
    ],
  ),
  ...[0, 1, 4].map((ihl): Case => [`IHL ${ihl}`, front(p.tcp({ ...syn, ihl })), 'bad_ip_header']),
  ['IHL beyond the packet', front(p.tcp({ ...syn, options: [], ihl: 15 })), 'bad_ip_length'],
  ['total length 0', front(p.tcp({ ...syn, totalLength: 0 })), 'bad_ip_length'],
  ['total length below the header', front(p.tcp({ ...syn, totalLength: 19 })), 'bad_ip_length'],
  ['total length one beyond the frame', front(p.tcp({ ...syn, totalLength: 61 })), 'bad_ip_length'],
  ['total length 65535', front(p.tcp({ ...syn, totalLength: 65535 })), 'bad_ip_length'],
  ['a wrong header checksum', front(p.tcp({ ...syn, ipChecksum: 'bad' })), 'bad_ip_checksum'],
  ['a header checksum of 0', front(p.tcp({ ...syn, ipChecksum: 0 })), 'bad_ip_checksum'],
];

const transport: Case[] = [
  ...[0, 1, 4].map(
    (doff): Case => [`TCP data offset ${doff}`, front(p.tcp({ ...syn, doff })), 'bad_l4_header'],
  ),
  [
    'TCP data offset beyond the segment',
    front(p.tcp({ ...syn, options: [], doff: 6 })),
    'bad_l4_header',
  ],
  ...[20, 21, 28, 39].map(
    (total): Case => [
      `a TCP packet of ${total} bytes`,
      front(p.tcp({ ...syn, options: [], totalLength: total })),
      'bad_l4_header',
    ],
  ),
  ...[20, 27].map(
    (total): Case => [
      `a UDP packet of ${total} bytes`,
      front(p.udp({ ...query, totalLength: total })),
      'bad_l4_header',
    ],
  ),
  ['UDP length 7', front(p.udp({ ...query, length: 7 })), 'bad_l4_header'],
  ['UDP length 0', front(p.udp({ ...query, length: 0 })), 'bad_l4_header'],
  ['UDP length one beyond the packet', front(p.udp({ ...query, length: 50 })), 'bad_l4_header'],
  [
    'an ICMP packet of 27 bytes',
    front(p.echo({ from: CIP, to: VIP, totalLength: 27 })),
    'bad_l4_header',
  ],
];

const martians: Case[] = [
  '0.0.0.0',
  '0.1.2.3',
  '127.0.0.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  VIP,
  LIP,
  FRONT_ADDRESS,
  BACK_ADDRESS,
].flatMap((source): Case[] => [
  [`TCP from ${source}`, front(p.tcp({ ...syn, from: `${source}:1000` })), 'martian'],
  [`UDP from ${source}`, front(p.udp({ ...query, from: `${source}:1000` })), 'martian'],
  [`an echo request from ${source}`, front(p.echo({ from: source, to: VIP })), 'martian'],
]);

const strangers: Row[] = [
  {
    it: 'a frame for another station’s MAC',
    in: { port: 0, frame: p.tcp({ ...syn, toMac: '02:00:00:00:01:99' }) },
    out: 'nothing',
    end: 'not_for_us_unicast',
  },
  {
    it: 'a unicast packet in a broadcast frame is the kernel’s to drop',
    in: { port: 0, frame: p.tcp({ ...syn, toMac: 'ff:ff:ff:ff:ff:ff' }) },
    out: toTap({ port: 0, frame: p.tcp({ ...syn, toMac: 'ff:ff:ff:ff:ff:ff' }) }),
    end: 'punted_not_ours',
  },
];

/** An ICMP error at the front or back whose quote is `quote`. */
const complaint = (quote: Uint8Array): Arriving =>
  fromBack(p.icmp({ from: SERVER_SIDE_ROUTER, to: LIP, type: 3, code: 1, payload: quote }));
const quoted = p.ipOf(p.tcp({ ...data, from: `${LIP}:1024`, to: `${RIP}:81` }));
const patched = (at: number, ...bytes: number[]) => {
  const copy = quoted.slice();
  copy.set(bytes, at);
  return copy;
};
const quotes: Row[] = (
  [
    ['nothing', new Uint8Array()],
    ['1 byte', quoted.subarray(0, 1)],
    ['19 bytes', quoted.subarray(0, 19)],
    ['20 bytes', quoted.subarray(0, 20)],
    ['27 bytes', quoted.subarray(0, 27)],
    ['28 bytes of no connection', quoted.subarray(0, 28)],
    ['IP version 6', patched(0, 0x65)],
    ['IHL 4', patched(0, 0x44)],
    ['IHL 15 beyond the quote', concat(patched(0, 0x4f).subarray(0, 40))],
    ['a later fragment', patched(6, 0x00, 0x10)],
    ['another protocol', patched(9, 47)],
    ['ICMP', patched(9, 1)],
    ['IPIP with nothing inside', concat(patched(9, 4).subarray(0, 20))],
    ['IPIP with 8 bytes inside', concat(patched(9, 4).subarray(0, 28))],
    [
      'IPIP in IPIP in IPIP',
      concat(patched(9, 4).subarray(0, 20), patched(9, 4).subarray(0, 20), quoted),
    ],
  ] as [string, Uint8Array][]
).map(
  ([what, quote]): Row => ({
    it: `an ICMP error that quotes ${what} is dropped`,
    in: complaint(quote),
    out: 'nothing',
    end: 'icmp_without_connection',
  }),
);
const quietTypes: Row[] = [5, 12, 9, 10, 13, 15, 17, 30, 255].map(
  (type): Row => ({
    it: `ICMP type ${type} to the VIP is dropped`,
    in: fromFront(
      p.icmp({
        from: '192.0.2.77',
        to: VIP,
        type,
        payload: p.ipOf(p.tcp({ ...answer, from: V })),
      }),
    ),
    given: open,
    out: 'nothing',
    end: 'icmp_not_echo',
  }),
);

table(words, [
  ...[...short, ...header, ...transport, ...martians].map(asRow),
  ...strangers,
  ...quotes,
  ...quietTypes,
]);

test('all of them at once, in bursts of 32, 50 times: each end counted, no mbuf lost', () => {
  const frames = [...short, ...header, ...transport, ...martians];
  const bench = new Bench(world(words), { burst: 32 });
  const arriving = frames.map(([, frame]) => ({ port: 0, frame }));
  const wanted: Record<string, number> = {};
  for (const [, , end] of frames) wanted[end] = (wanted[end] ?? 0) + 50;
  for (let round = 0; round < 50; round++) bench.run(arriving, round);
  const { ends, extra } = bench.counters();
  for (const [end, count] of Object.entries(wanted)) assert.is(ends[end], count, end);
  assert.is(extra.received, frames.length * 50);
  assert.is(extra.connections, 0);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('every cut of every good packet is taken without a crash or a leak', () => {
  const bench = new Bench(world(words), { burst: 32 });
  const good = [
    p.tcp(syn),
    p.udp(query),
    p.echo({ from: CIP, to: VIP }),
    p.icmpError({
      from: '192.0.2.77',
      to: VIP,
      type: 3,
      code: 4,
      quote: p.tcp({ ...answer, from: V }),
    }),
    p.tcp({ ...syn, from: C, to: `${VIP}:81`, ipOptions: [p.uoa(C)] }),
  ];
  for (const frame of good) {
    const cuts = Array.from({ length: frame.length }, (_, n) => ({
      port: 0,
      frame: cut(frame, n + 1),
    }));
    bench.run(cuts, 0);
    // The same cuts with an IP length that agrees with them.
    bench.run(
      cuts
        .filter(({ frame: bytes }) => bytes.length >= 34)
        .map(({ port, frame: bytes }) => ({ port, frame: relengthened(bytes) })),
      0,
    );
  }
  assert.equal(bench.invariants(), []);
  bench.close();
});

/** Total length and header checksum made right for a frame that was cut. */
function relengthened(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  const total = copy.length - 14;
  copy.set([total >> 8, total & 0xff], 16);
  copy.set([0, 0], 24);
  const header = Math.min(copy.length, 14 + ((copy[14] as number) & 15) * 4);
  const sum = p.checksum(copy.subarray(14, header));
  copy.set([sum >> 8, sum & 0xff], 24);
  return copy;
}

test.run();
