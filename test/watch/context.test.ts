/** Names and places of what the workers know by number, in a configuration of some size. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { editModel } from '../../src/model-edit.js';
import { plan } from '../../src/plan.js';
import { namesOf } from '../../src/watch/context.js';

const COUNT = 300;
const HEAD = `ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [198.51.0.1/16] }
services:
`;
const FIRST_LINE = HEAD.split('\n').length;
/** Five lines each. */
const service = (n: number) => `  - name: s${n}
    listen: 203.0.113.${n % 200}:${1_000 + n}
    mode: nat
    servers:
      - { address: 198.51.${100 + (n >> 7)}.${1 + (n & 127)}:80 }
`;
const TEXT = HEAD + Array.from({ length: COUNT }, (_, n) => service(n)).join('');

const NONE = { offset: 0, stride: 0, count: 0, names: [] };
const LAYOUT = {
  workers: 1,
  ends: NONE,
  endInfo: [],
  extra: NONE,
};

test('places are looked up when they are asked for, not for every server there is', () => {
  const loaded = parseConfig(TEXT, 'big.yaml');
  let asked = 0;
  const locate = (path: Parameters<typeof loaded.locate>[0]) => {
    asked++;
    return loaded.locate(path);
  };
  const id = { protocol: 'tcp' as const, listen: { address: '203.0.113.7', port: 1_007 } };
  const settings = { mode: 'nat', weight: 1, upperThreshold: 0, lowerThreshold: 0 } as const;
  const { model, refusals } = editModel(loaded.model, [
    { edit: 'addServer', service: id, server: { address: '198.51.100.200', port: 80 }, settings },
  ]);
  assert.equal(refusals, [null]);
  const planned = plan(model);
  const names = namesOf(LAYOUT, { model, planned, loaded: { ...loaded, locate } });
  assert.is(asked, 0);
  const last = planned.snapshot.services[COUNT - 1]!;
  assert.equal(names.server(last.servers[0]!.slot), {
    server: `198.51.102.${1 + ((COUNT - 1) & 127)}:80`,
    mode: 'nat',
    place: { file: 'big.yaml', line: FIRST_LINE + 5 * COUNT - 1, column: 9 },
  });
  assert.is(names.service(last.slot)?.model.name, `s${COUNT - 1}`);
  assert.is(names.service(last.slot)?.locate('mode')?.line, FIRST_LINE + 5 * (COUNT - 1) + 2);
  assert.is(names.serviceAt('203.0.113.7')?.model.name, 's7');
  assert.is(asked, 2);
  // What was added at run time has no place.
  const added = planned.snapshot.services[7]?.servers[1];
  assert.equal(names.server(added?.slot), {
    server: '198.51.100.200:80',
    mode: 'nat',
    place: undefined,
  });
  assert.is(names.server(1_000_000), undefined);
  assert.is(names.service(undefined), undefined);
  assert.is(names.serviceAt('192.0.2.99'), undefined);
});

test.run();
