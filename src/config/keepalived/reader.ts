/**
 * keepalived.conf and everything it includes → one tree. What keepalived's own reader does to lines
 * before it looks at keywords: comments, `include`, `@id` conditions, definitions, `~SEQ`, `~LST`.
 */
import type { Place, Problem } from '../../errors.js';
import { Definitions } from './definitions.js';
import { DISK, type Files, folderOf, glob, hasWildcard } from './files.js';
import { parseRepetition } from './sequence.js';
import { type Node, type Origin, TreeBuilder } from './tree.js';
import { commentStart } from './words.js';

/** What repetitions and definitions may make of a file, in lines, and how deep they may nest. */
const MOST_LINES = 2_000_000;
const DEEPEST = 64;

export interface Read {
  tree: Node[];
  problems: Problem[];
  /** Every file read, the first one first. */
  files: string[];
}

export interface ReadOptions {
  /** What `@id` is compared with; the machine's name unless told. */
  configId?: string;
  files?: Files;
  /** Lines that repetitions and definitions may make of a file; MOST_LINES unless told. */
  mostLines?: number;
}

export function readKeepalived(text: string, file: string, options: ReadOptions = {}): Read {
  const reader = new Reader(options);
  reader.file(text, file);
  return reader.finish();
}

interface Checks {
  readable: boolean;
  match: boolean;
  wildcard: boolean;
  brace: boolean;
}

type CheckName = keyof Checks;
const CHECK_WORDS: Record<string, CheckName> = {
  readable: 'readable',
  match: 'match',
  wildcard_match: 'wildcard',
  brace_match: 'brace',
};
/** What each include keyword asks for beyond include_check. */
const INCLUDES: Record<string, readonly CheckName[]> = {
  include: [],
  includer: ['readable'],
  includem: ['readable', 'match'],
  includew: ['readable', 'match', 'wildcard'],
  includeb: ['readable', 'match', 'brace'],
  includea: ['readable', 'match', 'wildcard', 'brace'],
};

class Reader {
  readonly #problems: Problem[] = [];
  readonly #tree = new TreeBuilder(this.#problems);
  readonly #definitions: Definitions;
  readonly #disk: Files;
  readonly #read: string[] = [];
  readonly #open: string[] = [];
  #checks: Checks = { readable: false, match: false, wildcard: false, brace: false };
  readonly #mostLines: number;
  #lines = 0;
  /** Line that was told last to make too much. */
  #refused = '';

  constructor({ configId, files = DISK, mostLines = MOST_LINES }: ReadOptions) {
    this.#mostLines = mostLines;
    this.#definitions = new Definitions(configId);
    this.#disk = files;
  }

  finish(): Read {
    // What was read of a file that makes too much is no configuration, and takes minutes to check.
    const tree = this.#lines > this.#mostLines ? [] : this.#tree.finish();
    return { tree, problems: this.#problems, files: this.#read };
  }

  file(text: string, file: string): void {
    this.#read.push(file);
    this.#open.push(file);
    const folder = this.#definitions.folder;
    const checks = this.#checks;
    this.#definitions.folder = folderOf(file);
    let definition: { name: string; lines: string[]; place: Place } | undefined;
    let number = 0;
    for (const raw of text.split('\n')) {
      number++;
      const body = raw.slice(0, commentStart(raw)).trimEnd();
      const indent = body.length - body.trimStart().length;
      const line = body.slice(indent);
      if (line === '') continue;
      const origin: Origin = { file, line: number, column: (index) => indent + index + 1 };
      const more = line.endsWith('\\');
      const part = more ? line.slice(0, -1).trimEnd() : line;
      if (definition) {
        if (part !== '') definition.lines.push(part);
      } else {
        const begun = more && /^\$([A-Za-z_]\w*)=(.*)$/s.exec(part);
        if (!begun) {
          this.#line(line, origin, 0);
          continue;
        }
        const [, name, first] = begun as unknown as [string, string, string];
        definition = { name, lines: first.trim() === '' ? [] : [first], place: at(origin, 0) };
      }
      if (!more) {
        this.#definitions.set(definition.name, definition.lines.join('\n'));
        definition = undefined;
      }
    }
    if (definition) {
      this.#error(definition.place, `the definition of $${definition.name} never ends`);
      this.#definitions.set(definition.name, definition.lines.join('\n'));
    }
    this.#definitions.folder = folder;
    this.#checks = checks;
    this.#open.pop();
  }

  #line(line: string, origin: Origin, depth: number): void {
    if (depth > DEEPEST || ++this.#lines > this.#mostLines) {
      const key = `${origin.file}:${origin.line}`;
      if (this.#refused === key) return;
      this.#refused = key;
      const tooMany = `make more than ${this.#mostLines} lines: nothing of them counts`;
      const what = depth > DEEPEST ? 'nest too deep' : tooMany;
      this.#error(at(origin, 0), `definitions and repetitions ${what}`);
      return;
    }
    const include = depth === 0 && /^(include[rmwba]?)\s+(.*)$/s.exec(line);
    if (include) {
      this.#include(include[1] as string, include[2] as string, origin);
    } else if (line.startsWith('@')) {
      this.#condition(line, origin, depth);
    } else if (line.startsWith('~')) {
      this.#repeat(line, origin, depth);
    } else {
      this.#plain(line, origin, depth);
    }
  }

  #plain(line: string, origin: Origin, depth: number): void {
    const definition = /^\$([A-Za-z_]\w*)=(.*)$/s.exec(line);
    if (definition) {
      const [, name, value] = definition as unknown as [string, string, string];
      const open = value.split('"').length % 2 === 0;
      if (open) this.#error(at(origin, line.indexOf('"')), 'this quote is not closed on its line');
      this.#definitions.set(name, value);
      return;
    }
    const expanded = this.#definitions.expand(line);
    if ('fault' in expanded) {
      this.#error(at(origin, 0), expanded.fault);
      return;
    }
    const { text, column } = expanded;
    if (text === line) {
      this.#emit(line, origin);
      return;
    }
    const moved: Origin = { ...origin, column: (index) => origin.column(column(index)) };
    if (!text.includes('\n') && !/^\s*[@~$]/.test(text)) {
      this.#emit(text, moved);
      return;
    }
    let offset = 0;
    for (const part of text.split('\n')) {
      const start = offset + part.length - part.trimStart().length;
      offset += part.length + 1;
      const rest = part.trim();
      if (rest !== '') {
        this.#line(rest, { ...moved, column: (index) => moved.column(start + index) }, depth + 1);
      }
    }
  }

  #emit(text: string, origin: Origin): void {
    this.#directives(text, origin);
    this.#tree.add(text, origin);
  }

  /** Keywords of global_defs that already matter while reading. */
  #directives(text: string, origin: Origin): void {
    const found = /^(include_check|random_seed)(?:\s+(.*))?$/s.exec(text);
    if (!found) return;
    const words = (found[2] ?? '').trim().split(/\s+/).filter(Boolean);
    if (found[1] === 'random_seed') {
      if (/^\d+$/.test(words[0] ?? '')) this.#definitions.seed(Number(words[0]));
      return;
    }
    const relative = words.some((word) => /^[+-]/.test(word));
    const all = words.length === 0;
    const next: Checks = relative
      ? { ...this.#checks }
      : { readable: all, match: all, wildcard: all, brace: all };
    for (const word of words) {
      const name = CHECK_WORDS[word.replace(/^[+-]/, '')];
      if (name) next[name] = !word.startsWith('-');
      else {
        const place = at(origin, text.indexOf(word));
        this.#error(place, `${word} is no include check`, 'ERR_CONFIG_VALUE');
      }
    }
    this.#checks = next;
  }

  #condition(line: string, origin: Origin, depth: number): void {
    const [whole, not, id] = /^@(\^?)(\S*)\s*/.exec(line) as unknown as [string, string, string];
    const same = id === this.#definitions.configId;
    if (same !== (not === '')) return;
    const rest = line.slice(whole.length);
    const offset = whole.length;
    if (rest === '') return;
    this.#line(rest, { ...origin, column: (index) => origin.column(offset + index) }, depth + 1);
  }

  #repeat(line: string, origin: Origin, depth: number): void {
    const repetition = parseRepetition(line);
    if (!repetition) {
      this.#plain(line, origin, depth);
      return;
    }
    if ('fault' in repetition) {
      this.#error(at(origin, 0), repetition.fault);
      return;
    }
    const { turns, rest, offset } = repetition;
    const moved: Origin = { ...origin, column: (index) => origin.column(offset + index) };
    for (const turn of turns) {
      if (this.#lines > this.#mostLines) return;
      for (const [name, value] of turn) this.#definitions.set(name, value);
      if (rest !== '') this.#line(rest, moved, depth + 1);
    }
  }

  #include(keyword: string, pattern: string, origin: Origin): void {
    const asked = INCLUDES[keyword] as readonly CheckName[];
    const wants = (name: CheckName) => this.#checks[name] || asked.includes(name);
    const place = at(origin, keyword.length + 1);
    const wild = hasWildcard(pattern);
    const paths = glob(pattern, this.#definitions.folder, this.#disk);
    if (paths.length === 0) {
      const strict = wants('match') && (!wild || wants('wildcard'));
      const message = `no file is called ${pattern}, nothing is included`;
      if (strict || wants('readable')) this.#error(place, message, 'ERR_CONFIG_INCLUDE');
      else this.#warn(place, message);
      return;
    }
    for (const path of paths) {
      if (this.#disk.isFolder(path)) {
        if (!wild) this.#warn(place, `${path} is a folder, expected a file: not included`);
        continue;
      }
      if (this.#open.length >= DEEPEST || this.#open.includes(path)) {
        this.#error(place, `${path} includes itself`, 'ERR_CONFIG_INCLUDE');
        continue;
      }
      let text: string;
      try {
        text = this.#disk.read(path);
      } catch (cause) {
        const message = `cannot read ${path}: ${(cause as Error).message}`;
        if (wants('readable')) this.#error(place, message, 'ERR_CONFIG_INCLUDE');
        else this.#warn(place, message);
        continue;
      }
      this.file(text, path);
    }
  }

  #error(place: Place, message: string, code = 'ERR_CONFIG_SYNTAX'): void {
    this.#problems.push({ severity: 'error', code, place, path: '', message });
  }

  #warn(place: Place, message: string): void {
    const code = 'WARN_CONFIG_INCLUDE';
    this.#problems.push({ severity: 'warning', code, place, path: '', message });
  }
}

function at(origin: Origin, index: number): Place {
  return { file: origin.file, line: origin.line, column: origin.column(Math.max(0, index)) };
}
