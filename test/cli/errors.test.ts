/** The one list of error codes is whole: what the sources throw or log is in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRORS, exitStatus, SluiceError } from '../../src/errors.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Programs apart, with codes of their own. */
const APART = /^(src\/(lab|setup)|native\/(bench|fuzz))\//;

function codesInSources(): Set<string> {
  const codes = new Set<string>();
  for (const folder of ['src', 'native']) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      const path = `${folder}/${name}`;
      if (!/\.(ts|cc|h)$/.test(name) || APART.test(path)) continue;
      const text = readFileSync(join(ROOT, path), 'utf8');
      for (const [, code] of text.matchAll(/['"](ERR_[A-Z_]*[A-Z])['"]/g))
        codes.add(code as string);
    }
  }
  // Node's own.
  for (const code of ['ERR_MODULE_NOT_FOUND', 'ERR_WORKER_OUT_OF_MEMORY']) codes.delete(code);
  return codes;
}

test('every code in the sources is listed', () => {
  assert.equal(
    [...codesInSources()].filter((code) => !(code in ERRORS)),
    [],
  );
});

test('every listed code is a sentence', () => {
  for (const [code, meaning] of Object.entries(ERRORS)) {
    assert.match(meaning, /^[A-Z].{10,}[.!]?$/, code);
  }
});

test('exit statuses', () => {
  assert.is(exitStatus(new SluiceError('ERR_USAGE', 'x')), 2);
  assert.is(exitStatus(new SluiceError('ERR_NOT_RUNNING', 'x')), 3);
  assert.is(exitStatus(new SluiceError('ERR_CONFIG', 'x')), 1);
  assert.is(exitStatus(Object.assign(new Error('x'), { code: 'ERR_NATIVE_MEMORY' })), 1);
  assert.is(exitStatus(new TypeError('x')), 70);
});

test.run();
