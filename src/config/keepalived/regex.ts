/**
 * PCRE2's patterns, as keepalived has them, in JavaScript's words. What matters of a match is whether
 * there is one and where it begins. Pure.
 */

/** Options that are flags in JavaScript. */
const FLAGS: Record<string, string> = {
  caseless: 'i',
  multiline: 'm',
  dotall: 's',
  utf: 'u',
  ucp: 'u',
};

/** What JavaScript does anyway, or what only guards and tunes PCRE2. */
const NATURAL = [
  ...['never_utf', 'never_ucp', 'never_backslash_c', 'no_auto_possess', 'no_dotstar_anchor'],
  ...['no_auto_capture', 'no_start_optimize', 'use_offset_limit', 'auto_callout', 'alt_verbnames'],
  ...['alt_bsux', 'match_unset_backref', 'alt_circumflex', 'dupnames'],
];

/** How the pattern itself is read. */
const READING = ['allow_empty_class', 'dollar_endonly', 'extended', 'ungreedy'];

export const hasOption = (option: string): boolean =>
  option in FLAGS || NATURAL.includes(option) || READING.includes(option);

export function flagsOf(options: readonly string[]): string {
  return [...new Set(options.flatMap((option) => FLAGS[option] ?? []))].join('');
}

const START = '(?<![\\s\\S])';
const END = '(?![\\s\\S])';

/** Escapes that PCRE2 has and JavaScript takes for letters; undefined: it has none alike. */
const ESCAPES: Record<string, string | undefined> = {
  A: START,
  z: END,
  Z: `(?=\\n?${END})`,
  a: '\\x07',
  e: '\\x1b',
  h: '[\\t\\x20\\xa0]',
  ...Object.fromEntries([...'CEGHKLNQRUVXglo'].map((letter) => [letter, undefined])),
};
const ASSERTIONS = 'AzZ';

export interface Translated {
  pattern: string;
  /** What JavaScript has nothing for, as the pattern says it. */
  unknown: string[];
}

/** `options`: PCRE2's by keepalived's names. */
export function translated(text: string, options: readonly string[]): Translated {
  const has = (name: string) => options.includes(name);
  const unknown: string[] = [];
  let pattern = '';
  let inClass = false;
  let afterEscape = false;
  for (let at = 0; at < text.length; at++) {
    const one = text[at] as string;
    const escaped = afterEscape;
    afterEscape = false;
    if (one === '\\') {
      const letter = text[++at] ?? '';
      afterEscape = !inClass;
      if (!Object.hasOwn(ESCAPES, letter)) pattern += `\\${letter}`;
      else if (ESCAPES[letter] === undefined || (inClass && ASSERTIONS.includes(letter))) {
        unknown.push(`\\${letter}`);
      } else pattern += inClass ? classPart(ESCAPES[letter]) : ESCAPES[letter];
    } else if (inClass) {
      if (/^\[:\^?[a-z]+:\]/.test(text.slice(at))) unknown.push(`${text.slice(at).split(']')[0]}]`);
      inClass = one !== ']';
      pattern += one === '[' ? '\\[' : one;
    } else if (one === '[') {
      inClass = true;
      const [open = one] = /^\[\^?/.exec(text.slice(at)) ?? [];
      at += open.length - 1;
      pattern += open;
      // The first of a class is a letter there, and its end in JavaScript.
      if (text[at + 1] === ']' && !has('allow_empty_class')) {
        pattern += '\\]';
        at++;
      }
    } else if (has('extended') && /[\s#]/.test(one)) {
      if (one === '#') while (at + 1 < text.length && text[at + 1] !== '\n') at++;
      // \1 and 2 are not \12.
      const next = /^[\s]*(.)/.exec(text.slice(at + 1))?.[1] ?? '';
      if (escaped && /\w/.test(next)) pattern += '(?:)';
    } else if (one === '$' && !has('dollar_endonly') && !has('multiline')) {
      pattern += `(?=\\n?${END})`;
    } else pattern += one;
  }
  // Greed decides how much is matched: of use only to what is captured and referred to.
  if (has('ungreedy') && /\\[1-9]|\\k/.test(pattern)) unknown.push('ungreedy and a back reference');
  return { pattern, unknown };
}

const classPart = (text: string) => text.replace(/^\[(.*)\]$/, '$1');

/** Whether a pattern of JavaScript's says where the text ends, which PCRE2 has to be told. */
export function needsEndOnly(pattern: string, flags: string): boolean {
  return !flags.includes('m') && /(^|[^\\])(\\\\)*\$/.test(pattern);
}
