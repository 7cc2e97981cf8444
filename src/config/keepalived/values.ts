/** Values of statements, if they are good: what is wrong has been reported where it was validated. */

import { located } from './commands.js';
import { child } from './find.js';
import type { Block } from './keywords/kinds.js';
import type { Node } from './tree.js';
import { lookUp } from './validate.js';
import { unescaped } from './words.js';

/** Reads the statements of one block by its keyword table. */
export class Values {
  readonly node: Node;
  readonly #table: Block;

  constructor(node: Node, table: Block) {
    this.node = node;
    this.#table = table;
  }

  /** Good words after the keyword; undefined when it is not given or one of them is wrong. */
  words(...names: string[]): string[] | undefined {
    const node = child(this.node, ...names);
    const keyword = node && lookUp(this.#table, node.words[0].text);
    if (!node || !keyword) return undefined;
    const words = node.words.slice(1).map(({ text }) => text);
    const good = keyword.args.every((arg, index) => {
      const given = arg.many ? words.slice(index) : words.slice(index, index + 1);
      return given.length === 0
        ? arg.optional === true
        : given.every((word) => arg.check(word) === undefined);
    });
    return good ? words : undefined;
  }

  text(...names: string[]): string | undefined {
    const word = this.words(...names)?.[0];
    return word === '' ? undefined : word;
  }

  number(...names: string[]): number | undefined {
    const text = this.text(...names);
    return text === undefined ? undefined : Number(text);
  }

  /** As director.yaml says times. */
  seconds(...names: string[]): string | undefined {
    const text = this.text(...names);
    return text === undefined ? undefined : `${Number(text)}s`;
  }

  flag(name: string): true | undefined {
    return child(this.node, name) ? true : undefined;
  }

  /** A bare keyword is on. */
  boolean(name: string): boolean | undefined {
    const words = this.words(name);
    return words && !/^(off|false|no)$/.test(words[0] ?? 'on');
  }

  /** A command line with who runs it. */
  script(defaults: Account, ...names: string[]): ScriptData | undefined {
    const [command, user, group] = this.words(...names) ?? [];
    if (command === undefined || command === '') return undefined;
    const account = user === undefined ? defaults : { user, group };
    const text = located(unescaped(command));
    if (account.user === undefined) return text;
    return without({ command: text, ...account });
  }
}

export interface Account {
  user?: string | undefined;
  group?: string | undefined;
}

export type ScriptData = string | { command: string; user?: string; group?: string };

/** Without what is undefined: as a file would have left it out. */
export function without<T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
