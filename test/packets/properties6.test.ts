/** Random IPv6 flows: engine and dumb model agree on every byte that leaves. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { differ } from '../support/duo.js';
import { Model6, type Sent } from '../support/model/model6.js';
import * as p from '../support/packet.js';
import { Bench, type BenchOptions } from '../support/replay.js';
import { fromBack, fromFront } from '../support/table.js';
import { yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const SERVERS = 3;

const sent: fc.Arbitrary<Sent> = fc
  .record({
    way: fc.constantFrom('nat', 'dr', 'tun', 'fullnat'),
    protocol: fc.constantFrom('tcp', 'udp'),
    reply: fc.boolean(),
    host: fc.integer({ min: 1, max: 3 }),
    port: fc.integer({ min: 1024, max: 1027 }),
    flags: fc.constantFrom('S', 'A', 'PA'),
    hops: fc.constantFrom(1, 2, 64, 255),
    trafficClass: fc.integer({ min: 0, max: 255 }),
    length: fc.integer({ min: 0, max: 300 }),
    options: fc.boolean(),
  })
  .map(({ host, port, length, flags, ...rest }) => ({
    ...rest,
    flags: rest.reply && flags === 'S' ? 'SA' : flags,
    client: `[2001:db8:c::${host}]:${port}`,
    payload: p.pattern(length),
  })) as fc.Arbitrary<Sent>;

function agree(all: Sent[], options: BenchOptions): void {
  const bench = new Bench(yamlWorld(yaml6({ servers: SERVERS })), options);
  const model = new Model6(SERVERS);
  try {
    all.forEach((one, at) => {
      const frame = model.arriving(one);
      if (!frame) return;
      const [step] = bench.run([one.reply ? fromBack(frame) : fromFront(frame)], at);
      const expected = model.step(one, () => {
        const [client] = /^\[(.+)\]/.exec(one.client)!.slice(1);
        const found = bench
          .connections()
          .find(
            (c) =>
              c.mode === 'fullnat' &&
              c.protocol === one.protocol &&
              `[${c.client}]:${c.clientPort}` === one.client,
          );
        assert.ok(found, `${client} has no connection`);
        const taken = [...model.connections.entries()].filter(
          ([key, { local }]) =>
            key.startsWith(`fullnat ${one.protocol}`) &&
            local === `[${found.local}]:${found.localPort}`,
        );
        assert.ok(found.localPort >= 1024);
        // One port may lead to several servers, and to one of them once.
        const server = model.connections.get(model.key(one))!.server;
        assert.ok(taken.every(([, c]) => c.server !== server));
        return `[${found.local}]:${found.localPort}`;
      });
      assert.is(step!.end, expected.end, JSON.stringify(one));
      if (!expected.frame) return;
      assert.is(step!.outputs.length, 1);
      assert.is(step!.outputs[0]!.port, expected.port);
      assert.equal(differ(step!.outputs[0]!.bytes, expected.frame), []);
    });
    assert.is(bench.connections().length, model.connections.size);
    assert.equal(bench.invariants(), []);
  } finally {
    bench.close();
  }
}

test('random IPv6 flows: engine and model agree', () => {
  fc.assert(
    fc.property(fc.array(sent, { minLength: 1, maxLength: 40 }), (all) => agree(all, {})),
    { numRuns: 60, seed: 20260101, endOnFailure: true },
  );
});

test.run();
