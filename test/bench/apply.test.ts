// Publications for real, tiny: that packets go on and the accounts hold, not how long it takes.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { apply, run, yamlOf } from '../../bench/scenarios/apply.js';
import { parseConfig } from '../../src/config/load.js';

for (const [services, scheduler] of [
  [1, 'wrr'],
  [10, 'mh'],
] as const) {
  test(`${services} services, ${scheduler}: weights change and no packet is lost`, async () => {
    const { result, circumstances } = await run(
      { services, servers: 50, scheduler },
      { runs: 2, cpus: undefined },
    );
    assert.equal(Object.keys(result), [
      'scenario',
      'services',
      'servers',
      'scheduler',
      'publishMs',
      'madMs',
      'planMs',
      'encodeMs',
      'nativeMs',
      'diffMs',
      'firstMs',
      'configMs',
      'gapUs',
      'calmGapUs',
      'lost',
      'runs',
      'offered',
      'accounted',
    ]);
    assert.is(result.lost, 0);
    assert.ok(result.offered > 10_000);
    assert.is(result.accounted, result.offered);
    assert.ok(result.publishMs > 0 && result.gapUs > 0);
    assert.is(circumstances.cpus?.length, 1);
  });
}

test('the configuration has as many services and servers as it says, and nothing to warn of', () => {
  const { model, warnings } = parseConfig(
    yamlOf({ services: 300, servers: 1_000, scheduler: 'rr' }),
    'bench.yaml',
  );
  assert.equal(warnings, []);
  assert.is(model.services.length, 300);
  assert.is(model.services.flatMap(({ servers }) => servers).length, 1_000);
});

test('the row of the target table is that of 10 K services', () => {
  const cases = apply.cases({}, false);
  assert.ok(cases.some((one) => apply.describe(one).startsWith('10 000 services, 100 000')));
});

test.run();
