/** One line of keepalived.conf → words and braces. Only double quotes quote, as in keepalived. */

export interface Word {
  /** Without its quotes; a backslash is kept, see `unescaped`. */
  text: string;
  /** From 1. */
  column: number;
  quoted: boolean;
}

export type Token = Word | '{' | '}';

/** Index at which a comment begins, or the length. `#` and `!` count anywhere outside quotes. */
export function commentStart(line: string): number {
  if (!/[#!]/.test(line)) return line.length;
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const letter = line[at];
    if (letter === '\\') at++;
    else if (letter === '"') quoted = !quoted;
    else if (!quoted && (letter === '#' || letter === '!')) return at;
  }
  return line.length;
}

export interface Split {
  tokens: Token[];
  /** Column (from 0) of each token. */
  columns: number[];
  /** Column (from 0) of a quote that nothing closes. */
  openQuote: number | undefined;
}

/**
 * `a" b"c` is the one word `a bc`. Braces outside quotes stand alone, wherever they are. A quote
 * after a backslash neither opens nor closes.
 */
export function split(line: string): Split {
  const result: Split = { tokens: [], columns: [], openQuote: undefined };
  let at = 0;
  while (at < line.length) {
    const letter = line[at] as string;
    if (isSpace(letter)) {
      at++;
    } else if (letter === '{' || letter === '}') {
      result.tokens.push(letter);
      result.columns.push(at++);
    } else {
      at = word(line, at, result);
    }
  }
  return result;
}

/** Most words have neither quotes nor backslashes. */
const PLAIN = /[^\s{}"\\]+(?=[\s{}]|$)/y;

function word(line: string, start: number, into: Split): number {
  PLAIN.lastIndex = start;
  const plain = PLAIN.exec(line)?.[0];
  if (plain !== undefined) {
    into.tokens.push({ text: plain, column: start + 1, quoted: false });
    into.columns.push(start);
    return start + plain.length;
  }
  let text = '';
  let quoted = false;
  let open = -1;
  let at = start;
  for (; at < line.length; at++) {
    const letter = line[at] as string;
    if (letter === '"') {
      quoted = true;
      open = open < 0 ? at : -1;
    } else if (letter === '\\' && at + 1 < line.length) {
      text += letter + line[++at];
    } else if (open < 0 && (isSpace(letter) || letter === '{' || letter === '}')) {
      break;
    } else {
      text += letter;
    }
  }
  if (open >= 0) into.openQuote = open;
  into.tokens.push({ text, column: start + 1, quoted });
  into.columns.push(start);
  return at;
}

function isSpace(letter: string): boolean {
  return letter === ' ' || letter === '\t' || letter === '\r' || letter === '\f' || letter === '\v';
}

const ESCAPES: Record<string, string> = {
  a: '\x07',
  b: '\b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Escapes of scripts and regular expressions: `\n`, `\101`, `\x41`, `\cA`; else the letter itself. */
export function unescaped(text: string): string {
  return text.replaceAll(
    /\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|c([\s\S])|([\s\S]))/g,
    (_, octal?: string, hex?: string, control?: string, letter?: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16) & 0xff);
      if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 0x1f);
      return ESCAPES[letter as string] ?? (letter as string);
    },
  );
}

/** The word as a file has to say it, for `split` to give the text back. */
export function quote(text: string): string {
  if (text !== '' && !/[\s"{}#!$\\@~]/.test(text)) return text;
  return `"${text}"`;
}
