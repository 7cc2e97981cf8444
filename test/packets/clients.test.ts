/**
 * Lists of clients: who is let in by them, in every mode, protocol and kind of service of both
 * families, and what becomes of connections when a list changes under them. At the end random lists
 * and clients are put to a model that is a loop over the list.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromBytes } from '../../src/config/address.js';
import { NO_SLOTS } from '../../src/plan.js';
import type { Output } from '../support/model/verdicts.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench } from '../support/replay.js';
import { type Chunk, sctp, sctp6 } from '../support/sctp.js';
import { CREWS, fromBack, fromFront, nameOf } from '../support/table.js';
import { BACK_MAC, FRONT_MAC, ROUTER_MAC, serverMac } from '../support/world.js';
import { yamlWorld } from '../support/yaml.js';

type Family = 4 | 6;
const FAMILIES: Family[] = [4, 6];
const MODES = { 4: ['nat', 'dr', 'tun', 'fullnat', 'enat'], 6: ['nat', 'dr', 'tun', 'fullnat'] };
type Protocol = 'tcp' | 'udp' | 'sctp';
const PROTOCOLS: Protocol[] = ['tcp', 'udp', 'sctp'];

const VIP = { 4: '203.0.113.10', 6: '2001:db8:f::10' };
const RIP = { 4: '198.51.100.11', 6: '2001:db8:2::11' };
const LIP = { 4: '198.51.100.200', 6: '2001:db8:2::200' };
const end = (address: string, port: number) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

interface Place {
  family: Family;
  mode?: string;
  protocol?: Protocol;
  /** As YAML, of the service. */
  clients?: string;
  /** Port 0 is any, with persistence; `mark`: for a mark that the VIP's packets get. */
  listen?: 'any' | 'mark';
  more?: string;
}

function yamlOf({ family, mode = 'nat', protocol = 'tcp', clients, listen, more = '' }: Place) {
  const vip = VIP[family];
  const here =
    listen === 'mark'
      ? `mark: 7, family: ipv${family}`
      : `listen: "${end(vip, listen === 'any' ? 0 : 80)}", protocol: ${protocol}`;
  const locals =
    mode === 'fullnat' || mode === 'enat' ? `, localAddresses: ["${LIP[family]}"]` : '';
  const port = listen === 'any' ? 0 : 8080;
  return `
ports:
  - { name: front, mac: "${FRONT_MAC}", addresses: [192.0.2.1/24, "2001:db8:1::1/64"] }
  - { name: back, mac: "${BACK_MAC}", addresses: [198.51.100.1/24, "2001:db8:2::1/64"] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }, { to: "::/0", via: "2001:db8:1::fe" }]
neighbours:
  - { address: 192.0.2.254, mac: "${ROUTER_MAC}", port: front }
  - { address: "2001:db8:1::fe", mac: "${ROUTER_MAC}", port: front }
  - { address: "${RIP[4]}", mac: "${serverMac(1)}", port: back }
  - { address: "${RIP[6]}", mac: "${serverMac(1)}", port: back }
marks: [{ mark: 7, to: "${vip}"${protocol === 'sctp' ? ', protocol: sctp' : ''} }]
services:
  - { name: web, ${here}, mode: ${mode}${locals}, scheduler: rr${listen ? ', persistence: 5m' : ''}${more},
      ${clients === undefined ? '' : `clients: ${clients},`} servers: [{ address: "${end(RIP[family], port)}" }] }
  - { name: other, listen: "${end(vip, 99)}", mode: nat, servers: [{ address: "${end(RIP[family], 99)}" }] }
`;
}

class Story {
  readonly bench: Bench;
  #slots = NO_SLOTS;
  #clock = 0;

  constructor(
    private place: Place,
    crew: (typeof CREWS)[number] = CREWS[0],
  ) {
    const { slots, ...world } = yamlWorld(yamlOf(place));
    this.#slots = slots;
    this.bench = new Bench(world, crew);
  }

  reload(change: Partial<Place>): void {
    this.place = { ...this.place, ...change };
    const { snapshot, slots } = yamlWorld(yamlOf(this.place), this.#slots);
    this.#slots = slots;
    this.bench.publish(snapshot);
  }

  send(arriving: Arriving) {
    const [step] = this.bench.run([arriving], this.#clock++);
    assert.equal(this.bench.invariants(), []);
    return step as NonNullable<typeof step>;
  }

  /** The end of a client's packet. */
  client(from: string, what = 'S', port = 80): string {
    const { family, protocol = 'tcp' } = this.place;
    const ends = { from, to: end(VIP[family], port) };
    return this.send(fromFront(packetOf(family, protocol, ends, what))).end;
  }

  /** A server's answer to what was sent to it last. */
  answer(to: Output, what = 'SA') {
    const { family, protocol = 'tcp' } = this.place;
    const packet = ipOf(to.bytes);
    const view = new DataView(packet.buffer, packet.byteOffset);
    const source = family === 4 ? mapped4(packet.subarray(12, 16)) : packet.subarray(8, 24);
    const client = end(
      fromBytes(source),
      view.getUint16(family === 4 ? 4 * (view.getUint8(0) & 15) : 40),
    );
    const ends = { from: end(RIP[family], 8080), to: client };
    return this.send(fromBack(packetOf(family, protocol, ends, what)));
  }
}

const ipOf = (frame: Uint8Array) => frame.subarray(14);
const mapped4 = (quad: Uint8Array) =>
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...quad);

/** `what`: TCP's flags, or the same of SCTP: S INIT, SA INIT-ACK, A DATA. */
function packetOf(
  family: Family,
  protocol: Protocol,
  ends: { from: string; to: string },
  what: string,
): Uint8Array {
  if (protocol === 'sctp') {
    const chunk = ({ S: 'INIT', SA: 'INIT-ACK' }[what] ?? 'DATA') as Chunk;
    return family === 4 ? sctp({ ...ends, chunks: [chunk] }) : sctp6({ ...ends, chunks: [chunk] });
  }
  if (protocol === 'udp') return family === 4 ? p.udp(ends) : q.udp6(ends);
  return family === 4 ? p.tcp({ ...ends, flags: what }) : q.tcp6({ ...ends, flags: what });
}

const NEAR = { 4: '198.18.0.2', 6: '2001:db8:c::2' };
const FAR = { 4: '198.19.255.7', 6: '2001:db8:d::7' };

/** Lists, with what becomes of NEAR and FAR. */
const LISTS: { is: string; of: Record<Family, string>; near: boolean; far: boolean }[] = [
  {
    is: 'an address denied',
    of: { 4: '{ deny: [198.18.0.2] }', 6: '{ deny: ["2001:db8:c::2"] }' },
    near: false,
    far: true,
  },
  {
    is: 'a network denied',
    of: { 4: '{ deny: [198.18.0.0/24] }', 6: '{ deny: ["2001:db8:c::/48"] }' },
    near: false,
    far: true,
  },
  {
    is: 'nested networks denied',
    of: {
      4: '{ deny: [198.18.0.0/24, 198.18.0.0/15, 198.18.0.2] }',
      6: '{ deny: ["2001:db8:c::2", "2001:db8:8::/45", "2001:db8:c::/64"] }',
    },
    near: false,
    far: false,
  },
  {
    is: 'everybody denied',
    of: { 4: '{ deny: [0.0.0.0/0] }', 6: '{ deny: ["::/0"] }' },
    near: false,
    far: false,
  },
  {
    is: 'the neighbours of an address denied',
    of: {
      4: '{ deny: [198.18.0.0-198.18.0.1, 198.18.0.3-198.18.0.255] }',
      6: '{ deny: ["2001:db8:c::-2001:db8:c::1", "2001:db8:c::3-2001:db8:c::ffff"] }',
    },
    near: true,
    far: true,
  },
  {
    is: 'a range denied',
    of: { 4: '{ deny: [198.18.0.1-5] }', 6: '{ deny: ["2001:db8:c::1-5"] }' },
    near: false,
    far: true,
  },
  {
    is: 'an address allowed',
    of: { 4: '{ allow: [198.18.0.2/32] }', 6: '{ allow: ["2001:db8:c::2/128"] }' },
    near: true,
    far: false,
  },
  {
    is: 'everybody allowed',
    of: { 4: '{ allow: [0.0.0.0/0] }', 6: '{ allow: ["::/0"] }' },
    near: true,
    far: true,
  },
  {
    is: 'a network allowed, and one in it denied',
    of: {
      4: '{ allow: [198.18.0.0/15], deny: [198.18.0.0/24] }',
      6: '{ allow: ["2001:db8:8::/45"], deny: ["2001:db8:c::/48"] }',
    },
    near: false,
    far: true,
  },
  {
    is: 'an address allowed in a network that is denied',
    of: {
      4: '{ allow: [198.18.0.2], deny: [198.18.0.0/24] }',
      6: '{ allow: ["2001:db8:c::2"], deny: ["2001:db8:c::/48"] }',
    },
    near: false,
    far: false,
  },
  {
    is: 'the other family denied',
    of: { 4: '{ deny: ["::/0"] }', 6: '{ deny: [0.0.0.0/0] }' },
    near: true,
    far: true,
  },
];

for (const family of FAMILIES) {
  for (const mode of MODES[family] as string[]) {
    for (const protocol of PROTOCOLS.filter((one) => one !== 'sctp' || mode !== 'enat')) {
      test(`IPv${family}, ${mode}, ${protocol}: who is let in by each kind of list`, () => {
        const story = new Story({ family, mode, protocol });
        const forwarded = `forwarded_${mode}`;
        for (const [index, { is, of, near, far }] of LISTS.entries()) {
          story.reload({ clients: of[family] });
          for (const [address, let_in] of [
            [NEAR[family], near],
            [FAR[family], far],
          ] as const) {
            const got = story.client(end(address, 1024 + index));
            assert.is(got, let_in ? forwarded : 'denied', `${is}: ${address}`);
          }
        }
        story.bench.close();
      });
    }
  }

  for (const listen of ['any', 'mark'] as const) {
    test(`IPv${family}: a service for ${listen === 'any' ? 'any port' : 'a mark'} has lists, too`, () => {
      const clients = { 4: '{ deny: [198.18.0.2] }', 6: '{ deny: ["2001:db8:c::2"] }' }[family];
      for (const protocol of ['tcp', 'udp'] as const) {
        const story = new Story({ family, listen, protocol, clients });
        assert.is(story.client(end(NEAR[family], 1), 'S', 4711), 'denied');
        assert.is(story.client(end(FAR[family], 1), 'S', 4711), 'forwarded_nat');
        story.bench.close();
      }
    });
  }

  test(`IPv${family}: nothing is answered to who is denied, and other services are not concerned`, () => {
    const clients = { 4: '{ deny: [198.18.0.2] }', 6: '{ deny: ["2001:db8:c::2"] }' }[family];
    const story = new Story({ family, clients });
    for (const flags of ['S', 'A', 'R', 'PA', 'SA']) {
      assert.is(story.client(end(NEAR[family], 1), flags), 'denied');
    }
    assert.is(story.client(end(FAR[family], 1), 'A'), 'answered_reset');
    assert.is(story.client(end(NEAR[family], 1), 'S', 99), 'forwarded_nat');
    assert.is(story.client(end(VIP[family], 1), 'S'), 'martian');
    story.reload({ more: ', onePacket: true', protocol: 'udp' });
    assert.is(story.client(end(NEAR[family], 1)), 'denied');
    assert.is(story.client(end(FAR[family], 1)), 'forwarded_nat');
    story.bench.close();
  });
}

const deny = (family: Family) => `{ deny: ["${NEAR[family]}"] }`;
const reaches = (step: { outputs: Output[] }) => step.outputs[0] as Output;

for (const crew of CREWS) {
  for (const family of FAMILIES) {
    for (const protocol of PROTOCOLS) {
      const here = `IPv${family}, ${protocol}, ${nameOf(crew)}`;

      test(`${here}: a client that is denied while it is connected is cut off, others are not`, () => {
        for (const mode of ['nat', 'dr', 'fullnat']) {
          const story = new Story({ family, protocol, mode }, crew);
          const [near, far] = [end(NEAR[family], 4000), end(FAR[family], 4000)];
          for (const client of [near, far]) {
            const ends = { from: client, to: end(VIP[family], 80) };
            const first = story.send(fromFront(packetOf(family, protocol, ends, 'S')));
            assert.is(first.end, `forwarded_${mode}`);
            if (mode !== 'dr') {
              assert.is(story.answer(reaches(first)).end, `forwarded_${mode}_reply`);
            }
            for (let n = 0; n < 4; n++) assert.is(story.client(client, 'A'), `forwarded_${mode}`);
          }
          story.reload({ clients: deny(family) });
          assert.is(story.client(near, 'A'), 'denied');
          assert.is(story.client(far, 'A'), `forwarded_${mode}`);
          assert.is(story.client(far, 'A'), `forwarded_${mode}`);
          assert.is(story.client(near, 'A'), 'denied');
          assert.equal(
            story.bench.connections().map(({ client }) => client),
            [FAR[family]],
          );
          assert.is(story.bench.counters().extra.connections_denied, 1);
          story.reload({ clients: '{ deny: [] }' });
          assert.is(story.client(near), `forwarded_${mode}`, 'no longer denied');
          story.bench.close();
        }
      });

      test(`${here}: what a server sends to a client that is denied now ends there`, () => {
        for (const mode of ['nat', 'fullnat']) {
          const story = new Story({ family, protocol, mode }, crew);
          const ends = { from: end(NEAR[family], 4000), to: end(VIP[family], 80) };
          const first = story.send(fromFront(packetOf(family, protocol, ends, 'S')));
          assert.is(story.answer(reaches(first)).end, `forwarded_${mode}_reply`);
          story.reload({ clients: deny(family) });
          assert.is(story.answer(reaches(first), 'A').end, 'denied');
          assert.equal(story.bench.connections(), []);
          story.bench.close();
        }
      });
    }
  }
}

for (const family of FAMILIES) {
  test(`IPv${family}: a list that lets a client in costs its connection nothing, reload after reload`, () => {
    const story = new Story({ family, mode: 'fullnat' });
    const client = end(NEAR[family], 4000);
    const ends = { from: client, to: end(VIP[family], 80) };
    const first = story.send(fromFront(packetOf(family, 'tcp', ends, 'S')));
    story.answer(reaches(first));
    const network = family === 4 ? '198.18.0.0/24' : '2001:db8:c::/48';
    for (const clients of [
      `{ allow: ["${network}"] }`,
      `{ allow: ["${network}"], deny: ["${FAR[family]}"] }`,
      `{ deny: ["${FAR[family]}"] }`,
      '{ deny: [] }',
    ]) {
      story.reload({ clients });
      assert.is(story.answer(reaches(first), 'A').end, 'forwarded_fullnat_reply', clients);
      for (let n = 0; n < 3; n++)
        assert.is(story.client(client, 'A'), 'forwarded_fullnat', clients);
    }
    assert.is(story.bench.connections().length, 1);
    story.bench.close();
  });

  test(`IPv${family}: an ICMP error about a connection of a client that is denied now is not passed on`, () => {
    const story = new Story({ family, mode: 'nat', protocol: 'udp' });
    const ends = { from: end(NEAR[family], 4000), to: end(VIP[family], 80) };
    const first = story.send(fromFront(packetOf(family, 'udp', ends, '')));
    const sent = reaches(first).bytes;
    const about = () =>
      family === 4
        ? fromBack(p.icmpError({ from: RIP[4], to: NEAR[4], type: 3, code: 3, quote: sent }))
        : fromBack(q.icmp6Error({ from: RIP[6], to: NEAR[6], type: 1, code: 4, quote: sent }));
    assert.is(story.send(about()).end, 'forwarded_icmp_error');
    story.reload({ clients: deny(family) });
    assert.is(story.send(about()).end, 'denied');
    assert.equal(story.bench.connections(), []);
    story.bench.close();
  });

  test(`IPv${family}: a persistent client that is denied loses its server, and gets one anew`, () => {
    const story = new Story({ family, listen: 'any' });
    assert.is(story.client(end(NEAR[family], 1)), 'forwarded_nat');
    story.reload({ clients: deny(family) });
    assert.is(story.client(end(NEAR[family], 2)), 'denied');
    assert.is(story.client(end(NEAR[family], 1), 'A'), 'denied');
    story.reload({ clients: '{ deny: [] }' });
    assert.is(story.client(end(NEAR[family], 3)), 'forwarded_nat');
    story.bench.close();
  });
}

/** Addresses and lists of a few values each, so that they meet often, at the ends of the space as well. */
function spaceOf(family: Family) {
  const edges = {
    4: ['0.0.0.1', '198.18.0.0', '198.18.0.255', '198.18.255.255', '223.255.255.255'],
    6: ['::1', '2001:db8::', '2001:db8::ffff', '2001:db8:0:ffff::', '3fff:ffff::ffff'],
  }[family];
  const host = fc
    .nat(255)
    .map((n) => (family === 4 ? `198.18.0.${n}` : `2001:db8::${n.toString(16)}`));
  const address = fc.oneof({ weight: 3, arbitrary: host }, fc.constantFrom(...edges));
  const bits = family === 4 ? 32 : 128;
  const network = fc
    .tuple(
      address,
      fc.oneof(fc.integer({ min: bits - 10, max: bits }), fc.integer({ min: 0, max: bits })),
    )
    .map(([one, length]) => {
      const free = BigInt(bits - length);
      return `${textOf((numberOf(one) >> free) << free, family)}/${length}`;
    });
  const range = fc.tuple(address, address).map(([one, other]) => {
    const [first, last] = numberOf(one) <= numberOf(other) ? [one, other] : [other, one];
    return `${first}-${last}`;
  });
  const list = fc.uniqueArray(fc.oneof(address, network, range), { maxLength: 12 });
  return { address: host, list };
}

function numberOf(address: string): bigint {
  if (!address.includes(':')) {
    return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  }
  return BigInt(`0x${Buffer.from(q.ip6(address)).toString('hex')}`);
}

function textOf(number: bigint, family: Family): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((at) => (number >> at) & 255n).join('.');
  return (number.toString(16).padStart(32, '0').match(/.{4}/g) as string[]).join(':');
}

function isIn(client: string, entry: string): boolean {
  const number = numberOf(client);
  const [, first = '', length, last] = /^([^/-]+)(?:\/(\d+))?(?:-(.+))?$/.exec(entry) ?? [];
  const start = numberOf(first);
  if (length !== undefined) {
    const free = BigInt((first.includes(':') ? 128 : 32) - Number(length));
    return number >> free === start >> free;
  }
  return start <= number && number <= numberOf(last ?? first);
}

for (const family of FAMILIES) {
  test(`IPv${family}: random lists and clients, against a loop over the list`, () => {
    const { address, list } = spaceOf(family);
    const story = new Story({ family, protocol: 'udp', mode: 'dr' });
    let port = 1;
    fc.assert(
      fc.property(
        list,
        list,
        fc.array(address, { minLength: 1, maxLength: 20 }),
        (allow, no, who) => {
          const said = [
            ...(allow.length > 0 ? [`allow: [${allow.map((one) => `"${one}"`).join(', ')}]`] : []),
            `deny: [${no.map((one) => `"${one}"`).join(', ')}]`,
          ];
          fc.pre(distinct(allow) && distinct(no));
          story.reload({ clients: `{ ${said.join(', ')} }` });
          for (const client of who) {
            const admitted =
              !no.some((one) => isIn(client, one)) &&
              (allow.length === 0 || allow.some((one) => isIn(client, one)));
            port = (port % 60_000) + 1;
            assert.is(
              story.client(end(client, port)),
              admitted ? 'forwarded_dr' : 'denied',
              client,
            );
          }
        },
      ),
      { numRuns: 150 },
    );
    story.bench.close();
  });
}

/** The same said in two ways is a mistake. */
function distinct(entries: string[]): boolean {
  const spans = entries.map((entry) => {
    const [, first = '', length, last] = /^([^/-]+)(?:\/(\d+))?(?:-(.+))?$/.exec(entry) ?? [];
    const start = numberOf(first);
    const free = BigInt((first.includes(':') ? 128 : 32) - Number(length ?? 0));
    const stop = length === undefined ? numberOf(last ?? first) : start + (1n << free) - 1n;
    return `${start}-${stop}`;
  });
  return new Set(spans).size === spans.length;
}

test.run();
