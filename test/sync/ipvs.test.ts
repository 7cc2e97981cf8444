// timeout: 240
/**
 * IPVS' sync protocol: our messages byte by byte, strange ones refused by name, and a real Linux
 * sync daemon (User-Mode-Linux) as backup and as master.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SERVICES as OPTIONS } from '../oracle/services.js';
import { BACK_MAC, FRONT_MAC, GATEWAY_MAC, serverMac, topology } from '../oracle/topology.js';
import { type Frame, Uml, umlUnavailable } from '../oracle/uml.js';
import { concat, readU16, u16, u32 } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench } from '../support/replay.js';
import { type Chunk, type SctpFields, sctp, sctp6 } from '../support/sctp.js';
import { skip } from '../support/skip.js';
import { fromBack, fromFront } from '../support/table.js';
import { yamlWorld } from '../support/yaml.js';
import { decode } from './ipvs-decoder.js';
import { settings } from './pair.js';

const VIP = '198.19.1.0';
const VIP6 = '[2001:db8:f::10]';
const NAMES = ['A', 'B', 'C'] as const;
const SERVICES = [
  { listen: `${VIP}:80`, protocol: 'tcp', mode: 'nat', server: '198.51.100.11:8080', letter: 'm' },
  { listen: `${VIP}:81`, protocol: 'tcp', mode: 'dr', server: '198.51.100.12:81', letter: 'g' },
  { listen: `${VIP}:82`, protocol: 'tcp', mode: 'tun', server: '198.51.100.13:82', letter: 'i' },
  { listen: `${VIP}:53`, protocol: 'udp', mode: 'nat', server: '198.51.100.11:5353', letter: 'm' },
  { listen: `${VIP}:80`, protocol: 'sctp', mode: 'nat', server: '198.51.100.11:8080', letter: 'm' },
  { listen: `${VIP}:81`, protocol: 'sctp', mode: 'dr', server: '198.51.100.12:81', letter: 'g' },
  {
    listen: `${VIP6}:80`,
    protocol: 'tcp',
    mode: 'nat',
    server: '[2001:db8:2::11]:8080',
    letter: 'm',
  },
  {
    listen: `${VIP6}:80`,
    protocol: 'sctp',
    mode: 'nat',
    server: '[2001:db8:2::11]:8080',
    letter: 'm',
  },
  {
    listen: `${VIP6}:82`,
    protocol: 'sctp',
    mode: 'tun',
    server: '[2001:db8:2::13]:82',
    letter: 'i',
  },
  { listen: `${VIP6}:81`, protocol: 'tcp', mode: 'dr', server: '[2001:db8:2::12]:81', letter: 'g' },
  {
    listen: `${VIP6}:82`,
    protocol: 'tcp',
    mode: 'tun',
    server: '[2001:db8:2::13]:82',
    letter: 'i',
  },
  {
    listen: `${VIP6}:53`,
    protocol: 'udp',
    mode: 'nat',
    server: '[2001:db8:2::11]:5353',
    letter: 'm',
  },
] as const;
type Service = (typeof SERVICES)[number];
const isSix = ({ listen }: Service) => listen.startsWith('[');

const one = yamlWorld(`
director: { hugepages: false }
ports:
  - { name: front, mac: "${p.DIRECTOR_MAC}", addresses: [192.0.2.1/24, "2001:db8:1::1/64"] }
  - { name: back, mac: "${BACK_MAC}", addresses: [198.51.100.1/24, "2001:db8:2::1/64"] }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
  - { to: "::/0", via: "2001:db8:1::fe" }
neighbours:
  - { address: 192.0.2.254, mac: "${GATEWAY_MAC}", port: front }
  - { address: "2001:db8:1::fe", mac: "${GATEWAY_MAC}", port: front }
${NAMES.map(
  (name, n) => `
  - { address: 198.51.100.${11 + n}, mac: "${serverMac(name)}", port: back }
  - { address: "2001:db8:2::${11 + n}", mac: "${serverMac(name)}", port: back }`,
).join('')}
services:
${SERVICES.map(
  ({ listen, protocol, mode, server }, n) => `
  - name: s${n}
    listen: "${listen}"
    protocol: ${protocol}
    mode: ${mode}
    scheduler: rr
    servers: [{ address: "${server}" }]`,
).join('')}
`);
const client = (flow: number) =>
  isSix(SERVICES[flow % SERVICES.length] as Service)
    ? `[2001:db8:c::${(10 + flow).toString(16)}]:${40000 + flow}`
    : `198.18.0.${10 + flow}:${40000 + flow}`;
const FLOWS = SERVICES.map((service, flow) => ({ service, client: client(flow) }));

/** What does to an association what a segment with these flags does to a connection. */
const CHUNKS: Record<string, Chunk> = {
  S: 'INIT',
  SA: 'COOKIE-ACK',
  A: 'COOKIE-ECHO',
  PA: 'DATA',
};

function request(service: Service, from: string, flags: string, more: object = {}): Uint8Array {
  const ends = { from, to: service.listen };
  const of = isSix(service) ? { udp: q.udp6, tcp: q.tcp6 } : p;
  if (service.protocol === 'udp') return of.udp({ ...ends, payload: 'ask', ...more });
  if (service.protocol === 'sctp') return associated(service, { ...ends, ...more }, flags);
  return of.tcp({ ...ends, flags, seq: 1, ack: flags === 'S' ? 0 : 2, ...more });
}
function reply(service: Service, to: string, flags: string, more: object = {}): Uint8Array {
  const ends = { from: service.server, to };
  const of = isSix(service) ? { udp: q.udp6, tcp: q.tcp6 } : p;
  if (service.protocol === 'udp') return of.udp({ ...ends, payload: 'say', ...more });
  if (service.protocol === 'sctp') return associated(service, { ...ends, ...more }, flags);
  return of.tcp({ ...ends, flags, seq: 1, ack: 2, ...more });
}

function associated(service: Service, fields: SctpFields, flags: string): Uint8Array {
  return (isSix(service) ? sctp6 : sctp)({ ...fields, chunks: [CHUNKS[flags] as Chunk] });
}

/** A director with an established connection of each kind, 200 ms old. */
function established(syncid: number): Bench {
  const bench = new Bench(one);
  bench.startSync(settings({ protocol: 'ipvs', syncid }));
  const play = (at: number, frames: Arriving[]) => bench.run(frames, at);
  play(
    0,
    FLOWS.map(({ service, client: from }) => fromFront(request(service, from, 'S'))),
  );
  const replied = FLOWS.filter(({ service }) => service.mode === 'nat');
  for (const { service, client: from } of replied) {
    play(1, [fromBack(reply(service, from, 'SA'))]);
  }
  play(
    2,
    FLOWS.map(({ service, client: from }) => fromFront(request(service, from, 'A'))),
  );
  bench.advance(200);
  return bench;
}

const order = (a: string, b: string) => (a < b ? -1 : 1);

const at = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

test('our messages, byte by byte', () => {
  const bench = established(5);
  const messages = bench.syncSend().map(decode);
  assert.equal([...new Set(messages.map(({ syncid }) => syncid))], [5]);
  assert.equal(
    messages.flatMap(({ connections }) => connections).sort((a, b) => order(a.client, b.client)),
    [...FLOWS]
      .sort((a, b) => order(a.client, b.client))
      .map(({ service, client: from }) => ({
        protocol: service.protocol,
        method: service.mode,
        inactive: service.protocol === 'udp',
        state: { tcp: 1, udp: 0, sctp: 8 }[service.protocol],
        client: from,
        virtual: service.listen,
        server: service.server,
        fwmark: 0,
        timeoutSeconds: service.protocol === 'udp' ? 300 : 900,
      })),
  );
  bench.close();
});

/** A message of one record; `over` replaces bytes of it. */
function message(record: Uint8Array, syncid = 5): Uint8Array {
  const bytes = 8 + record.length;
  return concat(Uint8Array.of(0, syncid), u16(bytes), Uint8Array.of(1, 1, 0, 0), record);
}
function record(
  over: Partial<Record<'type' | 'protocol' | 'flags' | 'state', number>> & { virtual?: string },
): Uint8Array {
  const { type = 0, protocol = 6, flags = 3, state = 1, virtual = '2001:db8:f::10' } = over;
  const addresses =
    (type & 1) !== 0
      ? concat(q.ip6('2001:db8:c::9'), q.ip6(virtual), q.ip6('2001:db8:2::12'))
      : Uint8Array.of(198, 18, 0, 9, 198, 19, 1, 0, 198, 51, 100, 12);
  return concat(
    Uint8Array.of(type, protocol),
    u16(24 + addresses.length),
    u32(flags),
    u16(state),
    concat(u16(4000), u16(81), u16(81), u32(0), u32(60)),
    addresses,
  );
}

function ofLength(bytes: Uint8Array, length: number): Uint8Array {
  const cut = bytes.slice(0, length);
  cut.set(u16(length), 2);
  return cut;
}

const STRANGE: [string, Uint8Array, string | undefined][] = [
  ['a connection', message(record({})), undefined],
  ['a connection of IPv6', message(record({ type: 1 })), undefined],
  ['IPv6 to no service', message(record({ type: 1, virtual: '::1' })), 'refused_service'],
  ['IPv6 template', message(record({ type: 1, flags: 0x1003 })), 'refused_templates'],
  ['IPv6 in IPv4’s length', message(ofLength(record({ type: 1 }), 36)), 'refused_malformed'],
  ['a cut IPv6 record', message(record({ type: 1 }).subarray(0, 60)), 'refused_malformed'],
  ['a persistence template', message(record({ flags: 0x1003 })), 'refused_templates'],
  ['a connection without client port', message(record({ flags: 0x803 })), 'refused_templates'],
  ['an SCTP association', message(record({ protocol: 132, state: 8 })), undefined],
  [
    'SCTP to no service',
    message(record({ type: 1, protocol: 132, virtual: '::1' })),
    'refused_service',
  ],
  [
    'SCTP in a state that there is not',
    message(record({ protocol: 132, state: 14 })),
    'refused_other',
  ],
  ['SCTP in no state', message(record({ protocol: 132, state: 0 })), 'refused_other'],
  ['DCCP', message(record({ protocol: 33 })), 'refused_other'],
  ['a bypass', message(record({ flags: 4 })), 'refused_other'],
  ['a state that there is not', message(record({ state: 40 })), 'refused_other'],
  ['another syncid', message(record({}), 6), 'refused_syncid'],
  ['a cut record', message(record({}).subarray(0, 30)), 'refused_malformed'],
  ['a wrong length', concat(message(record({})), Uint8Array.of(0)), 'refused_malformed'],
];

for (const [what, bytes, reason] of STRANGE) {
  test(`${what}: ${reason ?? 'adopted'}`, () => {
    const bench = new Bench(one);
    bench.startSync(settings({ protocol: 'ipvs', syncid: 5 }));
    bench.syncReceive(bytes);
    assert.is(bench.connections().length, reason === undefined ? 1 : 0);
    if (reason !== undefined) assert.is(bench.sync()[reason], 1);
    bench.close();
  });
}

test('version 0 is read, with sequence deltas or without', () => {
  const v0 = (flags: number) =>
    concat(
      Uint8Array.of(0, 6),
      concat(u16(4000), u16(81), u16(81)),
      Uint8Array.of(198, 18, 0, flags & 0xff, 198, 19, 1, 0, 198, 51, 100, 12),
      concat(u16(flags), u16(1)),
      new Uint8Array((flags & 0x600) === 0 ? 0 : 24),
    );
  const records = concat(v0(0x003), v0(0x603), v0(0x203));
  const bench = new Bench(one);
  bench.startSync(settings({ protocol: 'ipvs', syncid: 5 }));
  bench.syncReceive(concat(Uint8Array.of(3, 5), u16(4 + records.length), records));
  // The same tuple thrice.
  assert.is(bench.connections().length, 1);
  assert.is(bench.sync().received_records, 3);
  bench.close();
});

/** What the guest needs to forward IPv6 as it does IPv4. */
async function giveSix(uml: Uml): Promise<void> {
  const conf = (name: string, value: number) =>
    `for at in all default vec0 vec1; do sysctl -qw net.ipv6.conf.$at.${name}=${value}; done`;
  const lines = [
    ...['accept_dad', 'accept_ra', 'router_solicitations'].map((name) => conf(name, 0)),
    conf('forwarding', 1),
    conf('disable_ipv6', 0),
    'ip addr add 2001:db8:1::1/64 dev vec0 nodad',
    'ip addr add 2001:db8:2::1/64 dev vec1 nodad',
    'ip addr add 2001:db8:f::10/128 dev vec0 nodad',
    `ip neigh replace 2001:db8:1::fe lladdr ${GATEWAY_MAC} dev vec0 nud permanent`,
    ...NAMES.map(
      (name, n) =>
        `ip neigh replace 2001:db8:2::${11 + n} lladdr ${serverMac(name)} dev vec1 nud permanent`,
    ),
    'ip route add 2001:db8:c::/64 via 2001:db8:1::fe dev vec0',
  ];
  await uml.sh(lines.join(' && '));
}

const reason = umlUnavailable();
if (reason) {
  skip('a real Linux sync daemon', reason);
} else {
  let uml: Uml;
  test.before(async () => {
    uml = await Uml.boot({ ...topology, vips: [VIP] });
    const lines = SERVICES.flatMap(({ listen, protocol, server, letter }) => [
      `-A ${OPTIONS[protocol]} ${listen} -s rr`,
      `-a ${OPTIONS[protocol]} ${listen} -r ${server} -${letter}`,
    ]);
    await giveSix(uml);
    await uml.sh(`printf '%b' '${lines.join('\\n')}\\n' | ipvsadm -R`);
  });
  // What kept it from booting has been told by then.
  test.after(() => (uml as Uml | undefined)?.close());

  const toFront = (bytes: Uint8Array): Frame => ({ port: 'front', bytes });
  const front = { fromMac: GATEWAY_MAC, toMac: FRONT_MAC };
  const back = { fromMac: serverMac('A'), toMac: BACK_MAC };
  const padded = (value: number, digits: number) => value.toString(16).padStart(digits, '0');
  const hex = (end: string) => {
    const [address, port] = end.startsWith('[')
      ? q.end6(end)
      : (end.split(':') as [string, string]);
    const number = padded(Number(port), 4).toUpperCase();
    if (end.startsWith('[')) {
      const bytes = q.ip6(address);
      const words = Array.from({ length: 8 }, (_, at) => padded(readU16(bytes, 2 * at), 4));
      return `${words.join(':')} ${number}`;
    }
    const bytes = address.split('.').map((byte) => padded(Number(byte), 2));
    return `${bytes.join('').toUpperCase()} ${number}`;
  };
  /** Neighbour Discovery and group reports (MLD's and IGMP's, which it repeats within ten seconds) are the guest's own. */
  const isOwn = ({ bytes }: Frame) =>
    (readU16(bytes, 12) === 0x86dd && [0, 58].includes(bytes[20] as number)) ||
    (readU16(bytes, 12) === 0x0800 && bytes[23] === 2);
  /** A line of /proc/net/ip_vs_conn. */
  const listed = ({ service, client: from }: (typeof FLOWS)[number]) =>
    `${service.protocol.toUpperCase()} ${hex(from)} ${hex(service.listen)} ${hex(service.server)}`;

  test('Linux is the backup: it lists our connections, and they go on through it', async () => {
    await uml.sh('ipvsadm --start-daemon backup --mcast-interface vec1 --syncid 5');
    const bench = established(5);
    const frames = bench.syncSend().map((payload) => ({
      port: 'back' as const,
      bytes: p.udp({
        ...{ from: '198.51.100.2:8848', to: '224.0.0.81:8848', payload },
        ...{ fromMac: serverMac('B'), toMac: '01:00:5e:00:00:51', ttl: 1 },
      }),
    }));
    await uml.play(frames);
    let table = '';
    for (let tries = 0; tries < 20; tries++) {
      table = (await uml.sh('cat /proc/net/ip_vs_conn')).replaceAll(/ +/g, ' ');
      if (FLOWS.every((flow) => table.includes(listed(flow)))) break;
      await uml.listen(0.2);
    }
    for (const flow of FLOWS) assert.ok(table.includes(listed(flow)), `${listed(flow)}\n${table}`);
    const with_ = FLOWS.filter(({ service }) => service.protocol !== 'udp');
    assert.is(table.match(/ESTABLISHED/g)?.length, with_.length, table);
    // No SYN: only who knows the connection forwards this.
    const data = FLOWS.map(({ service, client: from }) =>
      toFront(request(service, from, 'PA', { ...front, payload: 'more' })),
    );
    const sent = await uml.play(data);
    assert.equal(
      sent.map((out) => out.filter((frame) => !isOwn(frame)).map(({ port }) => port)),
      FLOWS.map(() => ['back']),
    );
    await uml.sh('ipvsadm --stop-daemon backup');
    bench.close();
  });

  test('Linux is the master: we adopt its connections, and they go on through us', async () => {
    await uml.sh('ipvsadm --start-daemon master --mcast-interface vec1 --syncid 6');
    const others = FLOWS.map(({ service }, flow) => ({ service, client: client(48 + flow) }));
    for (const { service, client: from } of others) {
      const go = [toFront(request(service, from, 'S', front))];
      if (service.mode === 'nat') {
        go.push({ port: 'back', bytes: reply(service, from, 'SA', back) });
      }
      // It tells of what has had three packets.
      for (let i = 0; i < 4; i++) go.push(toFront(request(service, from, 'A', front)));
      await uml.play(go);
    }
    const bench = new Bench(one);
    bench.startSync(settings({ protocol: 'ipvs', syncid: 6 }));
    bench.advance(0);
    for (let tries = 0; tries < 8 && bench.connections().length < others.length; tries++) {
      for (const { bytes } of await uml.listen(1)) {
        const { ip } = dissect(bytes);
        if (ip?.udp?.dport !== 8848) continue;
        const payload = bytes.subarray(14 + 20 + 8);
        decode(payload);
        bench.syncReceive(payload);
      }
    }
    const known = bench
      .connections()
      .map(
        (c) =>
          `${at(c.client, c.clientPort)} ${at(c.virtual, c.virtualPort)} ${at(c.server, c.serverPort)} ${c.mode}`,
      );
    assert.equal(
      known.sort(),
      others
        .map(
          ({ service, client: from }) =>
            `${from} ${service.listen} ${service.server} ${service.mode}`,
        )
        .sort(),
      JSON.stringify(bench.sync()),
    );
    for (const { service, client: from } of others) {
      const [step] = bench.run(
        [fromFront(request(service, from, 'PA', { payload: 'more' }))],
        1000,
      );
      assert.is(step?.end, `forwarded_${service.mode}`);
    }
    await uml.sh('ipvsadm --stop-daemon master');
    bench.close();
  });
}

test.run();
