import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseArguments } from '../../bench/arguments.js';
import type { BenchError } from '../../bench/errors.js';
import { type ForwardCase, forward } from '../../bench/scenarios/forward.js';
import { SCENARIOS } from '../../bench/scenarios/index.js';

const parse = (line: string) => parseArguments(line.split(' ').filter(Boolean), ['forward']);

function refused(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.is((error as BenchError).code, 'ERR_BENCH_ARGUMENT');
    return (error as Error).message;
  }
  throw new assert.Assertion({ message: 'nothing was refused' } as never);
}

test('without arguments every scenario, five runs of 0.3 s', () => {
  const { scenarios, filters, runs, milliseconds, json, long } = parse('');
  assert.equal(scenarios, ['forward']);
  assert.equal(filters, {});
  assert.equal([runs, milliseconds, json, long], [5, 300, false, false]);
});

test('--short: a part of the usual selection, three shorter runs', () => {
  const { short, long, runs, milliseconds } = parse('--short');
  assert.equal([short, long, runs, milliseconds], [true, false, 3, 150]);
  assert.is(parse('--short --runs 9').runs, 9);
  const usual = names(cases(''));
  const left = names(forward.short!(cases('')));
  assert.ok(left.length > 0 && left.length < usual.length / 2);
  assert.ok(left.every((name) => usual.includes(name)));
});

test('every scenario has something for --short', () => {
  for (const { name, cases, short } of SCENARIOS) {
    const usual = cases({}, false);
    assert.ok((short?.(usual) ?? usual).length > 0, name);
  }
});

test('filters take lists', () => {
  const { filters, json } = parse('forward --mode dr,tun --flows 1000 --json');
  assert.equal(filters, { mode: ['dr', 'tun'], flows: ['1000'] });
  assert.ok(json);
});

const REFUSED: [line: string, said: RegExp][] = [
  ['backward', /no scenario 'backward': forward/],
  ['--runs none', /--runs none/],
  ['--runs 0', /from 1 on/],
  ['--milliseconds -5', /milliseconds/],
  ['--sideways', /sideways/],
  ['--short --long', /one of them/],
];
for (const [line, said] of REFUSED) {
  test(`refused: ${line}`, () =>
    assert.match(
      refused(() => parse(line)),
      said,
    ));
}

const cases = (line: string) => {
  const { filters, long } = parse(line);
  return forward.cases(filters, long);
};
const names = (found: ForwardCase[]) =>
  found.map(({ mode, protocol, family, flows, bytes, direction }) =>
    [mode, protocol + (family === '6' ? '6' : ''), flows, bytes, direction].join(' '),
  );

test('one value of every dimension is one case', () => {
  const line =
    '--mode fullnat --protocol udp --family 4 --flows 1000000 --bytes 64 --direction request';
  assert.equal(names(cases(line)), ['fullnat udp 1000000 64 request']);
});

test('the usual selection holds every row with a target', () => {
  const usual = names(cases(''));
  assert.is(new Set(usual).size, usual.length);
  for (const what of ['fullnat udp', 'fullnat tcp', 'dr udp', 'tun udp', 'nat udp']) {
    for (const flows of ['1000', '100000', '1000000']) {
      assert.ok(usual.includes(`${what} ${flows} 64 request`), `${what} ${flows}`);
    }
  }
});

test('what the usual selection lacks is taken from the matrix', () => {
  assert.equal(names(cases('--mode dr --flows 5000 --bytes 512 --protocol tcp')), [
    'dr tcp 5000 512 request',
    'dr tcp6 5000 512 request',
  ]);
});

test('no case where the director would see no replies', () => {
  const all = cases('--long');
  assert.is(all.length, (2 * (2 * 3 + 3) - 1) * 2 * 4 * 4);
  assert.not.ok(all.some(({ mode, direction }) => mode === 'dr' && direction !== 'request'));
});

const UNKNOWN: [line: string, said: RegExp][] = [
  ['--mode bridge', /--mode bridge: nat, dr, tun, fullnat, enat/],
  ['--family 5', /--family 5: 4, 6/],
  ['--flows 0', /--flows 0: a number/],
  ['--flows 1e6', /a number/],
  ['--bytes 65', /64, 512, 1500, imix/],
];
for (const [line, said] of UNKNOWN) {
  test(`no such case: ${line}`, () =>
    assert.match(
      refused(() => cases(line)),
      said,
    ));
}

test.run();
