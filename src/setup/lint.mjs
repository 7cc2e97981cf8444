#!/usr/bin/env node
// `npm run lint` checks both languages and the types; `npm run format` (--fix) repairs what can be
// repaired. All checks run, so that one call shows everything there is to mend.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { say } from './errors.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const fix = process.argv.includes('--fix');

function nativeSources() {
  const native = join(ROOT, 'native');
  if (!existsSync(native)) return [];
  return readdirSync(native, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(cc|c|h)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function check(what, command, args) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  const good = result.status === 0;
  say(`${what}: ${good ? 'clean' : 'findings above'}`);
  return good;
}

const bin = (name) => join(ROOT, 'node_modules', '.bin', name);
const sources = nativeSources();
const results = [
  check('biome', bin('biome'), ['check', ...(fix ? ['--write'] : []), '--error-on-warnings']),
  sources.length === 0 ||
    check('clang-format', 'clang-format', [
      ...(fix ? ['-i'] : ['--dry-run', '-Werror']),
      ...sources,
    ]),
  check('types', bin('tsc'), ['-p', 'tsconfig.json']),
];
process.exit(results.every(Boolean) ? 0 : 1);
