/**
 * Statements and blocks of keepalived.conf, whatever their keywords. The tree is made line by line,
 * so that it grows with the file and nothing is looked at twice.
 */
import type { Place, Problem } from '../../errors.js';
import { quote, split, type Word } from './words.js';

export interface Node {
  /** The keyword first; never empty. */
  words: [Word, ...Word[]];
  file: string;
  line: number;
  /** undefined: no braces followed. */
  children: Node[] | undefined;
  /** The opening brace, where it stands on a line of its own. */
  brace?: Place;
}

export function placeOf(node: Node, word: Word = node.words[0]): Place {
  return { file: node.file, line: node.line, column: word.column };
}

/** Where a line comes from. `column` tells the file's column of an index of the text. */
export interface Origin {
  file: string;
  line: number;
  column(index: number): number;
}

interface Open {
  node: Node | undefined;
  children: Node[];
}

export class TreeBuilder {
  readonly root: Node[] = [];
  readonly #open: Open[] = [{ node: undefined, children: this.root }];
  readonly #problems: Problem[];

  constructor(problems: Problem[]) {
    this.#problems = problems;
  }

  /** A line without its comment. */
  add(text: string, origin: Origin): void {
    const { tokens, columns, openQuote } = split(text);
    const { file, line } = origin;
    const at = (index: number): Place => ({ file, line, column: origin.column(index) });
    if (openQuote !== undefined) {
      this.#error(at(openQuote), 'this quote is not closed on its line');
    }
    let words: Word[] = [];
    const flush = (): Node | undefined => {
      const [keyword, ...rest] = words;
      words = [];
      if (!keyword) return undefined;
      const node: Node = { words: [keyword, ...rest], file, line, children: undefined };
      this.#here().children.push(node);
      return node;
    };
    tokens.forEach((token, index) => {
      const start = columns[index] as number;
      if (token === '{') this.#enter(flush() ?? this.#waiting(), at(start));
      else if (token === '}') {
        flush();
        this.#leave(at(start));
      } else {
        token.column = origin.column(start);
        words.push(token);
      }
    });
    flush();
  }

  /** The whole tree. Blocks still open are reported. */
  finish(): Node[] {
    // The innermost has lost its brace as likely as the outermost; the outermost is surely open.
    const { node } = this.#open[1] ?? {};
    if (node) {
      const more = this.#open.length - 2;
      const inside = more > 0 ? `, nor ${more} inside it` : '';
      this.#error(
        placeOf(node),
        `the block ${node.words[0].text} is not closed${inside}, expected }`,
      );
    }
    return this.root;
  }

  #here(): Open {
    return this.#open[this.#open.length - 1] as Open;
  }

  /** The last statement, if its brace may follow on a line of its own. */
  #waiting(): Node | undefined {
    const last = this.#here().children.at(-1);
    return last && last.children === undefined ? last : undefined;
  }

  #enter(node: Node | undefined, place: Place): void {
    if (!node) this.#error(place, 'a block begins without a keyword before its {');
    const children: Node[] = [];
    if (node) {
      node.children = children;
      if (place.line !== node.line) node.brace = place;
    }
    this.#open.push({ node, children });
  }

  #leave(place: Place): void {
    if (this.#open.length === 1) this.#error(place, 'this } closes nothing');
    else this.#open.pop();
  }

  #error(place: Place, message: string): void {
    this.#problems.push({
      severity: 'error',
      code: 'ERR_CONFIG_SYNTAX',
      place,
      path: '',
      message,
    });
  }
}

/** The tree as text that gives the same tree again. */
export function printTree(nodes: readonly Node[], depth = 0): string {
  const indent = '    '.repeat(depth);
  return nodes
    .map(({ words, children }) => {
      const line = indent + words.map(printWord).join(' ');
      return children ? `${line} {\n${printTree(children, depth + 1)}${indent}}\n` : `${line}\n`;
    })
    .join('');
}

/** In quotes `include` is a word like others. */
function printWord({ text, quoted }: Word, index: number): string {
  const keyword = index === 0 && /^include[rmwba]?$/.test(text);
  return quoted || keyword ? `"${text}"` : quote(text);
}
