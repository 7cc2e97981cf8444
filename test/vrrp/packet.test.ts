/** VRRP's bytes: as keepalived sends them, and every way in which they can be wrong. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  advertFrame,
  gratuitousArp,
  linkLocal,
  openFrame,
  unsolicitedAdvertisement,
  virtualMac,
} from '../../src/vrrp/frame.js';
import { adverts, judge } from '../../src/vrrp/messages.js';
import {
  type Advertisement,
  decode,
  encode,
  type FAULTS,
  passwordBytes,
} from '../../src/vrrp/packet.js';
import { Replays } from '../../src/vrrp/seal.js';
import { scapy, scapyMissing } from '../support/scapy.js';
import { skip } from '../support/skip.js';
import { instanceOf } from './network.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const around = { source: '192.0.2.2', destination: '224.0.0.18', ttl: 255 };

/** Sent by keepalived 2.2.7 and found good by tshark. */
const CAPTURED: [string, string, Advertisement][] = [
  [
    'version 3, 100 ms',
    '31 33 64 01 00 0a 05 cb c0 00 02 64',
    { version: 3, vrid: 51, priority: 100, intervalMs: 100, addresses: ['192.0.2.100'] },
  ],
  [
    'version 2 without authentication',
    '21 33 fe 01 00 01 1e 65 c0 00 02 64 00 00 00 00 00 00 00 00',
    {
      version: 2,
      vrid: 51,
      priority: 254,
      intervalMs: 1000,
      addresses: ['192.0.2.100'],
      auth: { type: 0, data: new Uint8Array(8) },
    },
  ],
  [
    'version 2 with a password',
    '21 33 fe 01 01 01 e1 4a c0 00 02 64 73 33 63 72 65 74 00 00',
    {
      version: 2,
      vrid: 51,
      priority: 254,
      intervalMs: 1000,
      addresses: ['192.0.2.100'],
      auth: { type: 1, data: passwordBytes('s3cret') },
    },
  ],
];

for (const [what, hex, message] of CAPTURED) {
  test(`${what}: as keepalived sends it, both ways`, () => {
    assert.equal(Buffer.from(encode(message, around)).toString('hex'), hex.replaceAll(' ', ''));
    assert.equal(decode(bytes(hex), around), { message });
  });
}

const GOOD = bytes(CAPTURED[0]?.[1] as string);
const GOOD_V2 = bytes(CAPTURED[1]?.[1] as string);
const changed = (base: Uint8Array, at: number, value: number) => {
  const copy = base.slice();
  copy[at] = value;
  return copy;
};

const WRONG: [string, Uint8Array, keyof typeof FAULTS, number?][] = [
  ['TTL 254', GOOD, 'ttl', 254],
  ['nothing', new Uint8Array(0), 'short'],
  ['half a header', GOOD.slice(0, 7), 'short'],
  ['an address cut off', GOOD.slice(0, 11), 'short'],
  ['more addresses than there are', changed(GOOD, 3, 2), 'short'],
  ['version 2 without its 8 bytes', GOOD_V2.slice(0, 12), 'short'],
  ['bytes behind it', Uint8Array.of(...GOOD, 0), 'length'],
  ['version 4', changed(GOOD, 0, 0x41), 'version'],
  ['version 0', changed(GOOD, 0, 0x01), 'version'],
  ['type 2', changed(GOOD, 0, 0x32), 'type'],
  ['another priority', changed(GOOD, 2, 101), 'checksum'],
  ['another checksum', changed(GOOD, 7, 0), 'checksum'],
];

for (const [what, wrong, fault, ttl = 255] of WRONG) {
  test(`${what} is dropped: ${fault}`, () => {
    const result = decode(wrong, { ...around, ttl });
    assert.is('fault' in result ? result.fault : 'none', fault);
  });
}

test('version 3 without the pseudo-header is for those who ask for it', () => {
  const message = CAPTURED[0]?.[2] as Advertisement;
  const plain = encode(message, around, false);
  assert.ok('message' in decode(plain, around, false));
  assert.equal(decode(plain, around), { fault: 'checksum' });
});

const messages = fc.record({
  version: fc.constantFrom<2 | 3>(2, 3),
  vrid: fc.integer({ min: 1, max: 255 }),
  priority: fc.integer({ min: 0, max: 255 }),
  ticks: fc.integer({ min: 1, max: 255 }),
  addresses: fc.array(fc.ipV4(), { minLength: 1, maxLength: 20 }),
});

test('what is encoded is decoded again, over IPv4 and IPv6, and no flipped bit goes unseen', () => {
  fc.assert(
    fc.property(messages, fc.boolean(), fc.nat(), (one, v6, flip) => {
      const { ticks, ...rest } = one;
      const version = v6 ? 3 : rest.version;
      const addresses = v6 ? ['fe80::1', '2001:db8::100'] : rest.addresses;
      const intervalMs = version === 2 ? ticks * 1000 : ticks * 10;
      const auth = version === 2 ? { auth: { type: 0, data: new Uint8Array(8) } } : {};
      const message: Advertisement = { ...rest, version, addresses, intervalMs, ...auth };
      const envelope = v6 ? { source: 'fe80::2', destination: 'ff02::12', ttl: 255 } : around;
      const encoded = encode(message, envelope);
      assert.equal(decode(encoded, envelope), { message });
      const bit = flip % (encoded.length * 8);
      encoded[bit >> 3] = (encoded[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.ok('fault' in decode(encoded, envelope));
    }),
  );
});

test('garbage never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (garbage) => {
      decode(garbage, around);
      openFrame(garbage);
    }),
  );
});

const MAC = bytes('020000000101');

test('a frame carries what it was made of', () => {
  const frame = advertFrame({
    sourceMac: virtualMac(51, false),
    targetMac: undefined,
    ...around,
    payload: GOOD,
  });
  assert.equal(openFrame(frame), {
    ...around,
    multicast: true,
    sourceMac: bytes('00005e000133'),
    payload: GOOD,
  });
  const padded = new Uint8Array(60);
  padded.set(frame);
  assert.equal(openFrame(padded)?.payload, GOOD, 'Ethernet padding is not the message');
  assert.is(openFrame(gratuitousArp('192.0.2.100', MAC)), undefined);
});

test('a group of its own: adverts go there, and those to another one are none of its', () => {
  const place = { port: 0, mac: MAC, address: '192.0.2.1' };
  const other = { ...place, address: '192.0.2.2' };
  const own = instanceOf('multicastGroup: 239.129.2.3, addresses: [192.0.2.100]');
  const usual = instanceOf('addresses: [192.0.2.100]');
  const frameOf = (model: typeof own) =>
    adverts(model, other, 100, () => undefined).frames[0] as Uint8Array;
  assert.is(Buffer.from(frameOf(own).subarray(0, 6)).toString('hex'), '01005e010203');
  for (const [model, from, fault] of [
    [own, own, undefined],
    [own, usual, 'source'],
    [usual, own, 'source'],
  ] as const) {
    const arrived = openFrame(frameOf(from));
    assert.ok(arrived?.multicast);
    const judged = judge(model, place, arrived, { seal: undefined, replays: new Replays() });
    assert.is('fault' in judged ? judged.fault : undefined, fault);
  }
});

const SIX = { source: 'fe80::ff:fe00:101', destination: 'ff02::12', ttl: 255 };

test('over IPv6: hop limit 255, the group’s MAC, and a virtual MAC of its own', () => {
  assert.is(linkLocal(MAC), SIX.source);
  const addresses = ['fe80::100', '2001:db8::100'];
  const message = { version: 3 as const, vrid: 51, priority: 200, intervalMs: 10, addresses };
  const payload = encode(message, SIX);
  const sourceMac = virtualMac(51, true);
  const frame = advertFrame({ sourceMac, targetMac: undefined, ...SIX, payload });
  assert.is(Buffer.from(frame.subarray(0, 14)).toString('hex'), '33330000001200005e00023386dd');
  assert.equal(openFrame(frame), { ...SIX, multicast: true, sourceMac, payload });
  assert.equal(decode(payload, SIX), { message });
});

test('a neighbour advertisement that nobody asked for: as scapy makes it', () => {
  const frame = unsolicitedAdvertisement('2001:db8::100', MAC);
  assert.is(
    Buffer.from(frame).toString('hex'),
    '33330000000102000000010186dd6c00000000203aff20010db8000000000000000000000100' +
      'ff0200000000000000000000000000018800762ca000000020010db8000000000000000000000100' +
      '0201020000000101',
  );
  assert.is(openFrame(frame), undefined);
});

const missing = scapyMissing();
if (missing !== undefined) skip('scapy on adverts', missing);
else {
  test('scapy finds adverts and gratuitous ARP as they should be', () => {
    const advert = advertFrame({ sourceMac: MAC, targetMac: undefined, ...around, payload: GOOD });
    const [first, second] = scapy([advert, gratuitousArp('192.0.2.100', MAC)]);
    assert.equal(first?.ip[0]?.bad, []);
    assert.equal(
      [first?.dst, first?.ip[0]?.ttl, first?.ip[0]?.proto],
      ['01:00:5e:00:00:12', 255, 112],
    );
    const { op, psrc, pdst, hwsrc } = second?.arp ?? {};
    assert.equal([op, psrc, pdst, hwsrc], [1, '192.0.2.100', '192.0.2.100', '02:00:00:00:01:01']);
    assert.is(second?.dst, 'ff:ff:ff:ff:ff:ff');
  });
}

test.run();
