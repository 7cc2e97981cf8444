/** encodeSnapshot(): every field at the offset that native/engine/snapshot_wire.h gives it. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromBytes, isIPv4, toBytes } from '../../src/config/address.js';
import { clientSet } from '../../src/config/client-sets.js';
import { DEFAULT_TIMEOUTS, encodeSnapshot, type Snapshot } from '../../src/snapshot.js';

const allow = clientSet(['198.51.100.0/24'], [], false);
const deny = clientSet(['198.51.100.7', '203.0.113.0-203.0.113.2', '2001:db8::1'], [], false);
const deny6 = clientSet(['198.51.100.7', '2001:db8:1::/48'], [], true);

const snapshot: Snapshot = {
  generation: 77,
  timeouts: DEFAULT_TIMEOUTS,
  answerRate: 0x01020304,
  services: [
    {
      address: toBytes('203.0.113.10'),
      port: 80,
      protocol: 'tcp',
      mark: 0,
      scheduler: 'mh',
      schedulePort: true,
      scheduleFallback: false,
      onePacket: false,
      persistenceMs: 360_000,
      clientBits: 24,
      netmask: 0xff00ff00,
      engine: 'sip',
      movesDrained: true,
      resetOnServerRemoved: true,
      clientAddress: true,
      toaKind: 254,
      synProxy: true,
      slot: 5,
      servers: [
        {
          address: toBytes('198.51.100.11'),
          port: 8080,
          mode: 'enat',
          weight: 65535,
          slot: 9,
          up: true,
          upper: 100_000,
          lower: 70_000,
        },
        {
          address: toBytes('198.51.100.12'),
          port: 8081,
          mode: 'nat',
          weight: 0,
          slot: 10,
          up: false,
          upper: 0,
          lower: 0,
        },
      ],
      localAddresses: [toBytes('198.51.100.200')],
      role: 'active',
      allow,
      deny: null,
    },
    {
      address: toBytes('203.0.113.11'),
      port: 53,
      protocol: 'udp',
      mark: 0,
      scheduler: 'rr',
      schedulePort: false,
      scheduleFallback: true,
      onePacket: true,
      persistenceMs: 0,
      clientBits: 0,
      netmask: 0,
      engine: null,
      movesDrained: false,
      resetOnServerRemoved: false,
      clientAddress: false,
      toaKind: 200,
      synProxy: false,
      slot: 6,
      servers: [],
      localAddresses: [toBytes('198.51.100.201'), toBytes('198.51.100.202')],
      role: 'standby',
      allow,
      deny,
    },
    {
      address: toBytes('::'),
      port: 0,
      protocol: 'fwmark',
      mark: 0xdeadbeef,
      scheduler: 'lblc',
      schedulePort: false,
      scheduleFallback: false,
      onePacket: false,
      persistenceMs: 0,
      clientBits: 0,
      netmask: 0,
      engine: null,
      movesDrained: false,
      resetOnServerRemoved: false,
      clientAddress: false,
      toaKind: 254,
      synProxy: false,
      slot: 7,
      servers: [],
      localAddresses: [],
      role: 'none',
      allow: null,
      deny: deny6,
    },
  ],
  owned: [toBytes('203.0.113.10'), toBytes('203.0.113.11'), toBytes('198.51.100.200')],
  routes: [{ address: toBytes('0.0.0.0'), length: 0, via: toBytes('192.0.2.254'), port: 1 }],
  neighbours: [
    { address: toBytes('192.0.2.254'), mac: Uint8Array.of(2, 0, 0, 0, 0, 254), port: 1 },
  ],
  portAddresses: [{ address: toBytes('192.0.2.1'), length: 24, port: 1 }],
  roleAddresses: [
    {
      address: toBytes('192.0.2.100'),
      mac: Uint8Array.of(0, 0, 0x5e, 0, 1, 51),
      port: 1,
      accepted: true,
    },
  ],
  marks: [
    {
      destination: toBytes('2001:db8::'),
      destinationLength: 64,
      source: toBytes('2001:db8:1::'),
      sourceLength: 48,
      protocol: 'udp',
      low: 5_000,
      high: 5_010,
      service: 7,
      port: 1,
    },
    {
      destination: toBytes('203.0.113.12'),
      destinationLength: 32,
      source: toBytes('0.0.0.0'),
      sourceLength: 0,
      protocol: undefined,
      low: 0,
      high: 65_535,
      service: undefined,
      port: undefined,
    },
  ],
};

const bytes = encodeSnapshot(snapshot);
const view = new DataView(bytes.buffer);
const u32 = (at: number) => view.getUint32(at, true);
const u16 = (at: number) => view.getUint16(at, true);
const address = (at: number) => fromBytes(bytes.subarray(at, at + 16));
/** Offset and count of section i: services servers lips owned routes neighbours port- and role-addresses, marks, client lists and their networks. */
const section = (index: number): [number, number] => [u32(16 + index * 8), u32(20 + index * 8)];

test('the header: magic, version, generation, length, sections, timeouts', () => {
  assert.is(Buffer.from(bytes.subarray(0, 4)).toString(), 'SLUI');
  assert.is(u32(4), 1);
  assert.is(u32(8), 77);
  assert.is(u32(12), bytes.length);
  assert.equal(
    Array.from({ length: 12 }, (_, index) => section(index)[1]),
    [3, 2, 3, 3, 1, 1, 1, 1, 2, 3, 4, 1],
  );
  assert.equal(
    DEFAULT_TIMEOUTS.map((_, state) => u32(112 + state * 4)),
    DEFAULT_TIMEOUTS,
  );
  assert.is(u32(112 + DEFAULT_TIMEOUTS.length * 4), 0x01020304);
});

test('sections are 8-byte aligned, in order, inside the message, without overlap', () => {
  const sizes = [72, 48, 16, 16, 40, 24, 24, 24, 48, 24, 8, 24];
  let end = 216;
  sizes.forEach((size, index) => {
    const [start, count] = section(index);
    assert.is(start, end);
    assert.is(start % 8, 0);
    end = start + Math.ceil((count * size) / 8) * 8;
  });
  assert.is(end, bytes.length);
});

test('services', () => {
  const [first] = section(0);
  assert.is(address(first), '203.0.113.10');
  assert.is(u16(first + 16), 80);
  assert.equal(
    [...bytes.subarray(first + 18, first + 24)],
    [6, 4, 5, 1 | 8 | 16 | 64 | 128, 254, 1],
  );
  assert.equal(
    [24, 28, 32, 36, 40, 44].map((at) => u32(first + at)),
    [5, 0, 2, 0, 1, 360_000],
  );
  assert.equal([...bytes.subarray(first + 48, first + 50)], [24, 1]);
  assert.equal([...bytes.subarray(first + 64, first + 68)], [255, 0, 255, 0]);
  const second = first + 72;
  assert.is(address(second), '203.0.113.11');
  assert.equal([...bytes.subarray(second + 18, second + 24)], [17, 4, 0, 2 | 4 | 32 | 64, 200, 0]);
  assert.equal(
    [24, 28, 32, 36, 40, 44].map((at) => u32(second + at)),
    [6, 2, 0, 1, 2, 0],
  );
  assert.is(u32(second + 52), 0);
  const third = second + 72;
  assert.is(u16(third + 16), 0);
  assert.equal([...bytes.subarray(third + 18, third + 21)], [0, 6, 12]);
  assert.is(u32(third + 52), 0xdeadbeef);
});

test('servers', () => {
  const [first] = section(1);
  assert.is(address(first), '198.51.100.11');
  assert.is(u16(first + 16), 8080);
  assert.equal([...bytes.subarray(first + 18, first + 20)], [4, 1]);
  assert.equal(
    [20, 24, 28, 32].map((at) => u32(first + at)),
    [65535, 9, 100_000, 70_000],
  );
  assert.is(address(first + 48), '198.51.100.12');
  assert.equal([...bytes.subarray(first + 66, first + 68)], [0, 0]);
});

test('local and owned addresses, routes, neighbours, port addresses', () => {
  const list = (index: number) => {
    const [start, count] = section(index);
    return Array.from({ length: count }, (_, at) => address(start + at * 16));
  };
  assert.equal(list(2), ['198.51.100.200', '198.51.100.201', '198.51.100.202']);
  assert.equal(list(3), ['203.0.113.10', '203.0.113.11', '198.51.100.200']);
  const [route] = section(4);
  assert.is(address(route), '0.0.0.0');
  assert.is(address(route + 16), '192.0.2.254');
  assert.equal([...bytes.subarray(route + 32, route + 35)], [0, 4, 1]);
  const [neighbour] = section(5);
  assert.is(address(neighbour), '192.0.2.254');
  assert.equal([...bytes.subarray(neighbour + 16, neighbour + 23)], [2, 0, 0, 0, 0, 254, 1]);
  const [own] = section(6);
  assert.is(address(own), '192.0.2.1');
  assert.equal([...bytes.subarray(own + 16, own + 18)], [24, 1]);
});

test('marks', () => {
  const [first] = section(8);
  assert.is(address(first), '2001:db8::');
  assert.is(address(first + 16), '2001:db8:1::');
  assert.equal([...bytes.subarray(first + 32, first + 36)], [64, 48, 6, 17]);
  assert.equal([u16(first + 36), u16(first + 38), u32(first + 40)], [5_000, 5_010, 7]);
  assert.is(bytes[first + 44], 1);
  const second = first + 48;
  assert.is(address(second), '203.0.113.12');
  assert.is(address(second + 16), '0.0.0.0');
  assert.equal([...bytes.subarray(second + 32, second + 36)], [32, 0, 4, 0]);
  assert.equal([u16(second + 36), u16(second + 38), u32(second + 40)], [0, 65_535, 0xffff_ffff]);
  assert.is(bytes[second + 44], 255, 'any');
});

test('an empty snapshot is its header', () => {
  const empty = encodeSnapshot({
    generation: 1,
    timeouts: DEFAULT_TIMEOUTS,
    answerRate: 0,
    services: [],
    owned: [],
    routes: [],
    neighbours: [],
    portAddresses: [],
    roleAddresses: [],
    marks: [],
  });
  assert.is(empty.length, 216);
});

test('IPv4 is told from IPv6', () => {
  assert.ok(isIPv4(toBytes('192.0.2.1')));
  assert.not.ok(isIPv4(toBytes('2001:db8::1')));
  assert.not.ok(isIPv4(new Uint8Array(16)));
});

test('lists of clients: each once, and services refer to them by number', () => {
  const [services] = section(0);
  const numbers = [0, 1, 2].map((index) => [56, 60].map((at) => u32(services + index * 72 + at)));
  assert.equal(numbers, [
    [1, 0],
    [1, 2],
    [0, 3],
  ]);
  const [lists] = section(9);
  const list = (index: number) => lists + index * 24;
  assert.equal(
    [0, 1, 2].map((index) => [8, 12].map((at) => u32(list(index) + at))),
    [
      [0, 1],
      [1, 3],
      [0, 1],
    ],
  );
  assert.equal(
    [0, 1, 2].map((index) => bytes[list(index) + 16]),
    [4, 4, 6],
  );
  const prints = [0, 1, 2].map((index) => view.getBigUint64(list(index), true));
  assert.equal(
    prints.map((one) => one.toString(16).padStart(16, '0')),
    [allow, deny, deny6].map((one) => one?.fingerprint),
  );
  const [four] = section(10);
  const network = (index: number) => [...bytes.subarray(four + index * 8, four + index * 8 + 5)];
  assert.equal([0, 1, 2, 3].map(network), [
    [198, 51, 100, 0, 24],
    [198, 51, 100, 7, 32],
    [203, 0, 113, 0, 31],
    [203, 0, 113, 2, 32],
  ]);
  const [six] = section(11);
  assert.is(address(six), '2001:db8:1::');
  assert.is(bytes[six + 16], 48);
});

test.run();
