/** The tree against the keyword tables: what keepalived -t would complain about, line by line. */
import type { Place, Problem } from '../../errors.js';
import { suggest } from '../suggest.js';
import { TOP } from './keywords/index.js';
import type { Arg, Block, Keyword } from './keywords/kinds.js';
import { type Node, placeOf } from './tree.js';
import type { Word } from './words.js';

export class Problems {
  readonly all: Problem[];

  constructor(all: Problem[] = []) {
    this.all = all;
  }

  error(code: string, place: Place, path: string, message: string): void {
    this.all.push({ severity: 'error', code, place, path, message });
  }

  warning(code: string, place: Place, path: string, message: string): void {
    this.all.push({ severity: 'warning', code, place, path, message });
  }
}

export function validate(tree: readonly Node[], problems: Problems): void {
  new Validator(problems).block(tree, [TOP]);
}

/** Own keys only: `constructor` is no keyword. */
export function lookUp(block: Block, name: string): Keyword | undefined {
  return Object.hasOwn(block, name) ? block[name] : undefined;
}

class Validator {
  readonly #problems: Problems;

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** `blocks`: this block's table first, then those around it. */
  block(nodes: readonly Node[], blocks: readonly [Block, ...Block[]]): void {
    for (const node of nodes) {
      const keyword = lookUp(blocks[0], node.words[0].text);
      if (keyword) this.#statement(node, keyword, blocks);
      else this.#unknown(node, blocks);
    }
  }

  #unknown(node: Node, [here, ...around]: readonly [Block, ...Block[]]): void {
    const name = node.words[0].text;
    const outer = around.find((block) => lookUp(block, name));
    const guess = suggest(name, Object.keys(here));
    const hint = outer
      ? 'not inside this block: is a } missing before it?'
      : guess
        ? `did you mean ${guess}?`
        : 'it is not in keepalived.conf(5)';
    this.#problems.error('ERR_CONFIG_UNKNOWN_KEY', placeOf(node), name, `unknown keyword, ${hint}`);
    // A block that is only closed too late is still worth a look.
    if (outer && node.children) this.#statement(node, lookUp(outer, name) as Keyword, [outer]);
  }

  #statement(node: Node, keyword: Keyword, blocks: readonly [Block, ...Block[]]): void {
    const name = node.words[0].text;
    if (keyword.deprecated !== undefined) {
      const message = `deprecated: ${keyword.deprecated}`;
      this.#problems.warning('WARN_CONFIG_DEPRECATED', placeOf(node), name, message);
    }
    this.#arguments(node, keyword);
    const { block } = keyword;
    if (block === undefined) {
      if (node.children) {
        const message = 'takes no block, expected no { after it';
        this.#problems.error('ERR_CONFIG_SYNTAX', node.brace ?? placeOf(node), name, message);
      }
    } else if (node.children === undefined) {
      const message = 'its block is missing, expected {';
      this.#problems.error('ERR_CONFIG_SYNTAX', placeOf(node), name, message);
    } else if (typeof block === 'function') {
      for (const line of node.children) this.#line(line, name, block);
    } else {
      this.block(node.children, [block, ...blocks]);
    }
  }

  #line(line: Node, name: string, judge: Exclude<Keyword['block'], Block | undefined>): void {
    if (line.children) {
      const message = `${line.words[0].text} takes no block, expected no { after it`;
      this.#problems.error('ERR_CONFIG_SYNTAX', placeOf(line), name, message);
      return;
    }
    for (const { word, message, code, warning } of judge(line)) {
      const place = placeOf(line, line.words[word]);
      if (warning) this.#problems.warning('WARN_CONFIG_DEPRECATED', place, name, message);
      else this.#problems.error(code ?? 'ERR_CONFIG_VALUE', place, name, message);
    }
  }

  #arguments(node: Node, keyword: Keyword): void {
    const [first, ...rest] = node.words;
    const name = first.text;
    for (const { word, message } of keyword.judge?.(node) ?? []) {
      const place = placeOf(node, node.words[word]);
      this.#problems.error('ERR_CONFIG_VALUE', place, name, message);
    }
    let index = 0;
    for (const arg of keyword.args) {
      const given = arg.many ? rest.slice(index) : rest.slice(index, index + 1);
      if (given.length === 0 && !arg.optional) {
        const expected = arg.check('') ?? 'a value';
        const place = placeOf(node);
        this.#problems.error('ERR_CONFIG_MISSING', place, name, `missing, expected ${expected}`);
        return;
      }
      for (const word of given) this.#argument(node, word, arg, keyword);
      index += given.length;
    }
    const more = rest[index];
    if (more) {
      const words = rest
        .slice(index)
        .map(({ text }) => text)
        .join(' ');
      const message = `${words} is ignored: nothing more is expected on this line`;
      this.#problems.warning('WARN_CONFIG_IGNORED', placeOf(node, more), name, message);
    }
  }

  #argument(node: Node, word: Word, arg: Arg, keyword: Keyword): void {
    const name = node.words[0].text;
    if (!keyword.escapes && word.text.includes('\\"')) {
      const message = 'a quote can be escaped in scripts and regular expressions only';
      this.#problems.error('ERR_CONFIG_SYNTAX', placeOf(node, word), name, message);
      return;
    }
    const expected = arg.check(word.text);
    if (expected === undefined) return;
    const message = `is ${word.text === '' ? 'empty' : word.text}, expected ${expected}`;
    this.#problems.error('ERR_CONFIG_VALUE', placeOf(node, word), name, message);
  }
}
