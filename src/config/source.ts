/** Where a configuration comes from: plain data, and the place of each part of it. */
import { type Document, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import type { Place, Problem } from '../errors.js';

export type Path = readonly (string | number)[];

/** What keepalived.conf cannot say (ports, routes, the director itself) stands beside it in this. */
export const BESIDE = 'sluice.yaml';

export interface ConfigSource {
  /** What makes looking further useless. */
  syntaxProblems(): Problem[];
  /** Plain data in the shape of director.yaml; what it adds to `problems` ends the reading. */
  value(problems: Problem[]): unknown;
  /** What is wrong beside the data: the rest is still looked at. Known after `value`. */
  readonly others: readonly Problem[];
  /** There is no file that could have named ports. */
  readonly portless: boolean;
  locate(path: Path): Place;
  locateKey(path: Path): Place;
  /** A path in the words of the file it comes from. */
  describe(path: Path): string;
}

/** The text with its places. */
export class YamlSource implements ConfigSource {
  readonly others: readonly Problem[] = [];
  readonly portless = false;
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

  describe(path: Path): string {
    return formatPath(path);
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`,
    )
    .join('');
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
