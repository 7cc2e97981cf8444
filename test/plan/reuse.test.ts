/** What a plan takes over from the one before changes its cost, and nothing else. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sharing } from '../../src/changes/sharing.js';
import { parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import {
  ALL_UP,
  type Health,
  NO_SLOTS,
  type Planned,
  plan,
  type Role,
  type Slots,
  SOLE,
} from '../../src/plan.js';
import { sameData } from '../../src/same-data.js';
import { encodeSnapshot } from '../../src/snapshot.js';

const SERVICE = fc.record({
  port: fc.integer({ min: 80, max: 84 }),
  protocol: fc.constantFrom('tcp', 'udp'),
  mode: fc.constantFrom('nat', 'dr', 'fullnat'),
  scheduler: fc.constantFrom('rr', 'mh'),
  locals: fc.uniqueArray(fc.integer({ min: 200, max: 203 }), { minLength: 1, maxLength: 3 }),
  sorry: fc.option(fc.integer({ min: 20, max: 23 })),
  servers: fc.uniqueArray(
    fc.record({
      host: fc.integer({ min: 20, max: 25 }),
      weight: fc.integer({ min: 0, max: 2 }),
      upper: fc.constantFrom(0, 9),
      up: fc.boolean(),
    }),
    { selector: ({ host }) => host, maxLength: 5 },
  ),
  lost: fc.boolean(),
});
const CONFIG = fc.uniqueArray(SERVICE, {
  selector: ({ port, protocol }) => `${protocol} ${port}`,
  maxLength: 4,
});
type Config = typeof CONFIG extends fc.Arbitrary<infer T> ? T : never;

const EMPTY = parseConfig(
  `ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24, 198.51.100.1/24] }]
services: [{ name: x, listen: 203.0.113.10:80, mode: nat, servers: [{ address: 198.51.100.20:80 }] }]`,
  'director.yaml',
).model;
const [PLAIN] = EMPTY.services as [Model['services'][number]];
const [SERVER] = PLAIN.servers as [Model['services'][number]['servers'][number]];

function modelOf(config: Config): Model {
  const services = config.map(({ port, protocol, mode, scheduler, locals, sorry, servers }) => ({
    ...PLAIN,
    name: `s${protocol}${port}`,
    listen: { address: '203.0.113.10', port },
    protocol: protocol as 'tcp' | 'udp',
    mode,
    scheduler,
    localAddresses: locals.map((n) => `198.51.100.${n}`),
    servers: servers.map(({ host, weight, upper }) => ({
      ...SERVER,
      address: { address: `198.51.100.${host}`, port },
      mode,
      weight,
      upperThreshold: upper,
    })),
    health: {
      ...PLAIN.health,
      sorryServer:
        sorry === null
          ? undefined
          : { address: { address: `198.51.100.${sorry}`, port }, mode: 'nat' as const },
    },
  }));
  return { ...EMPTY, services };
}

function healthOf(config: Config): Health {
  const key = ({ protocol, port }: Config[number]) => `${protocol} 203.0.113.10:${port}`;
  const down = config.flatMap((service) =>
    service.servers
      .filter(({ up }) => !up)
      .map(({ host, weight }): [string, { up: boolean; weight: number }] => [
        `${key(service)} 198.51.100.${host}:${service.port}`,
        { up: false, weight },
      ]),
  );
  return { servers: new Map(down), lost: new Set(config.filter(({ lost }) => lost).map(key)) };
}

/** The same slots, and parts that nothing can be taken over from. */
const forgetful = (slots: Slots): Slots => ({
  ...slots,
  parts: slots.parts.map((part) => ({ ...part, key: '', address: '' })),
});

test('property: a plan that takes over equals one that does not', () => {
  fc.assert(
    fc.property(fc.array(CONFIG, { minLength: 2, maxLength: 6 }), (configs) => {
      let last: Planned = plan(EMPTY);
      let before = EMPTY;
      for (const config of configs) {
        // Of a running director all that has not changed is the same object again.
        const model = sharing(modelOf(config), before);
        before = model;
        const health = healthOf(config);
        const next = plan(model, health, undefined, last.slots);
        const anew = plan(model, health, undefined, forgetful(last.slots));
        assert.equal(next.snapshot, anew.snapshot);
        assert.equal(next.taken, anew.taken);
        assert.equal(next.warnings, anew.warnings);
        const entries = ({ slots }: Planned) => [
          [...slots.services].sort(),
          [...slots.servers].sort(),
        ];
        assert.equal(entries(next), entries(anew));
        assert.equal(next.slots.parts, anew.slots.parts);
        assert.equal(encodeSnapshot(next.snapshot), encodeSnapshot(anew.snapshot));
        last = next;
      }
    }),
    { numRuns: 300, seed: 11 },
  );
});

const WEB: Config = ['tcp', 'udp'].map((protocol) => ({
  port: 80,
  protocol,
  mode: 'fullnat',
  scheduler: 'rr',
  locals: [200],
  sorry: null,
  servers: [20, 21].map((host) => ({ host, weight: 1, upper: 0, up: true })),
  lost: false,
})) as Config;

test('what a change leaves alone is the same object again, of a model made anew too', () => {
  const first = plan(modelOf(WEB));
  const model = modelOf(WEB);
  model.services[1]!.servers[0]!.weight = 7;
  const second = plan(model, ALL_UP, undefined, first.slots);
  assert.is(second.snapshot.services[0], first.snapshot.services[0]);
  assert.is.not(second.snapshot.services[1], first.snapshot.services[1]);
  assert.is(second.snapshot.services[1]?.servers[1], first.snapshot.services[1]?.servers[1]);
  assert.is(second.slots.servers, first.slots.servers);
});

test('a service that is the same object is looked at again where its surroundings have changed', () => {
  const model = modelOf(WEB.map((one) => ({ ...one, sorry: 22 })));
  const [web] = model.services;
  const key = 'tcp 203.0.113.10:80';
  const down = new Map([[`${key} 198.51.100.20:80`, { up: false, weight: 1 }]]);
  const role = {
    addresses: new Map([
      ['203.0.113.10', { ours: false, port: 0, mac: undefined, accepted: false }],
    ]),
  };
  let last = plan(model, ALL_UP, undefined, NO_SLOTS);
  const steps: [health: Health, role: Role][] = [
    [{ servers: down, lost: new Set() }, SOLE],
    [{ servers: down, lost: new Set([key]) }, SOLE],
    [{ servers: new Map(), lost: new Set([key]) }, SOLE],
    [ALL_UP, SOLE],
    [ALL_UP, role],
    [{ servers: down, lost: new Set() }, role],
    [ALL_UP, SOLE],
  ];
  for (const [health, as] of steps) {
    const next = plan(model, health, as, last.slots);
    assert.is(next.slots.parts[0]?.model, web);
    const anew = plan(model, health, as, forgetful(last.slots));
    assert.equal(next.snapshot, anew.snapshot);
    assert.equal(next.warnings, anew.warnings);
    last = next;
  }
});

const ALIKE: [sentence: string, a: unknown, b: unknown, alike: boolean][] = [
  ['equal scalars', 1, 1, true],
  ['NaN is NaN', Number.NaN, Number.NaN, true],
  ['a number is no text', 1, '1', false],
  ['nothing is not an object', null, {}, false],
  ['nested records', { a: { b: [1, 'x'] } }, { a: { b: [1, 'x'] } }, true],
  ['a record with one key more', { a: 1 }, { a: 1, b: 2 }, false],
  ['a record with one key less', { a: 1, b: 2 }, { a: 1 }, false],
  ['what is undefined might as well not be there', { a: 1 }, { a: 1, b: undefined }, true],
  ['the other way round, too', { a: 1, b: undefined }, { a: 1 }, true],
  ['lists of different length', [1], [1, 2], false],
  ['a list is no record', [], {}, false],
  ['a record is no list', {}, [], false],
  ['bytes', new Uint8Array([1, 2]), new Uint8Array([1, 2]), true],
  ['other bytes', new Uint8Array([1, 2]), new Uint8Array([1, 3]), false],
  ['bytes are no list', new Uint8Array([1]), [1], false],
];
for (const [sentence, a, b, alike] of ALIKE) {
  test(`same data: ${sentence}`, () => assert.is(sameData(a, b), alike));
}

test.run();
