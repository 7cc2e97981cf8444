/** What README.md says of features and keywords is what the code does. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { GLOBAL_DEFS } from '../../../src/config/keepalived/keywords/global.js';
import { TOP } from '../../../src/config/keepalived/keywords/index.js';
import type { Block } from '../../../src/config/keepalived/keywords/kinds.js';
import { FEATURES } from '../../../src/config/keepalived/support.js';

const text = readFileSync(
  fileURLToPath(new URL('../../../src/config/README.md', import.meta.url)),
  'utf8',
);

test('the table of features is whole', () => {
  for (const [name, meaning] of Object.entries(FEATURES)) {
    assert.ok(text.includes(`| \`${name}\``) && text.includes(`| ${meaning} `), name);
  }
});

function* supports(block: Block): Generator<string> {
  for (const { support, block: inside } of Object.values(block)) {
    if (support && 'packets' in support) yield support.packets;
    if (typeof inside === 'object') yield* supports(inside);
  }
}

test('every feature that a keyword needs is one that can be accepted', () => {
  const names = [...supports(TOP), ...supports(GLOBAL_DEFS)];
  assert.equal(
    names.filter((name) => !(name in FEATURES)),
    [],
  );
});

test.run();
