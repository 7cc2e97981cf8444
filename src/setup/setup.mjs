#!/usr/bin/env node
// The one set-up behind `npm run demo`, `npm test`, `npm run build` and `npm run bench`. Each step
// first finds out cheaply whether it has anything to do, so that a second run takes well under two
// seconds. Plain JavaScript without modules: it runs before node_modules exists.
//
//   node src/setup/setup.mjs [--only=packages,modules,addon,dist]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError, say } from './errors.mjs';
import { installPackages } from './packages.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
// build/ is ignored by git and survives `npm ci`, which empties node_modules.
const BUILD = join(ROOT, 'build');

/** Every file below these paths that the filter takes, sorted, so that the digest is stable. */
function filesBelow(paths, wanted) {
  const found = [];
  for (const path of paths) {
    const full = join(ROOT, path);
    if (!existsSync(full)) continue;
    const entries = readdirSync(full, { withFileTypes: true, recursive: true });
    for (const entry of entries) {
      if (entry.isFile() && wanted.test(entry.name)) found.push(join(entry.parentPath, entry.name));
    }
  }
  return found.sort();
}

/** A digest of names and contents: times say nothing after a checkout. */
function digest(files, extra = '') {
  const hash = createHash('sha256').update(`${process.version} ${extra}\0`);
  for (const file of files) {
    hash.update(`${file}\0`);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

// A stamp lies in the directory that it vouches for: whoever removes one removes the other.
function isStamped(directory, value) {
  const path = join(ROOT, directory, '.sluice-stamp');
  return existsSync(path) && readFileSync(path, 'utf8') === value;
}

function stamp(directory, value) {
  mkdirSync(join(ROOT, directory), { recursive: true });
  writeFileSync(join(ROOT, directory, '.sluice-stamp'), value);
}

function run(code, what, command, args) {
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env });
  if (result.error) throw new SetupError(code, `${what}: ${result.error.message}`);
  if (result.status !== 0) {
    throw new SetupError(code, `${what} failed (${result.signal ?? `status ${result.status}`})`);
  }
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 20)) {
    throw new SetupError('ERR_SETUP_NODE', `Node ${process.version} is too old: 20.20 is needed`);
  }
}

function modules() {
  const value = digest([join(ROOT, 'package.json'), join(ROOT, 'package-lock.json')]);
  if (isStamped('node_modules', value)) return;
  say('installing npm modules');
  // The type checker, tsx and uvu are dev dependencies, whatever NODE_ENV says.
  run('ERR_SETUP_NPM', 'npm ci', 'npm', ['ci', '--include=dev', '--loglevel=error']);
  stamp('node_modules', value);
}

function addon() {
  const sources = filesBelow(['native'], /\.(cc|c|h|inc|def|txt|cmake)$/);
  const inputs = [join(ROOT, 'CMakeLists.txt'), join(ROOT, 'package-lock.json'), ...sources];
  const value = digest(inputs);
  const output = join(ROOT, 'build', 'Release', 'sluice.node');
  const expected = existsSync(join(ROOT, 'native', 'addon')) ? existsSync(output) : true;
  if (isStamped('build', value) && expected) return;
  say('building the addon and the eBPF programs');
  const cmakeJs = join(ROOT, 'node_modules', '.bin', 'cmake-js');
  // An interrupted `cmake-js` leaves a cache that ninja can use: incremental, not from nothing.
  run('ERR_SETUP_ADDON', 'cmake-js', cmakeJs, ['build', '--log-level=warn', '-G', 'Ninja']);
  stamp('build', value);
}

function dist() {
  const sources = filesBelow(['src'], /\.(ts|mjs|json)$/);
  const pages = filesBelow(['src/dashboard'], /./);
  const inputs = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  const value = digest([...inputs.map((name) => join(ROOT, name)), ...sources, ...pages]);
  if (isStamped('dist', value)) return;
  say('compiling TypeScript to dist/');
  // A director that runs from dist/ goes on: files are replaced, and only orphans are removed.
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  run('ERR_SETUP_TSC', 'tsc', tsc, ['-p', 'tsconfig.build.json']);
  // The dashboard is served as it is written.
  mkdirSync(join(ROOT, 'dist', 'dashboard'), { recursive: true });
  for (const page of pages) copyFileSync(page, join(ROOT, 'dist', 'dashboard', basename(page)));
  for (const file of filesBelow(['dist'], /\.(js(\.map)?|html|css|svg)$/)) {
    const twin = file.replace(join(ROOT, 'dist'), join(ROOT, 'src'));
    if (!existsSync(twin) && !existsSync(twin.replace(/\.js(\.map)?$/, '.ts'))) rmSync(file);
  }
  stamp('dist', value);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** The process that holds the lock; undefined when it has just been released. */
function lockOwner(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Two set-ups of one tree at once would build over each other: the second waits for the first. */
function withLock(action) {
  mkdirSync(BUILD, { recursive: true });
  const lock = join(BUILD, '.setup-lock');
  // Written first and then linked into place: nobody ever reads a lock without its owner.
  const draft = `${lock}.${process.pid}`;
  writeFileSync(draft, String(process.pid));
  let told = false;
  for (let held = false; !held; ) {
    try {
      linkSync(draft, lock);
      held = true;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const owner = lockOwner(lock);
      if (owner === undefined) continue;
      if (!isAlive(owner)) {
        rmSync(lock, { force: true });
        continue;
      }
      if (!told) say(`waiting for another set-up (process ${owner})`);
      told = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  rmSync(draft, { force: true });
  process.once('exit', () => rmSync(lock, { force: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  action();
}

const STEPS = { packages: installPackages, modules, addon, dist };

function main() {
  const only = process.argv.find((arg) => arg.startsWith('--only='))?.slice('--only='.length);
  const names = only ? only.split(',') : Object.keys(STEPS);
  for (const name of names) {
    if (!STEPS[name]) throw new SetupError('ERR_SETUP_STEP', `there is no step "${name}"`);
  }
  checkNode();
  withLock(() => {
    for (const name of names) STEPS[name]();
  });
}

try {
  main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`setup: ${error.code}: ${error.message}\n`);
  process.exit(1);
}
