// Which runs count: by their floors alone.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NativeHost, NativeRun } from '../../bench/native.js';
import { type Paired, Quiet } from '../../bench/quiet.js';

interface Measured extends Paired, NativeHost {
  offered: number;
}

const run = (ns: number): NativeRun => ({ packets: 1_000, cycles: 1, cpuNs: ns * 1_000 });
const measured = (pairs: [floor: number, director: number][]): Measured => ({
  tscHz: 1e9,
  cpus: [0],
  hugepages: false,
  floor: pairs.map(([floor]) => run(floor)),
  director: pairs.map(([, director]) => run(director)),
  offered: pairs.length,
});
const LONG = { runs: 2, milliseconds: 300 };

async function choose(
  quiet: Quiet,
  options: { runs: number; milliseconds: number },
  ...tries: [number, number][][]
) {
  let asked = 0;
  const result = await quiet.measure('kind', options, ['offered'], async () => {
    const pairs = tries[asked++];
    if (!pairs) throw new Error('measured once too often');
    return measured(pairs);
  });
  const ns = result.director.map(({ cpuNs, packets }) => cpuNs / packets);
  return { ns, asked, offered: result.offered, calm: result.calm };
}

test('quiet runs are taken as they are, and nothing is measured again', async () => {
  const chosen = await choose(new Quiet(), LONG, [
    [15, 40],
    [16.1, 30],
  ]);
  const calm = { leftOut: 0, disturbed: 0 };
  assert.equal(chosen, { ns: [40, 30], asked: 1, offered: 2, calm });
});

test('too few quiet runs: once more, and the lowest floors count, not the lowest figures', async () => {
  const first: [number, number][] = [
    [15, 40],
    [24, 20],
  ];
  const second: [number, number][] = [
    [15.5, 45],
    [25, 10],
  ];
  const chosen = await choose(new Quiet(), LONG, first, second);
  const calm = { leftOut: 2, disturbed: 0 };
  assert.equal(chosen, { ns: [40, 45], asked: 2, offered: 4, calm });
});

test('never quiet: four times, and what counts is said to be disturbed', async () => {
  const quiet = new Quiet();
  await choose(quiet, LONG, [
    [15, 40],
    [15, 40],
  ]);
  const noisy: [number, number][] = [
    [22, 50],
    [20, 60],
  ];
  const chosen = await choose(quiet, LONG, noisy, noisy, noisy, noisy);
  const calm = { leftOut: 6, disturbed: 2 };
  assert.equal(chosen, { ns: [60, 60], asked: 4, offered: 8, calm });
});

test('runs that are too short to tell are not measured again', async () => {
  const chosen = await choose(new Quiet(), { runs: 2, milliseconds: 5 }, [
    [15, 40],
    [30, 20],
  ]);
  assert.equal(chosen.asked, 1);
  assert.equal(chosen.calm, { leftOut: 0, disturbed: 1 });
});

test.run();
