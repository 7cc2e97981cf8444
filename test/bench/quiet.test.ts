// Which runs count: by their floors alone.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Again } from '../../bench/again.js';
import type { NativeHost, NativeRun } from '../../bench/native.js';
import { type Paired, Quiet } from '../../bench/quiet.js';
import type { Results } from '../../bench/scenario.js';

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
  const calm = { kind: 'kind', floorNs: 16.1, lowestNs: 15, leftOut: 0, disturbed: 0 };
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
  const calm = { kind: 'kind', floorNs: 15.5, lowestNs: 15, leftOut: 2, disturbed: 0 };
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
  const calm = { kind: 'kind', floorNs: 20, lowestNs: 15, leftOut: 6, disturbed: 2 };
  assert.equal(chosen, { ns: [60, 60], asked: 4, offered: 8, calm });
});

test('runs that are too short to tell are not measured again', async () => {
  const chosen = await choose(new Quiet(), { runs: 2, milliseconds: 5 }, [
    [15, 40],
    [30, 20],
  ]);
  assert.equal(chosen.asked, 1);
  assert.is(chosen.calm.leftOut, 0);
  assert.is(chosen.calm.disturbed, 1);
});

test('again: what is quiet and of the same dataplane stays, else the quieter floor does', () => {
  const where = {
    commit: 'new',
    native: 'same',
    date: '',
    cpu: '',
    cores: 2,
    kernel: '',
    hugepages: 0,
  };
  const calm = (floorNs: number, lowestNs = 15) => ({
    circumstances: { calm: { kind: 'kind', floorNs, lowestNs, leftOut: 0, disturbed: 0 } },
  });
  const other = { commit: 'old', native: 'other', date: '' };
  const kept: Results<unknown> = {
    environment: { ...where, commit: 'old' },
    selection: 'usual',
    cases: [
      { name: 'steady', result: 1, ...calm(16) },
      { name: 'noisy', result: 2, ...calm(17) },
      { name: 'of another dataplane', result: 3, ...calm(15), measured: other },
      { name: 'without a floor', result: 4, circumstances: {} },
      { result: 5, circumstances: {} },
    ],
  };
  const again = new Again(kept, where, new Quiet());
  assert.is(again.steady('steady')?.result, 1);
  assert.is(again.steady('without a floor')?.result, 4);
  for (const name of ['noisy', 'of another dataplane', 'never measured']) {
    assert.is(again.steady(name), undefined, name);
  }
  const keeps = again.better('noisy', { result: 20, ...calm(18) });
  assert.equal([keeps.result, keeps.measured?.commit], [2, 'old']);
  const takes = again.better('noisy', { result: 20, ...calm(16.9) });
  assert.equal([takes.result, takes.measured?.commit], [20, 'new']);
  assert.is(again.better('of another dataplane', { result: 30, ...calm(25) }).result, 30);
});

test('again: a floor that is lower than all before makes what was quiet noisy', () => {
  const quiet = new Quiet();
  const calm = { kind: 'kind', floorNs: 16, lowestNs: 15, leftOut: 0, disturbed: 0 };
  assert.ok(quiet.isQuiet(calm));
  quiet.learn({ ...calm, lowestNs: 14 });
  assert.not(quiet.isQuiet(calm));
});

test.run();
