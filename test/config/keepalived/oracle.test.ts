/** The same files to `keepalived -t` and to Sluice: the same verdict, about the same lines. */
// timeout: 300
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseKeepalived } from '../../../src/config/keepalived/parse.js';
import { formatProblem, type Problem } from '../../../src/errors.js';
import { skip } from '../../support/skip.js';
import { GOOD, MUTATIONS } from './mutations.js';
import { ask, hasOracle, samples, type Verdict } from './oracle.js';

const oracle = hasOracle();

function ours(text: string): Problem[] {
  return parseKeepalived(text, 'test.conf', { configId: 'sluice' }).problems;
}

/** What is not the same; nothing if all is. */
function differences(text: string, theirs: Verdict): string[] {
  const problems = ours(text);
  const show = () =>
    [
      ...theirs.says.map((line) => `keepalived: ${line}`),
      ...problems.map((one) => `sluice: ${formatProblem(one)}`),
    ].join('\n  ');
  if (problems.length > 0 !== theirs.says.length > 0) return [`another verdict\n  ${show()}`];
  // Some of its messages have no line, and what lacks in a block is told of its last line; ours
  // always have one, the block's first. Where it names another line, the first is ours, too.
  const lines = new Set(problems.map(({ place }) => place.line));
  const first = Math.min(...theirs.lines);
  const end = text.split('\n')[first - 1]?.trim() === '}';
  if (theirs.lines.size > 0 && !end && !lines.has(first))
    return [`not about line ${first}\n  ${show()}`];
  return [];
}

test('every sample of the package parses with the same verdict', () => {
  if (!oracle) return skip('keepalived -t', 'keepalived or namespaces are not to be had');
  const found = samples();
  if (!found) return skip('keepalived samples', 'the package cannot be had');
  assert.ok(found.size >= 20, `${found.size} samples`);
  const verdicts = ask([...found.values()]);
  const all = [...found].flatMap(([name, text], index) =>
    differences(text, verdicts[index] as Verdict).map((line) => `${name}: ${line}`),
  );
  assert.equal(all, []);
});

test('each mutation has the same verdict, or a reason why not', () => {
  if (!oracle) return skip('keepalived -t', 'keepalived or namespaces are not to be had');
  assert.ok(MUTATIONS.length >= 100);
  const texts = MUTATIONS.map(({ what, from, to }) => {
    assert.ok(GOOD.includes(from), `${what}: the good file has ${from}`);
    return GOOD.replace(from, () => to);
  });
  const verdicts = ask(texts);
  const all = MUTATIONS.flatMap(({ what, differs }, index) => {
    const found = differences(texts[index] as string, verdicts[index] as Verdict);
    if (differs !== undefined) return found.length === 0 ? [`${what}: no longer differs`] : [];
    return found.map((line) => `${what}: ${line}`);
  });
  assert.is(all.join('\n'), '');
});

test.run();
