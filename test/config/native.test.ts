/** What `check` passes is published: the dataplane refuses nothing that had no finding with a place. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { editRequest } from '../../src/api/requests.js';
import { type Loaded, parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import { recheck } from '../../src/config/recheck.js';
import { limits, replayPorts } from '../../src/engine-options.js';
import { ConfigError } from '../../src/errors.js';
import { type Edit, editModel } from '../../src/model-edit.js';
import { MODES, native, type Replay, SCHEDULERS } from '../../src/native.js';
import { plan, type Role } from '../../src/plan.js';
import { encodeSnapshot } from '../../src/snapshot.js';

const PORTS = [
  { name: 'front', mac: '02:00:00:00:01:01', addresses: ['192.0.2.1/24', '2001:db8:1::1/64'] },
  { name: 'back', mac: '02:00:00:00:01:02', addresses: ['198.51.100.1/24', '2001:db8:2::1/64'] },
];
const PROTOCOLS = ['tcp', 'udp', 'sctp'] as const;

/** Good ones, and those at the edges of what is one. */
const addresses = {
  four: ['203.0.113.10', '203.0.113.11', '198.51.100.11', '198.51.100.12', '0.0.0.1', '224.0.0.9'],
  six: ['2001:db8:f::10', '2001:db8:f::11', '2001:db8:2::11', '::1', '::', 'fe80::7', 'ff02::1'],
};
const address = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...addresses.four) },
  { weight: 6, arbitrary: fc.constantFrom(...addresses.six) },
  fc.constantFrom('::ffff:203.0.113.10', '0.0.0.0', '255.255.255.255', '64:ff9b::1'),
);
const port = fc.constantFrom(0, 21, 80, 8080, 65_535);
const text = (one: string, at: number) => (one.includes(':') ? `[${one}]:${at}` : `${one}:${at}`);
const end = fc.tuple(address, port).map(([one, at]) => text(one, at));
const some = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const mode = fc.constantFrom(...MODES);
const tunnel = fc.constantFrom(
  undefined,
  { type: 'ipip' },
  { type: 'gre' },
  { type: 'gre', checksum: 'on' },
  { type: 'gue', port: 6080 },
  { type: 'gue' },
);
const weight = fc.constantFrom(0, 1, 7, 65_535);
/** Mostly what goes together, so that many files are good ones. */
const ENDS = {
  4: { vip: '203.0.113.10', server: ['198.51.100.11', '198.51.100.12'], lip: '198.51.100.200' },
  6: { vip: '2001:db8:f::10', server: ['2001:db8:2::11', '2001:db8:2::12'], lip: '2001:db8:2::f0' },
} as const;
const mostly = <T>(good: fc.Arbitrary<T>, any: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 20, arbitrary: good }, any);
const service = fc.constantFrom(4 as const, 6 as const).chain((family) => {
  const { vip, server: hosts, lip } = ENDS[family];
  const at = fc.constantFrom(80, 8080);
  const target = mostly(
    fc.tuple(fc.constantFrom(...hosts), at).map(([one, to]) => text(one, to)),
    end,
  );
  const server = fc.record({
    address: target,
    weight,
    mode: mostly(fc.constant(undefined), mode),
    tunnel: mostly(fc.constant(undefined), tunnel),
  });
  return fc.record({
    listen: mostly(
      at.map((to) => text(vip, to)),
      end,
    ),
    mark: mostly(fc.constant(undefined), fc.constantFrom(1, 5, 0xffff_ffff)),
    family: mostly(fc.constant(undefined), fc.constantFrom('ipv4', 'ipv6')),
    protocol: fc.constantFrom(undefined, ...PROTOCOLS),
    mode,
    tunnel: mostly(fc.constant(undefined), tunnel),
    scheduler: fc.constantFrom(...SCHEDULERS),
    onePacket: mostly(fc.constant(undefined), fc.boolean()),
    persistence: fc.constantFrom<unknown>(
      ...[undefined, '5m', { timeout: '1s', netmask: 24 }, { timeout: '1h', netmask: 64 }],
      ...[
        { timeout: '1h', netmask: '255.0.255.0' },
        { timeout: '1h', engine: 'sip' },
      ],
    ),
    localAddresses: mostly<unknown>(fc.constant([lip]), some(fc.array(address, { maxLength: 2 }))),
    servers: fc.uniqueArray(server, { maxLength: 2, selector: (one) => one.address }),
    health: mostly<unknown>(
      fc.constant(undefined),
      fc.record({ sorryServer: fc.record({ address: target, mode: some(mode) }) }),
    ),
  });
});
const seldom = <T>(of: fc.Arbitrary<T>, limits: { maxLength: number }) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant<T[]>([]) }, fc.array(of, limits));
const net = fc.constantFrom(
  '0.0.0.0/0',
  '203.0.113.0/24',
  '198.51.100.11/32',
  '2001:db8:f::/48',
  '::/0',
  '::1/128',
);
const file = fc
  .record({
    ports: fc.constant(PORTS),
    routes: seldom(
      fc.record({
        to: net,
        via: some(fc.constantFrom('192.0.2.254', '2001:db8:1::fe', 'fe80::1', '198.51.100.254')),
        port: some(fc.constantFrom('front', 'back')),
      }),
      { maxLength: 2 },
    ),
    neighbours: seldom(
      fc.record({
        address,
        mac: fc.constant('02:00:00:00:02:01'),
        port: some(fc.constantFrom('front', 'back')),
      }),
      { maxLength: 2 },
    ),
    marks: seldom(
      fc.record({
        mark: fc.constantFrom(1, 5),
        to: net,
        from: some(net),
        protocol: some(fc.constantFrom(...PROTOCOLS)),
      }),
      { maxLength: 2 },
    ),
    services: fc.array(service, { minLength: 1, maxLength: 2 }),
  })
  .map((data) => {
    const all = JSON.parse(JSON.stringify(data));
    all.services = all.services.map((one: object, n: number) => ({ name: `s${n}`, ...one }));
    return all;
  });

let replay: Replay | undefined;

/** What a director would publish of it, now and in another role. */
function publish({ model, locate }: Pick<Loaded, 'locate'> & { model: Model }): void {
  const ports = replayPorts(model, (index) => locate(['ports', index]));
  // One for all: the same ports and limits each time.
  replay ??= native().createReplay({ ports, limits: limits(model), seed: 1, burst: 1 });
  const addresses = new Map(
    model.services.map(({ listen }) => [
      listen.address,
      { ours: false, port: 0, mac: undefined, accepted: false },
    ]),
  );
  const away: Role = { addresses };
  const lost = {
    servers: new Map(),
    lost: new Set(
      model.services.map(
        ({ protocol, listen }) => `${protocol} ${text(listen.address, listen.port)}`,
      ),
    ),
  };
  const first = plan(model);
  replay.publish(encodeSnapshot(first.snapshot));
  const second = plan(model, lost, away, first.slots);
  replay.publish(encodeSnapshot(second.snapshot));
}

function passes(data: object): Loaded | undefined {
  try {
    return parseConfig(stringify(data), 'any.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

test('property: what passes check is published', () => {
  let good = 0;
  fc.assert(
    fc.property(file, (data) => {
      const loaded = passes(data);
      if (!loaded) return;
      good++;
      publish(loaded);
    }),
    { numRuns: Number(process.env.RUNS ?? 300), seed: 1, includeErrorInReport: true },
  );
  assert.ok(good > 50, `${good} good ones`);
});

test('property: so is what edits make of it', () => {
  const loaded = parseConfig(
    stringify({
      ports: PORTS,
      marks: [{ mark: 5, to: '203.0.113.11', ports: '80' }],
      services: [],
    }),
    'any.yaml',
  );
  const place = {
    protocol: fc.constantFrom(...PROTOCOLS, 'fwmark' as const),
    listen: fc.record({ address, port }),
  };
  const id = fc.record(place);
  const settings = fc.record({
    scheduler: fc.constantFrom(...SCHEDULERS),
    schedulePort: fc.boolean(),
    scheduleFallback: fc.boolean(),
    onePacket: fc.boolean(),
    persistence: fc.constantFrom(
      null,
      ...['255.255.255.255', '255.0.255.0', '64', '128', '0', '0.0.0.0'].flatMap((netmask) =>
        [null, 'sip' as const].map((engine) => ({
          timeoutS: 300,
          netmask,
          engine,
          whenDrained: 'stay' as const,
        })),
      ),
    ),
  });
  const of = fc.record({
    mode,
    weight,
    upperThreshold: fc.constant(0),
    lowerThreshold: fc.constant(0),
  });
  const edit: fc.Arbitrary<Edit> = fc.oneof(
    fc.record({ edit: fc.constant('addService' as const), service: id, settings }),
    fc.record({
      edit: fc.constant('addServer' as const),
      service: id,
      server: fc.record({ address, port }),
      settings: of,
    }),
    fc.record({ edit: fc.constant('addLocalAddress' as const), service: id, address }),
  );
  let made = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: 3, maxLength: 12 }), id, (all, one) => {
      // All to the same service, as most would find none.
      const edits = all.map((each) => ({ ...each, service: one }));
      let model = loaded.model;
      for (const each of edits) {
        // What the API does not take never comes so far.
        if (!editRequest.safeParse({ cause: 'test', edits: [each] }).success) continue;
        const { model: next, refusals } = editModel(model, [each]);
        if (refusals[0] || recheck(next, model).length > 0) continue;
        model = next;
        made++;
      }
      publish({ ...loaded, model });
    }),
    { numRuns: Number(process.env.RUNS ?? 200), seed: 2, includeErrorInReport: true },
  );
  assert.ok(made > 50, `${made} edits`);
});

test.run();
