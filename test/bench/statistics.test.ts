import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mad, median, round } from '../../bench/statistics.js';

const CASES: [sentence: string, values: number[], median: number, mad: number][] = [
  ['one value is its own median', [7], 7, 0],
  ['of two values the mean', [1, 2], 1.5, 0.5],
  ['order does not matter', [9, 1, 5], 5, 4],
  ['an even number: between the middle two', [4, 1, 3, 2], 2.5, 1],
  ['equal values do not deviate', [3, 3, 3, 3], 3, 0],
  ['one outlier moves neither', [10, 11, 12, 13, 1000], 12, 1],
  ['half of the values far away: the deviation says so', [1, 1, 10, 10], 5.5, 4.5],
  ['negative values and fractions', [-1.5, 0.25, 4], 0.25, 1.75],
];

for (const [sentence, values, middle, deviation] of CASES) {
  test(sentence, () => {
    const before = [...values];
    assert.is(median(values), middle);
    assert.is(mad(values), deviation);
    assert.equal(values, before, 'its argument is left alone');
  });
}

test('nothing measured is not a number', () => {
  assert.ok(Number.isNaN(median([])));
  assert.ok(Number.isNaN(mad([])));
});

test('figures are rounded, not cut', () => {
  assert.is(round(31.459, 1), 31.5);
  assert.is(round(2, 2), 2);
});

test.run();
