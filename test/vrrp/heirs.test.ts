/** Which backups may take over together without anybody being asked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Machine } from '../../src/vrrp/machine.js';
import { Router } from '../../src/vrrp/router.js';

const MASTER = '192.0.2.9';
const make = (name: string) =>
  new Machine(name, {
    version: 3,
    priority: 100,
    intervalMs: 1000,
    downAdverts: 3,
    preempt: true,
    preemptDelayMs: 0,
    startDelayMs: 0,
    address: '192.0.2.1',
  });

/** Two backups that have heard their masters at these times. */
function pair(a: [at: number, source: string], b: [at: number, source: string]) {
  const router = new Router([make('A'), make('B')], []);
  router.start(0);
  for (const [name, [at, source]] of [
    ['A', a],
    ['B', b],
  ] as const) {
    router.hear(at, name, { source, priority: 200, intervalMs: 1000 });
  }
  return router;
}
const names = (router: Router) => router.heirs?.machines.map(({ name }) => name);
const DOWN_MS = 3000 + (156 * 1000) / 256;

test('those of one master, at the last of their deadlines', () => {
  const router = pair([5, MASTER], [6.5, MASTER]);
  assert.equal(names(router), ['A', 'B']);
  assert.is(router.heirs?.at, 6.5 + DOWN_MS);
  assert.is(router.deadline, 5 + DOWN_MS);
});

test('not of two masters, nor where one of them still spoke', () => {
  assert.is(names(pair([5, MASTER], [5, '192.0.2.8'])), undefined);
  assert.is(names(pair([5, MASTER], [1005, MASTER])), undefined);
});

test('not those that are masters, or in fault', () => {
  const router = pair([5, MASTER], [5, '192.0.2.8']);
  router.setFault(10, 'B', 'port back is down');
  assert.equal(names(router), ['A']);
  router.tick(5 + DOWN_MS);
  assert.is(router.machines.get('A')?.state, 'MASTER');
  assert.is(router.heirs, undefined);
});

test.run();
