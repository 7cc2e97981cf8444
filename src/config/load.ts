/**
 * director.yaml → Model, or every mistake in it at once, each with its place. The steps: YAML
 * (well-formed?), schema (each value alone), check (values against one another). A value that
 * fails the schema is left out, with the list entry it is in, so that the rest is still checked.
 */
import { readFileSync } from 'node:fs';
import { type Document, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import { ConfigError, type Place, type Problem, SluiceError } from '../errors.js';
import { check } from './check.js';
import { buildModel, type Model } from './model.js';
import { keysAt, type Parsed, schema } from './schema.js';
import { suggest } from './suggest.js';

export type Path = readonly (string | number)[];

export interface Loaded {
  file: string;
  model: Model;
  warnings: Problem[];
  /** Where a path of the file is; a missing one is where its block begins. */
  locate(path: Path): Place;
}

export function loadConfig(file: string): Loaded {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new SluiceError('ERR_CONFIG_READ', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
  return parseConfig(text, file);
}

/** Throws ConfigError with all errors and warnings. */
export function parseConfig(text: string, file: string): Loaded {
  const source = new Source(text, file);
  const problems = source.syntaxProblems();
  if (problems.length > 0) throw new ConfigError(file, problems);

  const whole = source.value(problems);
  if (problems.length > 0) throw new ConfigError(file, problems);
  const first = schema.safeParse(whole);
  let parsed: Parsed | undefined = first.data;
  let rest: Pruned = { value: whole, original: (path) => path, dropped: new Set() };
  if (!first.success) {
    problems.push(...schemaProblems(first.error.issues, whole, source));
    rest = prune(whole, first.error.issues);
    parsed = schema.safeParse(rest.value).data;
  }
  const model = parsed && buildModel(parsed);
  if (parsed && model) {
    for (const finding of check(model, parsed, rest.dropped)) {
      const path = rest.original(finding.path);
      const place = source.locate(path);
      problems.push({ ...finding, path: formatPath(path), place });
    }
  }
  problems.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  if (!model || problems.some((problem) => problem.severity === 'error')) {
    throw new ConfigError(file, problems);
  }
  return { file, model, warnings: problems, locate: (path) => source.locate(path) };
}

/** The text with its places. */
class Source {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #documents: Document.Parsed[];

  constructor(text: string, file: string) {
    this.#file = file;
    const documents = parseAllDocuments(text, { lineCounter: this.#lines, prettyErrors: false });
    this.#documents = 'empty' in documents ? [] : documents;
  }

  syntaxProblems(): Problem[] {
    const problems = this.#documents.flatMap((document) =>
      [...document.errors, ...document.warnings].map((error) => ({
        severity: 'error' as const,
        code: error.code === 'DUPLICATE_KEY' ? 'ERR_CONFIG_DUPLICATE' : 'ERR_CONFIG_SYNTAX',
        place: this.#place(error.pos[0]),
        path: '',
        message:
          error.code === 'DUPLICATE_KEY'
            ? 'the same key is given twice, expected each key once in its block'
            : `not well-formed YAML: ${error.message}`,
      })),
    );
    const second = this.#documents[1];
    if (second) {
      problems.push({
        severity: 'error',
        code: 'ERR_CONFIG_SYNTAX',
        place: this.#place(second.range[0]),
        path: '',
        message: 'a second YAML document begins here, expected one document',
      });
    }
    return problems;
  }

  /** Plain data. Empty sections (`routes:` with all entries commented out) count as absent. */
  value(problems: Problem[]): unknown {
    let value: unknown;
    try {
      value = this.#documents[0]?.toJS({ maxAliasCount: 1000 }) ?? {};
    } catch (error) {
      // An alias without its anchor, or so many that they would fill the memory.
      problems.push({
        severity: 'error',
        code: 'ERR_CONFIG_SYNTAX',
        place: this.#place(0),
        path: '',
        message: `not well-formed YAML: ${(error as Error).message}`,
      });
    }
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== null));
  }

  locate(path: Path): Place {
    const contents = this.#documents[0]?.contents;
    for (let length = path.length; length > 0; length--) {
      const node = this.#documents[0]?.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) {
        // An empty value has no characters of its own: its key shows the place better.
        const empty = isScalar(node) && node.range[0] === node.range[1];
        if (!empty) return this.#place(node.range[0]);
        return this.locateKey(path.slice(0, length));
      }
    }
    return this.#place(contents?.range?.[0] ?? 0);
  }

  locateKey(path: Path): Place {
    const parent =
      path.length === 1
        ? this.#documents[0]?.contents
        : this.#documents[0]?.getIn(path.slice(0, -1), true);
    const key = path[path.length - 1];
    if (isMap(parent)) {
      for (const { key: node } of parent.items) {
        if (isScalar(node) && String(node.value) === String(key) && node.range) {
          return this.#place(node.range[0]);
        }
      }
    }
    return this.locate(path.slice(0, -1));
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

interface Issue {
  code?: string;
  path: readonly PropertyKey[];
  message: string;
  keys?: string[];
  params?: Record<string, unknown>;
}

function schemaProblems(issues: readonly Issue[], whole: unknown, source: Source): Problem[] {
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
      path: formatPath(path),
      message: `${missing ? 'missing' : given(value, issue)}${glue(issue.message)}${issue.message}`,
    });
  }
  return [...problems.values()];
}

function glue(message: string): string {
  return message.startsWith('expected') ? ', ' : ': ';
}

function given(value: unknown, issue: Issue): string {
  if (value === null) return 'is empty';
  if (Array.isArray(value)) return value.length === 0 ? 'is an empty list' : 'is a list';
  if (typeof value === 'object') return 'is a block of keys';
  if (issue.params?.code === 'ERR_CONFIG_IPV6') return `${value} is IPv6`;
  return `is ${typeof value === 'string' ? JSON.stringify(value) : value}`;
}

function unknownKey(path: Path, source: Source): Omit<Problem, 'severity'> {
  const key = String(path[path.length - 1]);
  const known = keysAt(path.slice(0, -1));
  const guess = suggest(key, known);
  const instead = guess
    ? `unknown key, did you mean ${guess}?`
    : `unknown key, expected one of ${known.join(', ')}`;
  return {
    code: 'ERR_CONFIG_UNKNOWN_KEY',
    place: source.locateKey(path),
    path: formatPath(path),
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

export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`,
    )
    .join('');
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (at as Record<PropertyKey, unknown> | null | undefined)?.[step],
    value,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function reason(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return (cause as Error).message;
}
