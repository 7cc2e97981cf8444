/** plan(): pure, complete, and true to the slot rule. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromBytes, toBytes } from '../../src/config/address.js';
import { parseConfig } from '../../src/config/load.js';
import type { ServerModel, ServiceModel } from '../../src/config/model.js';
import { STATES } from '../../src/native.js';
import { type Health, NO_SLOTS, type Planned, plan, type Slots } from '../../src/plan.js';
import type { Snapshot } from '../../src/snapshot.js';

const HEAD = `
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }, { to: 198.18.0.0/16, port: back }]
neighbours: [{ address: 198.51.100.11, mac: 02:00:00:00:00:11 }]
timeouts: { tcp: 60, tcpFin: 5, udp: 7 }
`;

const modelOf = (services: string, head = HEAD) =>
  parseConfig(`${head}services:\n${services}`, 'director.yaml').model;

const down = (key: string): Health => ({
  servers: new Map([[key, { up: false, weight: 1 }]]),
  lost: new Set(),
});

const WEB = `
  - name: web
    listen: 203.0.113.10:80
    mode: fullnat
    scheduler: sh
    schedulePort: true
    onServerRemoved: reset
    localAddresses: [198.51.100.200, 198.51.100.201]
    servers:
      - { address: 198.51.100.11:8080, weight: 3, upperThreshold: 9, lowerThreshold: 4 }
      - { address: 198.51.100.12:8080, weight: 0, mode: dr }
`;
const DNS = `
  - name: dns
    listen: 203.0.113.10:53
    protocol: udp
    mode: nat
    clientAddress: none
    servers: [{ address: 198.51.100.13:53 }]
`;

/** A snapshot with addresses as text, for comparison. */
function readable(snapshot: Snapshot): unknown {
  return JSON.parse(
    JSON.stringify(snapshot, (_, value) =>
      value instanceof Uint8Array
        ? value.length === 16
          ? fromBytes(value)
          : Buffer.from(value).toString('hex')
        : value,
    ),
  );
}

test('a model becomes a snapshot with nothing lost', () => {
  const { snapshot, warnings } = plan(modelOf(WEB + DNS));
  const timeouts = [
    2000, 60000, 120000, 60000, 5000, 120000, 10000, 60000, 30000, 120000, 120000, 7000,
    // SCTP's are no settings, as with LVS.
    4000, 61000, 61000, 61000, 61000, 61000, 61000, 900000, 61000, 61000, 61000, 4000, 61000,
  ];
  assert.is(timeouts.length, STATES.length);
  assert.equal(readable(snapshot), {
    generation: 1,
    timeouts,
    answerRate: 10_000,
    services: [
      {
        address: '203.0.113.10',
        port: 80,
        protocol: 'tcp',
        mark: 0,
        scheduler: 'sh',
        schedulePort: true,
        scheduleFallback: false,
        onePacket: false,
        persistenceMs: 0,
        clientBits: 0,
        netmask: 0,
        engine: null,
        movesDrained: false,
        resetOnServerRemoved: true,
        clientAddress: true,
        toaKind: 254,
        synProxy: false,
        slot: 0,
        servers: [
          {
            address: '198.51.100.11',
            port: 8080,
            mode: 'fullnat',
            weight: 3,
            slot: 0,
            up: true,
            upper: 9,
            lower: 4,
          },
          // dr cannot change the port.
          {
            address: '198.51.100.12',
            port: 80,
            mode: 'dr',
            weight: 0,
            slot: 1,
            up: true,
            upper: 0,
            lower: 0,
          },
        ],
        localAddresses: ['198.51.100.200', '198.51.100.201'],
        role: 'none',
        allow: null,
        deny: null,
      },
      {
        address: '203.0.113.10',
        port: 53,
        protocol: 'udp',
        mark: 0,
        scheduler: 'wlc',
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
        slot: 1,
        servers: [
          {
            address: '198.51.100.13',
            port: 53,
            mode: 'nat',
            weight: 1,
            slot: 2,
            up: true,
            upper: 0,
            lower: 0,
          },
        ],
        localAddresses: [],
        role: 'none',
        allow: null,
        deny: null,
      },
    ],
    owned: ['203.0.113.10', '198.51.100.200', '198.51.100.201'],
    routes: [
      { address: '0.0.0.0', length: 0, via: '192.0.2.254', port: 0 },
      { address: '198.18.0.0', length: 16, via: '', port: 1 },
    ],
    neighbours: [{ address: '198.51.100.11', mac: '020000000011', port: 1 }],
    portAddresses: [
      { address: '192.0.2.1', length: 24, port: 0 },
      { address: '198.51.100.1', length: 24, port: 1 },
    ],
    roleAddresses: [],
    marks: [],
  });
  assert.equal(warnings, []);
});

test('health takes a server out, and says when none is left', () => {
  const model = modelOf(DNS);
  const { snapshot, warnings } = plan(model, down('udp 203.0.113.10:53 198.51.100.13:53'));
  assert.is(snapshot.services[0]?.servers[0]?.up, false);
  assert.equal(warnings, ['service dns has no server that takes new connections']);
});

test('a server that is inhibited rather than taken out stays, at weight 0', () => {
  const model = modelOf(DNS);
  const [service] = model.services as [ServiceModel];
  const [server] = service.servers as [ServerModel];
  server.health = { ...server.health, inhibitOnFailure: true };
  const { snapshot } = plan(model, down('udp 203.0.113.10:53 198.51.100.13:53'));
  const [planned] = snapshot.services[0]?.servers ?? [];
  assert.is(planned?.up, true);
  assert.is(planned?.weight, 0);
});

test('the weight that a check has found replaces the configured one', () => {
  const servers = new Map([['udp 203.0.113.10:53 198.51.100.13:53', { up: true, weight: 42 }]]);
  const { snapshot } = plan(modelOf(DNS), { servers, lost: new Set() });
  assert.is(snapshot.services[0]?.servers[0]?.weight, 42);
});

test('a sorry server stands in while the quorum is lost, and keeps its slot', () => {
  const model = modelOf(DNS);
  const [service] = model.services as [ServiceModel];
  const sorry = { address: { address: '198.51.100.99', port: 53 }, mode: 'nat' as const };
  service.health = { ...service.health, sorryServer: sorry };
  const well = plan(model);
  assert.equal(
    well.snapshot.services[0]?.servers.map(({ up }) => up),
    [true],
  );
  const lost = new Set(['udp 203.0.113.10:53']);
  const ill = plan(model, { servers: new Map(), lost }, undefined, well.slots);
  assert.equal(
    ill.snapshot.services[0]?.servers.map(({ up, weight, slot }) => ({ up, weight, slot })),
    [
      { up: false, weight: 1, slot: 0 },
      { up: true, weight: 1, slot: 1 },
    ],
  );
  assert.equal(ill.taken.servers, []);
});

test('an address that follows a VRRP role is answered for by its master alone, and its service says so', () => {
  const model = modelOf(WEB);
  const [{ listen }] = model.services as [ServiceModel];
  const role = (ours: boolean) => ({
    addresses: new Map([[listen.address, { ours, port: 0, mac: undefined, accepted: true }]]),
  });
  const all = plan(model).snapshot;
  const master = plan(model, undefined, role(true)).snapshot;
  const backup = plan(model, undefined, role(false)).snapshot;
  assert.is(all.services[0]?.role, 'none');
  assert.is(master.services[0]?.role, 'active');
  assert.is(backup.services[0]?.role, 'standby');
  const texts = (list: readonly Uint8Array[]) => list.map(String);
  assert.not(texts(master.owned).includes(String(toBytes(listen.address))));
  assert.equal(
    texts(master.roleAddresses.map(({ address }) => address)).sort(),
    texts(all.owned)
      .filter((one) => !texts(master.owned).includes(one))
      .sort(),
  );
  assert.equal(
    master.roleAddresses.map(({ address, accepted }) => [String(address), accepted]),
    texts(master.roleAddresses.map(({ address }) => address)).map((one) => [
      one,
      one === String(toBytes(listen.address)),
    ]),
    'a local address that comes along is no program’s',
  );
  assert.equal(backup.roleAddresses, []);
  assert.equal(texts(backup.owned), texts(master.owned));
});

test('plan() changes none of its arguments and gives equal results for equal ones', () => {
  const model = modelOf(WEB + DNS);
  const before = structuredClone(model);
  const first = plan(model);
  const frozen = structuredClone(first.slots);
  const second = plan(model, undefined, undefined, first.slots, new Set([0]));
  assert.equal(model, before);
  assert.equal(first.slots, frozen);
  assert.equal(plan(model), first);
  assert.equal(readable({ ...second.snapshot, generation: 1 }), readable(first.snapshot));
  assert.is(second.snapshot.generation, 2);
});

const server = (n: number) => `{ address: 198.51.100.${n}:80 }`;
const one = (servers: number[], limit = 3) =>
  modelOf(
    `  - { name: web, listen: 203.0.113.10:80, mode: nat, servers: [${servers.map(server).join(', ')}] }\n`,
    `${HEAD}director: { maxServers: ${limit} }\n`,
  );
const slotsOf = ({ snapshot }: Planned) =>
  snapshot.services.flatMap(({ servers }) => servers.map(({ slot }) => slot));
const next = (model: ReturnType<typeof one>, slots: Slots, busy: number[] = []) =>
  plan(model, undefined, undefined, slots, new Set(busy));

test('a server keeps its slot through a reload that reorders, adds and removes', () => {
  const first = plan(one([1 + 10, 12]));
  assert.equal(slotsOf(first), [0, 1]);
  const second = next(one([13, 12]), first.slots);
  assert.equal(slotsOf(second), [2, 1]);
  assert.equal(second.taken.servers, [2]);
});

test('a removed server that returns has its old slot', () => {
  const first = plan(one([11, 12]));
  const second = next(one([12]), first.slots);
  const third = next(one([12, 11]), second.slots);
  assert.equal(slotsOf(third), [1, 0]);
  assert.equal(third.taken.servers, []);
});

test('a slot without connections is reused, but not in the plan that frees it', () => {
  const full = plan(one([11, 12, 13]));
  assert.throws(
    () => next(one([11, 12, 14]), full.slots),
    (error: { code: string; message: string }) =>
      error.code === 'ERR_SLOTS_EXHAUSTED' && error.message.includes('3 servers at once'),
  );
  const fewer = next(one([11, 12]), full.slots);
  const again = next(one([11, 12, 14]), fewer.slots);
  assert.equal(slotsOf(again), [0, 1, 2]);
  assert.equal(again.taken.servers, [2]);
});

test('a slot with connections is not reused', () => {
  const full = plan(one([11, 12, 13]));
  const fewer = next(one([11]), full.slots);
  assert.equal(slotsOf(next(one([11, 14]), fewer.slots, [1])), [0, 2]);
  assert.throws(() => next(one([11, 14]), fewer.slots, [1, 2]), /no slot is left/);
});

test("a removed service's slot is not reused while one of its servers has connections", () => {
  const services = (ports: number[]) =>
    modelOf(
      ports
        .map(
          (port) =>
            `  - { name: s${port}, listen: 203.0.113.10:${port}, mode: nat, servers: [${server(11)}] }\n`,
        )
        .join(''),
      `${HEAD}director: { maxServices: 2 }\n`,
    );
  const both = plan(services([80, 81]));
  const fewer = next(services([80]), both.slots);
  assert.throws(
    () => next(services([80, 82]), fewer.slots, [1]),
    /tcp 203.0.113.10:82: 2 services/,
  );
  const again = next(services([80, 82]), fewer.slots);
  assert.equal(
    again.snapshot.services.map(({ slot }) => slot),
    [0, 1],
  );
});

test('property: slots are unique, stable while wanted, and never taken from a busy server', () => {
  const step = fc.record({
    servers: fc.uniqueArray(fc.integer({ min: 20, max: 31 }), { maxLength: 6 }),
    busy: fc.uniqueArray(fc.nat(7)),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      let slots: Slots = NO_SLOTS;
      let live = new Map<number, number>();
      for (const { servers, busy } of steps) {
        let planned: Planned;
        try {
          planned = next(one(servers, 8), slots, busy);
        } catch (error) {
          assert.is((error as { code: string }).code, 'ERR_SLOTS_EXHAUSTED');
          continue;
        }
        const given = slotsOf(planned);
        assert.is(new Set(given).size, given.length, 'two servers share a slot');
        const owners = new Map(servers.map((name, index) => [name, given[index] as number]));
        for (const [name, slot] of live) {
          if (owners.has(name)) assert.is(owners.get(name), slot, 'a slot moved');
          else assert.not.ok(given.includes(slot), 'a slot was reused in the plan that freed it');
        }
        for (const slot of planned.taken.servers) {
          const known = [...slots.servers.values()].some((entry) => entry.slot === slot);
          assert.not.ok(known && busy.includes(slot), 'a busy slot was given away');
        }
        slots = planned.slots;
        live = owners;
      }
    }),
    { numRuns: 200, seed: 7 },
  );
});

test.run();
