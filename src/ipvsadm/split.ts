/**
 * A command line split into options, by the rules of the library that ipvsadm uses: short options
 * cluster (`-Ln`), a value may be attached (`-srr`, `-s=rr`, `--scheduler=rr`) or be the next word
 * whatever it looks like, an optional one may be the next word if that is no option; long names are
 * not abbreviated; words that belong to nothing are kept for later; `--` ends the options.
 */
import { IpvsadmError, STATUS } from './errors.js';

export interface OptionSpec {
  /** '' for a short option without a long form. */
  long: string;
  short?: string | undefined;
  value: 'none' | 'needed' | 'optional';
}

export interface Found<Spec extends OptionSpec> {
  spec: Spec;
  /** The whole word it was found in, for messages. */
  word: string;
  value: string | undefined;
}

export class Splitter<Spec extends OptionSpec> {
  readonly #words: readonly string[];
  #specs: readonly Spec[];
  #at = 0;
  /** Rest of a cluster that is being taken apart. */
  #cluster: { word: string; rest: string } | undefined;
  /** Words that belong to no option. */
  readonly leftovers: string[] = [];

  constructor(words: readonly string[], specs: readonly Spec[]) {
    this.#words = words;
    this.#specs = specs;
  }

  /** From now on these are the options (a command may decide what a letter means). */
  use(specs: readonly Spec[]): void {
    this.#specs = specs;
  }

  /** The next option; undefined at the end. Throws IpvsadmError for a word that is none. */
  next(): Found<Spec> | undefined {
    if (this.#cluster) return this.#short(this.#cluster.word, this.#cluster.rest);
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at++] as string;
      if (word === '--') {
        this.leftovers.push(...this.#words.slice(this.#at));
        this.#at = this.#words.length;
      } else if (word.startsWith('--')) {
        return this.#long(word);
      } else if (word.startsWith('-') && word.length > 1) {
        return this.#short(word, word.slice(1));
      } else {
        this.leftovers.push(word);
      }
    }
    return undefined;
  }

  #long(word: string): Found<Spec> {
    const [, name, , attached] = /^--([^=]*)(=(.*))?$/s.exec(word) ?? [];
    const spec = this.#specs.find(({ long }) => long !== '' && long === name);
    if (!spec) throw fault(word, 'unknown option');
    return { spec, word, value: this.#value(spec, word, attached) };
  }

  #short(word: string, letters: string): Found<Spec> {
    const spec = this.#specs.find(({ short }) => short !== undefined && short === letters[0]);
    if (!spec) throw fault(word, 'unknown option');
    const rest = letters.slice(1);
    this.#cluster = undefined;
    if (spec.value === 'none' && rest !== '' && !rest.startsWith('=')) {
      this.#cluster = { word, rest };
      return { spec, word, value: undefined };
    }
    const attached = rest === '' ? undefined : rest.replace(/^=/, '');
    return { spec, word, value: this.#value(spec, word, attached) };
  }

  #value(spec: Spec, word: string, attached: string | undefined): string | undefined {
    if (spec.value === 'none') {
      if (attached !== undefined) throw fault(word, 'option does not take an argument');
      return undefined;
    }
    if (attached !== undefined) return attached;
    const next = this.#words[this.#at];
    if (spec.value === 'optional' && (next === undefined || next.startsWith('-'))) return undefined;
    if (next === undefined) throw fault(word, 'missing argument');
    this.#at++;
    return next;
  }
}

function fault(word: string, what: string): IpvsadmError {
  return new IpvsadmError(STATUS.refused, `${word}: ${what}`);
}
