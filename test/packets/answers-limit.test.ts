/** How many resets and ICMP errors a worker makes, of both families together. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { Bench } from '../support/replay.js';
import { fromFront } from '../support/table.js';
import { CIP6, VIPS, yaml6 } from '../support/world6.js';
import { yamlWorld } from '../support/yaml.js';

const benchOf = (rate: number) =>
  new Bench(
    yamlWorld(yaml6().replace('{ hugepages: false }', `{ hugepages: false, answerRate: ${rate} }`)),
  );
const syn = (port: number) =>
  fromFront(q.tcp6({ from: `[${CIP6}]:${port}`, to: `[${VIPS.nat}]:9`, flags: 'A' }));
const query = (port: number) =>
  fromFront(q.udp6({ from: `[${CIP6}]:${port}`, to: `[${VIPS.nat}]:9`, payload: p.pattern(8) }));

function answers(bench: Bench, atMs: number, count: number): number {
  const frames = Array.from({ length: count }, (_, n) => (n % 2 === 0 ? syn : query)(2_000 + n));
  const ends = bench.run(frames, atMs).map(({ end }) => end);
  const made = ends.filter((end) => end.startsWith('answered_')).length;
  assert.is(made + ends.filter((end) => end === 'answer_limited').length, count);
  return made;
}

test('a tenth of a second’s at once, and as many as time brings', () => {
  const bench = benchOf(100);
  assert.is(answers(bench, 0, 50), 10);
  assert.is(answers(bench, 20, 50), 2);
  assert.is(answers(bench, 25, 50), 0);
  assert.is(answers(bench, 30, 50), 1);
  assert.is(answers(bench, 5_000, 50), 10);
  assert.is(bench.counters().ends.answer_limited, 227);
  assert.equal(bench.invariants(), []);
  bench.close();
});

test('less than one in a tenth of a second is one at a time; 0 is no limit', () => {
  const slow = benchOf(1);
  assert.is(answers(slow, 0, 10), 1);
  assert.is(answers(slow, 900, 10), 0);
  assert.is(answers(slow, 1_000, 10), 1);
  slow.close();
  const free = benchOf(0);
  assert.is(answers(free, 0, 5_000), 5_000);
  free.close();
});

test('echo and Neighbour Discovery are answered all the same', () => {
  const bench = benchOf(1);
  assert.is(answers(bench, 0, 10), 1);
  const ping = q.icmp6({ from: CIP6, to: VIPS.nat, type: 128 });
  const asked = q.solicitation({ from: CIP6, to: VIPS.nat, target: VIPS.nat });
  assert.equal(
    bench.run([fromFront(ping), fromFront(asked)], 0).map(({ end }) => end),
    ['answered_echo', 'answered_neighbour'],
  );
  bench.close();
});

test.run();
