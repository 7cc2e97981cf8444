/** PCRE2's patterns in JavaScript's words: the same bodies match, from the same place on. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { REGEX_OPTIONS } from '../../../src/config/keepalived/keywords/checks.js';
import {
  flagsOf,
  hasOption,
  needsEndOnly,
  translated,
} from '../../../src/config/keepalived/regex.js';
import { skip } from '../../support/skip.js';

const BODIES = [
  '',
  'ok',
  'ok\n',
  'ok\n\n',
  'x\nok\ny\n',
  'OK',
  'a]c',
  'a b',
  'ab',
  'aa1',
  '\\d',
  'o\nk',
];

/** Pattern and options by keepalived's names; PCRE is asked by Perl, whose letters are `letters`. */
const PATTERNS: [pattern: string, options: string[], letters: string][] = [
  ['^ok$', [], ''],
  ['ok$', ['caseless'], 'i'],
  ['o.k$', ['dotall'], 's'],
  ['\\Aok', [], ''],
  ['ok\\Z', [], ''],
  ['ok\\z', [], ''],
  ['a[]b]c', [], ''],
  ['[^]b]', [], ''],
  ['[$a]', [], ''],
  ['\\$', [], ''],
  ['a b # both\n$', ['extended'], 'x'],
  ['(a)\\1 1', ['extended'], 'x'],
  ['a [ ] b', ['extended'], 'x'],
  ['a\\ b', ['extended'], 'x'],
  ['o +k', ['extended'], 'x'],
  ['a\\hb', [], ''],
  ['a[\\h]b', [], ''],
  ['\\\\d$', [], ''],
];

const perl = spawnSync('perl', ['-v']).status === 0;
for (const [pattern, options, letters] of PATTERNS) {
  test(`${JSON.stringify(pattern)} ${options.join(' ')}`, () => {
    const { pattern: ours, unknown } = translated(pattern, options);
    assert.equal(unknown, []);
    const expression = new RegExp(ours, flagsOf(options));
    const found = BODIES.map((body) => expression.exec(body)?.index ?? -1);
    // Read and written again it is the same.
    const again = needsEndOnly(ours, flagsOf(options)) ? ['dollar_endonly'] : [];
    assert.is(translated(ours, again).pattern, ours);
    if (!perl) return skip('patterns', 'there is no perl');
    const script = 'my $p = shift; print join(",", map { /$p/ ? $-[0] : -1 } @ARGV)';
    const argv = ['-e', script, letters === '' ? pattern : `(?${letters})${pattern}`, ...BODIES];
    const { stdout } = spawnSync('perl', argv, { encoding: 'utf8' });
    assert.is(found.join(), stdout, `as ${ours}`);
  });
}

test('only the end counts where that is asked for', () => {
  const { pattern } = translated('ok$', ['dollar_endonly']);
  assert.equal(BODIES.map((body) => new RegExp(pattern).test(body)).indexOf(true), 1);
  assert.not.ok(new RegExp(pattern).test('ok\n'));
});

test('what there is nothing for is named', () => {
  for (const [pattern, options, unknown] of [
    ['a\\Kb', [], '\\K'],
    ['[[:alpha:]]', [], '[:alpha:]'],
    ['\\Rx', [], '\\R'],
    ['(a+)\\1', ['ungreedy'], 'ungreedy and a back reference'],
  ] as [string, string[], string][]) {
    assert.equal(translated(pattern, options).unknown, [unknown]);
  }
  assert.equal(translated('a+', ['ungreedy']).unknown, []);
  const refused = REGEX_OPTIONS.filter((option) => !hasOption(option));
  assert.equal(refused, ['firstline']);
});

test.run();
