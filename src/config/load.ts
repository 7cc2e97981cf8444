/**
 * director.yaml or keepalived.conf → Model, or every mistake in it at once, each with its place. The steps: YAML
 * (well-formed?), schema (each value alone), check (values against one another). A value that
 * fails the schema is left out, with the list entry it is in, so that the rest is still checked.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ConfigError, type Place, type Problem, SluiceError } from '../errors.js';
import { buildModel } from './build.js';
import { check } from './check.js';
import { readClientFiles } from './client-files.js';
import { KeepalivedSource } from './keepalived/source.js';
import type { Model } from './model.js';
import { keysAt, type Parsed, schema } from './schema.js';
import {
  BESIDE,
  type ConfigSource,
  formatPath,
  isRecord,
  type Path,
  YamlSource,
} from './source.js';
import { suggest } from './suggest.js';

export interface Loaded {
  file: string;
  model: Model;
  warnings: Problem[];
  /** Where a path of the file is; a missing one is where its block begins. */
  locate(path: Path): Place;
  /** The file's data, where it was read here. */
  whole?: unknown;
  /** SHA-256 of API tokens by their names, where the file has hashes: kept out of the Model's sight. */
  tokenHashes?: ReadonlyMap<string, string>;
}

/** director.yaml, or a keepalived.conf as it is. */
export function loadConfig(file: string): Loaded {
  return load(openConfig(file), file);
}

/** The file as a source. `accept`: features of a keepalived.conf to go without. */
export function openConfig(file: string, accept: readonly string[] = []): ConfigSource {
  const text = readConfig(file);
  if (isYaml(file, text))
    return new KeepalivedSource(new YamlSource(text, file), undefined, accept);
  const beside = join(dirname(file), BESIDE);
  const yaml = existsSync(beside) ? new YamlSource(readConfig(beside), beside) : undefined;
  return new KeepalivedSource(yaml, { file, text }, accept);
}

/** director.yaml. Throws ConfigError with all errors and warnings. */
export function parseConfig(text: string, file: string): Loaded {
  return load(new KeepalivedSource(new YamlSource(text, file), undefined), file);
}

/** A keepalived.conf alone, as if nothing stood beside it. */
export function parseKeepalivedConfig(text: string, file: string): Loaded {
  return load(new KeepalivedSource(undefined, { file, text }), file);
}

/** By its name, or else by its first word: `key:` begins no keepalived.conf. */
export function isYaml(file: string, text: string): boolean {
  if (/\.(ya?ml|json)$/.test(file)) return true;
  if (/\.conf($|\.)/.test(basename(file))) return false;
  const first = text.split('\n').find((line) => !/^\s*([#!].*)?$/.test(line)) ?? '';
  return /^\s*["']?[A-Za-z]+["']?\s*:(\s|$)|^---|^\s*\{\s*"/.test(first);
}

/** Throws ConfigError with all errors and warnings. */
export function load(source: ConfigSource, file: string): Loaded {
  const problems = source.syntaxProblems();
  if (problems.length > 0) throw new ConfigError(file, problems);

  const whole = source.value(problems);
  if (problems.length > 0) throw new ConfigError(file, problems);
  problems.push(...source.others);
  const first = schema.safeParse(whole);
  let parsed: Parsed | undefined = first.data;
  let rest: Pruned = { value: whole, original: (path) => path, dropped: new Set() };
  if (!first.success) {
    problems.push(...schemaProblems(first.error.issues, whole, source));
    rest = prune(whole, first.error.issues);
    parsed = schema.safeParse(rest.value).data;
  }
  if (source.portless) for (const list of ['ports', 'routes']) rest.dropped.add(list);
  const model = parsed && buildModel(parsed);
  if (parsed && model) {
    const located = (path: Path) => source.locate(rest.original(path));
    const described = (path: Path) => source.describe(rest.original(path));
    model.clientFiles = readClientFiles(model.services, problems, located, described);
    for (const finding of check(model, parsed, rest.dropped)) {
      const path = rest.original(finding.path);
      const place = source.locate(path);
      problems.push({ ...finding, path: source.describe(path), place });
    }
  }
  if (source.portless && model) model.ports = [];
  problems.sort((a, b) => comparePlaces(a.place, b.place, file));
  if (!model || problems.some((problem) => problem.severity === 'error')) {
    throw new ConfigError(file, problems);
  }
  const locate = (path: Path) => source.locate(path);
  return { file, model, warnings: problems, locate, whole, tokenHashes: hashesOf(parsed) };
}

function hashesOf(parsed: Parsed | undefined): ReadonlyMap<string, string> {
  const tokens = parsed?.director?.api?.tokens ?? [];
  return new Map(tokens.flatMap(({ name, sha256 }) => (sha256 ? [[name, sha256]] : [])));
}

/** The file that was named comes first. */
function comparePlaces(a: Place, b: Place, main: string): number {
  if (a.file !== b.file) {
    if (a.file === main || b.file === main) return a.file === main ? -1 : 1;
    return a.file < b.file ? -1 : 1;
  }
  return a.line - b.line || a.column - b.column;
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('ERR_CONFIG_READ', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
}

interface Issue {
  code?: string;
  path: readonly PropertyKey[];
  message: string;
  keys?: string[];
  params?: Record<string, unknown>;
}

function schemaProblems(issues: readonly Issue[], whole: unknown, source: ConfigSource): Problem[] {
  const problems = new Map<string, Problem>();
  const add = (problem: Omit<Problem, 'severity'>) => {
    // The first finding about a value says enough.
    if (!problems.has(problem.path)) problems.set(problem.path, { severity: 'error', ...problem });
  };
  for (const issue of issues) {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys ?? []) add(unknownKey([...path, key], source));
      continue;
    }
    const value = valueAt(whole, path);
    const missing = value === undefined;
    add({
      code: missing ? 'ERR_CONFIG_MISSING' : String(issue.params?.code ?? 'ERR_CONFIG_VALUE'),
      place: source.locate(path),
      path: source.describe(path),
      message: `${missing ? 'missing' : given(value, issue, path)}${glue(issue.message)}${issue.message}`,
    });
  }
  return [...problems.values()];
}

function glue(message: string): string {
  return message.startsWith('expected') ? ', ' : ': ';
}

/** What stands there may be the token itself, put where its hash belongs. */
const isSecret = (path: Path) => formatPath(path.slice(0, 3)) === 'director.api.tokens';

function given(value: unknown, issue: Issue, path: Path): string {
  if (isSecret(path) && typeof value !== 'object') return 'is not right (and not shown here)';
  if (value === null) return 'is empty';
  if (Array.isArray(value)) return value.length === 0 ? 'is an empty list' : 'is a list';
  if (typeof value === 'object') return 'is a block of keys';
  if (issue.params?.code === 'ERR_CONFIG_IPV6') return `${value} is IPv6`;
  return `is ${typeof value === 'string' ? JSON.stringify(value) : value}`;
}

function unknownKey(path: Path, source: ConfigSource): Omit<Problem, 'severity'> {
  const key = String(path[path.length - 1]);
  const known = keysAt(path.slice(0, -1));
  const guess = suggest(key, known);
  const instead = guess
    ? `unknown key, did you mean ${guess}?`
    : `unknown key, expected one of ${known.join(', ')}`;
  return {
    code: 'ERR_CONFIG_UNKNOWN_KEY',
    place: source.locateKey(path),
    path: source.describe(path),
    // Where blocks are of several types, a key may belong to another one.
    message: known.includes(key) ? 'belongs to a block of another type' : instead,
  };
}

interface Pruned {
  value: unknown;
  /** A path of the pruned value → the path in the file. */
  original(path: Path): Path;
  /** Names of the lists that entries were dropped from: a name missing there is no finding. */
  dropped: Set<string>;
}

/** Takes out unknown keys, and for each other issue the innermost list entry or top-level key. */
function prune(whole: unknown, issues: readonly Issue[]): Pruned {
  const doomed = new Set<string>();
  const dropped = new Set<string>();
  for (const issue of issues) {
    const path = issue.path as Path;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys ?? []) doomed.add(formatPath([...path, key]));
      continue;
    }
    const entry = path.findLastIndex((step) => typeof step === 'number');
    doomed.add(formatPath(entry >= 0 ? path.slice(0, entry + 1) : path.slice(0, 1)));
    const key = path.findLast(
      (step, index) => typeof step === 'string' && index <= Math.max(0, entry),
    );
    dropped.add(String(path[0] ?? ''));
    dropped.add(String(key ?? ''));
  }
  const kept = new Map<string, number[]>();
  const copy = (value: unknown, path: Path, newPath: Path): unknown => {
    if (Array.isArray(value)) {
      const indexes = [...value.keys()].filter(
        (index) => !doomed.has(formatPath([...path, index])),
      );
      kept.set(formatPath(newPath), indexes);
      return indexes.map((index, at) => copy(value[index], [...path, index], [...newPath, at]));
    }
    if (!isRecord(value)) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => !doomed.has(formatPath([...path, key])))
        .map(([key, entry]) => [key, copy(entry, [...path, key], [...newPath, key])]),
    );
  };
  const value = copy(whole, [], []);
  // Ports are the one thing that cannot be absent.
  if (isRecord(value) && (!Array.isArray(value.ports) || value.ports.length === 0)) {
    value.ports = [{ name: 'none' }];
  }
  const original = (path: Path): Path =>
    path.map((step, index) =>
      typeof step === 'number'
        ? (kept.get(formatPath(path.slice(0, index)))?.[step] ?? step)
        : step,
    );
  return { value, original, dropped };
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (at as Record<PropertyKey, unknown> | null | undefined)?.[step],
    value,
  );
}

function reason(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return (cause as Error).message;
}
