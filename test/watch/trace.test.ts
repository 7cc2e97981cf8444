/** `sluice trace`: what is told of a packet, for each way that one can go; one table, by replay. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TraceLine, traceLine } from '../../src/api/watch.js';
import { formatTraced } from '../../src/cli/format-trace.js';
import { native } from '../../src/native.js';
import { readRecords, type TraceRecord } from '../../src/watch/records.js';
import { arp, icmp, tcp, udp } from '../support/packet.js';
import { tcp6 } from '../support/packet6.js';
import { RunningReplay } from '../support/running.js';
import { chunk, sctp } from '../support/sctp.js';

const FILE = `\
director: { maxConnections: 1024, maxServices: 16, maxServers: 32 }
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24, '2001:db8:1::1/64'] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24, '2001:db8:2::1/64'] }
routes: [{ to: 198.18.0.0/15, via: 192.0.2.254 }, { to: '2001:db8:c::/48', via: '2001:db8:1::fe' }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:01 }
  - { address: 198.51.100.12, mac: 02:00:00:00:02:02 }
  - { address: '2001:db8:1::fe', mac: 02:00:00:00:00:fe }
  - { address: '2001:db8:2::11', mac: 02:00:00:00:02:01 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    scheduler: wrr
    servers:
      - { address: 198.51.100.11:8080, weight: 3 }
      - { address: 198.51.100.12:8080, weight: 0 }
  - name: wide
    listen: 203.0.113.10:443
    mode: fullnat
    localAddresses: [198.51.100.200]
    servers: [{ address: 198.51.100.12:8443 }]
  - { name: direct, listen: '203.0.113.11:80', mode: dr, servers: [{ address: '198.51.100.11:80' }] }
  - { name: tunnel, listen: '203.0.113.12:80', mode: tun, servers: [{ address: '198.51.100.12:80' }] }
  - { name: lost, listen: '203.0.113.13:80', mode: nat, servers: [{ address: '192.88.99.1:80' }] }
  - { name: silent, listen: '203.0.113.14:80', mode: nat, servers: [{ address: '198.51.100.99:80' }] }
  - { name: empty, listen: '203.0.113.15:80', mode: nat }
  - { name: sticky, listen: '203.0.113.16:80', mode: nat, persistence: 5m, servers: [{ address: '198.51.100.11:80' }] }
  - { name: signalling, listen: '203.0.113.19:2905', protocol: sctp, mode: nat, servers: [{ address: '198.51.100.11:2906' }] }
  - { name: gre, listen: '203.0.113.17:80', mode: tun, tunnel: { type: gre, checksum: csum }, servers: [{ address: '198.51.100.11:80' }] }
  - { name: gue, listen: '203.0.113.18:80', mode: tun, tunnel: { type: gue, port: 6080 }, servers: [{ address: '198.51.100.11:80' }] }
  - { name: six, listen: '[2001:db8:f::10]:80', mode: nat, servers: [{ address: '[2001:db8:2::11]:8080' }] }
  - name: closed
    listen: 203.0.113.20:80
    mode: nat
    clients: { allow: [198.18.0.0/15], deny: [198.18.9.0/24, 198.18.0.7] }
    servers: [{ address: '198.51.100.11:80' }]
  - { name: six-tunnel, listen: '[2001:db8:f::11]:80', mode: tun, servers: [{ address: '198.51.100.12:80' }] }
`;
const ASSOCIATION = { from: '198.18.0.7:40000', to: '203.0.113.19:2905' };
const FRONT = { toMac: '02:00:00:00:01:01', fromMac: '02:00:00:00:00:fe' };
const BACK = { toMac: '02:00:00:00:01:02', fromMac: '02:00:00:00:02:01' };
const CLIENT = '198.18.0.7:40000';

/** Client ports that fill the table. */
const FULL = Array.from({ length: 1024 }, (_, n) => 1000 + n);

type Packet = Extract<TraceLine, { packet: unknown }>['packet'];
type Query = Parameters<RunningReplay['control']['trace']>[0];

const ALL: Query = { seconds: 1000, rate: 10_000 };

/** What a trace tells of frames that are sent while it runs, and what it counts. */
async function traced(
  director: RunningReplay,
  query: Query,
  frames: [port: string, frame: Uint8Array][],
): Promise<{ packets: Packet[]; counts: Record<string, number> }> {
  const gone = new AbortController();
  const packets: Packet[] = [];
  let counts: Record<string, number> = {};
  for await (const line of director.control.trace(query, gone.signal)) {
    // As the OpenAPI document has it, which is made of this.
    traceLine.parse(line);
    if ('watching' in line) {
      for (const [port, frame] of frames) director.send(port, frame);
      // The next page still has all that has come.
      setImmediate(() => gone.abort());
    } else if ('packet' in line) packets.push(line.packet);
    else counts = line.counts;
  }
  return { packets, counts };
}

function director(): RunningReplay {
  return new RunningReplay(FILE);
}

const syn = (to: string, from = CLIENT) => tcp({ from, to, flags: 'S', seq: 100, ...FRONT });
const place = (told: string | undefined) => told?.replace(/^.*director\.yaml/, 'director.yaml');

interface Row {
  it: string;
  before?: [string, Uint8Array][];
  in: [string, Uint8Array];
  end: string;
  /** Sentences, whole, that it must have. */
  steps?: string[];
  place?: string;
  also?: (packet: Packet) => void;
}

const CLIENT6 = '[2001:db8:c::7]:40000';
const syn6 = (to: string, from = CLIENT6) => tcp6({ from, to, flags: 'S', seq: 100, ...FRONT });

const ROWS: Row[] = [
  {
    it: 'a client that is denied, with the entry',
    in: ['front', syn('203.0.113.20:80')],
    end: 'dropped denied',
    steps: ['TCP 203.0.113.20:80 is service closed'],
    also: ({ steps }) =>
      assert.match(
        steps[2] ?? '',
        /^the client is denied by 198\.18\.0\.7 \(.*director\.yaml:38:62\)$/,
      ),
    place: 'director.yaml:38:62',
  },
  {
    it: 'a client that is not allowed',
    in: ['front', syn('203.0.113.20:80', '192.0.2.9:40000')],
    end: 'dropped denied',
    steps: ['no entry that allows clients has this one'],
    place: 'director.yaml:38:14',
  },
  {
    it: 'a client that is allowed',
    in: ['front', syn('203.0.113.20:80', '198.18.8.1:40000')],
    end: 'forwarded forwarded_nat',
  },
  {
    it: 'IPv6: service, server, rewrite and next hop',
    in: ['front', syn6('[2001:db8:f::10]:80')],
    end: 'forwarded forwarded_nat',
    steps: [
      'TCP [2001:db8:f::10]:80 is service six',
      'no connection yet: wlc chooses [2001:db8:2::11]:8080, of 1 that take new ones',
      'a connection is made: SYN_RECV, forgotten after 60 s',
      'Masq: the destination becomes [2001:db8:2::11]:8080; the source stays [2001:db8:c::7]:40000',
      'leaves by back to next hop 2001:db8:2::11 (02:00:00:00:02:01), 74 bytes, MTU 1500',
    ],
  },
  {
    it: 'IPv6 through an IPv4 tunnel',
    in: ['front', syn6('[2001:db8:f::11]:80')],
    end: 'forwarded forwarded_tun',
    steps: [
      'Tunnel: unchanged inside an IPIP packet to 198.51.100.12',
      'leaves by back to next hop 198.51.100.12 (02:00:00:00:02:02), 94 bytes, MTU 1500',
    ],
  },
  {
    it: 'IPv6: a reply finds its connection',
    before: [['front', syn6('[2001:db8:f::10]:80')]],
    in: [
      'back',
      tcp6({ from: '[2001:db8:2::11]:8080', to: CLIENT6, flags: 'SA', seq: 1, ack: 101, ...BACK }),
    ],
    end: 'forwarded forwarded_nat_reply',
    steps: [
      'a connection is there: SYN_RECV, last packet 0.0 s ago; a reply',
      'Masq: the source becomes [2001:db8:f::10]:80; the destination stays [2001:db8:c::7]:40000',
      'leaves by front to next hop 2001:db8:1::fe (02:00:00:00:00:fe), 74 bytes, MTU 1500',
    ],
  },
  {
    it: 'IPv6: an address of ours without a service',
    in: ['front', syn6('[2001:db8:f::10]:81')],
    end: 'answered answered_reset',
    place: 'director.yaml:34:5',
  },
  {
    it: 'an SCTP association: its chunks and its state',
    before: [['front', sctp({ ...ASSOCIATION, ...FRONT, chunks: ['INIT'] })]],
    in: [
      'front',
      sctp({ ...ASSOCIATION, ...FRONT, chunks: ['COOKIE-ECHO', 'DATA', chunk(64, 'new')] }),
    ],
    end: 'forwarded forwarded_nat',
    steps: [
      'a connection is there: INIT1 → INIT, last packet 0.0 s ago; a request',
      'Masq: the destination becomes 198.51.100.11:2906; the source stays 198.18.0.7:40000',
    ],
    also: ({ packet, service }) => {
      assert.equal([packet?.protocol, packet?.what], ['SCTP', 'COOKIE-ECHO DATA I-DATA']);
      assert.is(service?.name, 'signalling');
    },
  },
  {
    it: 'a first packet: what the scheduler chose from, and Masq',
    in: ['front', syn('203.0.113.10:80')],
    end: 'forwarded forwarded_nat',
    steps: [
      'came in by front, to worker 0',
      'TCP 203.0.113.10:80 is service web',
      'no connection yet: wrr chooses 198.51.100.11:8080, of 1 that take new ones',
      'a connection is made: SYN_RECV, forgotten after 60 s',
      'Masq: the destination becomes 198.51.100.11:8080; the source stays 198.18.0.7:40000',
      'leaves by back to next hop 198.51.100.11 (02:00:00:00:02:01), 54 bytes, MTU 1500',
    ],
    also: ({ candidates, choice, connection }) => {
      assert.is(choice, '198.51.100.11:8080');
      assert.is(connection?.isNew, true);
      assert.equal(
        candidates.map((one) => [one.server, one.against, place(one.place)]),
        [
          ['198.51.100.12:8080', 'weight 0: it drains', 'director.yaml:19:9'],
          ['198.51.100.11:8080', undefined, 'director.yaml:18:9'],
        ],
      );
    },
  },
  {
    it: 'a reply of a NAT server',
    before: [['front', syn('203.0.113.10:80')]],
    in: ['back', tcp({ from: '198.51.100.11:8080', to: CLIENT, flags: 'SA', ack: 101, ...BACK })],
    end: 'forwarded forwarded_nat_reply',
    steps: [
      'a connection is there: SYN_RECV, last packet 0.0 s ago; a reply',
      'Masq: the source becomes 203.0.113.10:80; the destination stays 198.18.0.7:40000',
      'leaves by front to next hop 192.0.2.254 (02:00:00:00:00:fe), 54 bytes, MTU 1500',
    ],
  },
  {
    it: 'a change of state',
    before: [['front', syn('203.0.113.10:80')]],
    in: ['front', tcp({ from: CLIENT, to: '203.0.113.10:80', flags: 'FA', ...FRONT })],
    end: 'forwarded forwarded_nat',
    steps: ['a connection is there: SYN_RECV → TIME_WAIT, last packet 0.0 s ago; a request'],
  },
  {
    it: 'FullNat: the local port, and the option with the client’s address',
    in: ['front', syn('203.0.113.10:443')],
    end: 'forwarded forwarded_fullnat',
    steps: ['the client’s address goes along as an option'],
    also: ({ rewrite, connection, sent }) => {
      const local = connection?.local ?? '';
      assert.match(local, /^198\.51\.100\.200:\d+$/);
      assert.is(
        rewrite,
        `FullNat: the source becomes ${local}, the destination 198.51.100.12:8443`,
      );
      assert.is(sent?.headers?.from, local);
      assert.is(sent?.bytes, 62);
    },
  },
  {
    it: 'persistence: that it may have chosen, and for how long',
    in: ['front', syn('203.0.113.16:80')],
    end: 'forwarded forwarded_nat',
    steps: [
      'no connection yet: persistence of 300 s, or wlc for a client that it does not know, ' +
        'chooses 198.51.100.11:80, of 1 that take new ones',
    ],
  },
  {
    it: 'Route: another frame around the same packet',
    in: ['front', syn('203.0.113.11:80')],
    end: 'forwarded forwarded_dr',
    steps: ['leaves by back to next hop 198.51.100.11 (02:00:00:00:02:01), 54 bytes, MTU 1500'],
    also: ({ sent }) => assert.is(sent?.headers?.to, '203.0.113.11:80'),
  },
  {
    it: 'Tunnel: the outer header',
    in: ['front', syn('203.0.113.12:80')],
    end: 'forwarded forwarded_tun',
    also: ({ sent }) => {
      assert.is(sent?.headers?.outer, 'IPIP 198.51.100.1 → 198.51.100.12');
      assert.is(sent?.headers?.to, '203.0.113.12:80');
      assert.is(sent?.bytes, 74);
    },
  },
  {
    it: 'Tunnel: by GRE',
    in: ['front', syn('203.0.113.17:80')],
    end: 'forwarded forwarded_tun',
    also: ({ sent, rewrite }) => {
      assert.is(sent?.headers?.outer, 'GRE 198.51.100.1 → 198.51.100.11');
      assert.is(sent?.headers?.to, '203.0.113.17:80');
      assert.is(sent?.bytes, 82);
      assert.is(rewrite, 'Tunnel: unchanged inside a GRE packet with a checksum to 198.51.100.11');
    },
  },
  {
    it: 'Tunnel: by GUE',
    in: ['front', syn('203.0.113.18:80')],
    end: 'forwarded forwarded_tun',
    also: ({ sent, rewrite }) => {
      assert.is(sent?.headers?.outer, 'GUE 198.51.100.1 → 198.51.100.11');
      assert.is(sent?.headers?.to, '203.0.113.18:80');
      assert.is(sent?.bytes, 86);
      assert.is(rewrite, 'Tunnel: unchanged inside a GUE (UDP port 6080) packet to 198.51.100.11');
    },
  },
  {
    it: 'no route: the routes of the file',
    in: ['front', syn('203.0.113.13:80')],
    end: 'dropped no_route',
    place: 'director.yaml:5:9',
    also: ({ choice, sent }) => {
      assert.is(choice, '192.88.99.1:80');
      assert.is(sent, null);
    },
  },
  {
    it: 'no neighbour: the server’s line, and that the kernel is asked',
    in: ['front', syn('203.0.113.14:80')],
    end: 'dropped no_neighbour',
    steps: ['the kernel is asked for the next hop’s MAC address'],
    place: 'director.yaml:28:69',
  },
  {
    it: 'no server: the service',
    in: ['front', syn('203.0.113.15:80')],
    end: 'answered answered_port_unreachable',
    place: 'director.yaml:29:5',
    also: ({ choice, sent }) => {
      assert.is(choice, null);
      assert.is(sent?.headers?.quoted, 'TCP 198.18.0.7:40000 → 203.0.113.15:80');
    },
  },
  {
    it: 'a full table: the limit',
    before: FULL.flatMap((n): [string, Uint8Array][] => {
      const from = `198.18.1.1:${n}`;
      return [
        ['front', syn('203.0.113.11:80', from)],
        ['front', tcp({ from, to: '203.0.113.11:80', flags: 'A', ...FRONT })],
      ];
    }),
    in: ['front', syn('203.0.113.10:80')],
    end: 'dropped table_full',
    place: 'director.yaml:1:29',
    also: ({ choice, connection }) => {
      assert.is(choice, '198.51.100.11:8080');
      assert.is(connection, null);
    },
  },
  {
    it: 'a table full of half-open connections: who gave way',
    before: FULL.map((n) => ['front', syn('203.0.113.10:80', `198.18.1.1:${n}`)]),
    in: ['front', syn('203.0.113.10:80')],
    end: 'forwarded forwarded_nat',
    steps: ['a half-open connection gave way to it'],
  },
  {
    it: 'no connection and no first packet',
    in: ['front', tcp({ from: CLIENT, to: '203.0.113.10:80', flags: 'A', ...FRONT })],
    end: 'answered answered_reset',
    place: 'director.yaml:13:5',
    also: ({ candidates, sent, steps }) => {
      assert.equal(candidates, []);
      assert.not.match(steps.join(), /no service/);
      assert.is(sent?.headers?.what, 'RST');
    },
  },
  {
    it: 'a port that no service has',
    in: ['front', udp({ from: CLIENT, to: '203.0.113.10:80', payload: 'who?', ...FRONT })],
    end: 'answered answered_port_unreachable',
    steps: ['no service is UDP 203.0.113.10:80; the address has web (TCP 203.0.113.10:80)'],
    place: 'director.yaml:13:5',
    also: ({ service }) => assert.is(service, null),
  },
  {
    it: 'the kernel’s',
    in: ['front', syn('192.0.2.1:22')],
    end: 'punted punted_not_ours',
    steps: ['to the kernel by the TAP twin of front, 54 bytes'],
    also: ({ sent }) => assert.is(sent?.twin, true),
  },
  {
    it: 'ARP for a VIP',
    in: [
      'front',
      arp({ op: 1, senderMac: FRONT.fromMac, sender: '192.0.2.254', target: '203.0.113.10' }),
    ],
    end: 'answered answered_arp',
    place: 'director.yaml:13:5',
    also: ({ packet }) => assert.is(packet?.what, 'request'),
  },
  {
    it: 'a martian',
    in: ['front', syn('203.0.113.10:80', '203.0.113.10:1')],
    end: 'dropped martian',
    place: 'director.yaml:13:5',
  },
  {
    it: 'a wrong checksum',
    in: ['front', tcp({ from: CLIENT, to: '203.0.113.10:80', ipChecksum: 'bad', ...FRONT })],
    end: 'dropped bad_ip_checksum',
  },
  {
    it: 'a fragment that waits',
    in: [
      'front',
      udp({ from: CLIENT, to: '203.0.113.10:80', payload: '12345678', mf: true, ...FRONT }),
    ],
    end: 'forwarded reassembled',
    also: ({ sent }) => assert.is(sent, null),
  },
  {
    it: 'an ICMP error about a connection',
    before: [['front', syn('203.0.113.10:80')]],
    in: [
      'back',
      icmp({
        from: '198.51.100.11',
        to: '198.18.0.7',
        type: 3,
        code: 3,
        payload: tcp({ from: CLIENT, to: '198.51.100.11:8080', flags: 'S', seq: 100 }).slice(14),
        ...BACK,
      }),
    ],
    end: 'forwarded forwarded_icmp_error',
    steps: ['an ICMP error about TCP 198.18.0.7:40000 → 198.51.100.11:8080'],
    also: ({ service }) => assert.is(service?.name, 'web'),
  },
];

for (const row of ROWS) {
  test(row.it, async () => {
    const running = director();
    try {
      for (const [port, frame] of row.before ?? []) running.send(port, frame);
      const { packets, counts } = await traced(running, ALL, [row.in]);
      assert.is(packets.length, 1);
      const packet = packets[0] as Packet;
      assert.is(`${packet.verdict} ${packet.reason}`, row.end);
      for (const step of row.steps ?? []) {
        assert.ok(packet.steps.includes(step), `${step}\nis not in\n${packet.steps.join('\n')}`);
      }
      assert.is(place(packet.place), row.place);
      row.also?.(packet);
      assert.match(formatTraced(packet), packet.reason);
      assert.equal(counts, { seen: 1, matched: 1, taken: 1, overRate: 0, noRoom: 0 });
    } finally {
      running.close();
    }
  });
}

const end = (text: string) => {
  const [address = '', port = '0'] = text.split(':');
  return { address, port: Number(port) };
};

test('a flow: both directions and its ICMP errors, and nothing else', async () => {
  const running = director();
  try {
    const query = { ...ALL, from: end(CLIENT), to: end('203.0.113.10:80') };
    const quoted = tcp({ from: CLIENT, to: '198.51.100.11:8080', flags: 'S', seq: 100 }).slice(14);
    const { packets, counts } = await traced(running, query, [
      ['front', syn('203.0.113.10:80', '198.18.0.7:40001')],
      ['front', syn('203.0.113.10:80')],
      ['front', syn('203.0.113.10:443')],
      ['back', tcp({ from: '198.51.100.11:8080', to: CLIENT, flags: 'SA', ack: 101, ...BACK })],
      [
        'back',
        icmp({ from: '198.51.100.11', to: '198.18.0.7', type: 3, payload: quoted, ...BACK }),
      ],
      ['front', udp({ from: CLIENT, to: '203.0.113.10:80', ...FRONT })],
    ]);
    const told = packets.map(({ packet, reason }) => `${packet?.protocol} ${reason}`);
    assert.equal(told, [
      'TCP forwarded_nat',
      'TCP forwarded_nat_reply',
      'ICMP forwarded_icmp_error',
      'UDP answered_port_unreachable',
    ]);
    assert.is(counts.seen, 6);
    assert.is(counts.matched, 4);
  } finally {
    running.close();
  }
});

test('by protocol, and by one end', async () => {
  const frames: [string, Uint8Array][] = [
    ['front', syn('203.0.113.10:80')],
    ['front', udp({ from: CLIENT, to: '203.0.113.10:80', ...FRONT })],
    ['front', icmp({ from: '198.18.0.7', to: '203.0.113.10', type: 8, ...FRONT })],
    ['front', syn('203.0.113.11:80', '198.18.0.8:1')],
  ];
  const told = async (query: Partial<Query>) => {
    const running = director();
    try {
      const { packets } = await traced(running, { ...ALL, ...query }, frames);
      return packets.map(({ packet }) => `${packet?.protocol} ${packet?.from}`);
    } finally {
      running.close();
    }
  };
  assert.equal(await told({ protocol: 'tcp' }), ['TCP 198.18.0.7:40000', 'TCP 198.18.0.8:1']);
  assert.equal(await told({ protocol: 'icmp' }), ['ICMP 198.18.0.7']);
  assert.equal(await told({ from: end('198.18.0.8') }), ['TCP 198.18.0.8:1']);
  assert.equal(await told({ to: end('203.0.113.11') }), ['TCP 198.18.0.8:1']);
  assert.equal(await told({ to: end('203.0.113.10:80'), protocol: 'tcp' }), [
    'TCP 198.18.0.7:40000',
  ]);
});

test('the rate is kept, and what it costs is told', async () => {
  const running = director();
  try {
    const frames = Array.from({ length: 50 }, (_, n): [string, Uint8Array] => [
      'front',
      syn('203.0.113.10:80', `198.18.0.9:${1000 + n}`),
    ]);
    // A tenth of a second is saved for bursts; a millisecond passes from frame to frame.
    const { packets, counts } = await traced(running, { ...ALL, rate: 100 }, frames);
    assert.is(counts.matched, 50);
    assert.is(packets.length, counts.taken);
    assert.is((counts.taken ?? 0) + (counts.overRate ?? 0), 50);
    assert.ok(packets.length >= 10 && packets.length <= 16, `${packets.length} were shown`);
  } finally {
    running.close();
  }
});

test('it ends after so many, and by its time', async () => {
  const running = director();
  try {
    const frames: [string, Uint8Array][] = [1, 2, 3].map((n) => [
      'front',
      syn('203.0.113.10:80', `198.18.0.9:${n}`),
    ]);
    const { packets } = await traced(running, { ...ALL, count: 2 }, frames);
    assert.is(packets.length, 2);
    const watch = running.replay.watchStart({ flow: {}, rate: 10, seconds: 1 });
    assert.is(running.replay.watchRead(watch).ended, false);
    running.replay.advance(2_000_000_000_000n);
    assert.is(running.replay.watchRead(watch).ended, true);
    running.replay.watchStop(watch);
    assert.throws(
      () => running.replay.watchRead(watch),
      (error: Error & { code: string }) => error.code === 'ERR_NATIVE_WATCH_GONE',
    );
  } finally {
    running.close();
  }
});

test('four at once see the same; a fifth is refused', async () => {
  const running = director();
  try {
    const start = () => running.replay.watchStart({ flow: {}, rate: 1000, seconds: 10 });
    const watches = [start(), start(), start(), start()];
    assert.throws(start, (error: Error & { code: string }) => {
      return error.code === 'ERR_NATIVE_WATCH_BUSY' && /^4 traces or captures/.test(error.message);
    });
    running.send('front', syn('203.0.113.10:80'));
    const [first, ...others] = watches.map((watch) => running.replay.watchRead(watch).records);
    assert.is([...readRecords(first as Uint8Array)].length, 1);
    for (const other of others) assert.equal(other, first);
    running.replay.watchStop(watches[0] as number);
    running.replay.watchStop(start());
  } finally {
    running.close();
  }
});

test('packets that go from worker to worker are told by both', () => {
  const limits = { maxConnections: 64, maxServices: 16, maxServers: 16 };
  const mac = Uint8Array.of(2, 0, 0, 0, 1, 1);
  const replay = native().createReplay({
    ports: [{ name: 'front', mac, mtu: 1500 }],
    limits,
    seed: 1,
    burst: 1,
    workers: 2,
  });
  try {
    replay.advance(1_000_000_000n);
    const watch = replay.watchStart({ flow: {}, rate: 1000, seconds: 10 });
    // Bursts go to the workers in turn, and one worker owns all of a client's flow.
    const frame = syn('203.0.113.10:80');
    for (let n = 0; n < 2; n++) {
      replay.run({
        bytes: frame,
        offsets: Uint32Array.of(0, frame.length),
        times: BigUint64Array.of(1_000_000_000n + BigInt(n)),
        ports: Uint8Array.of(0),
      });
    }
    const records = [...readRecords(replay.watchRead(watch).records)] as TraceRecord[];
    const handed = records.filter(({ end }) => end === 0xfe);
    const taken = records.filter(({ fromOtherWorker }) => fromOtherWorker);
    assert.is(records.length, 3);
    assert.is(handed.length, 1);
    assert.is(taken.length, 1);
    assert.is(handed[0]?.owner, taken[0]?.worker);
  } finally {
    replay.close();
  }
});

test.run();
