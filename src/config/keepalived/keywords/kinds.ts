/** The vocabulary that the keyword tables are written in: kinds of arguments, of lines, of blocks. */
import ipaddr from 'ipaddr.js';
import type { Node } from '../tree.js';

/** undefined: good; otherwise what was expected. */
export type Check = (text: string) => string | undefined;

export interface Arg {
  check: Check;
  optional?: true;
  /** Any number of these. */
  many?: true;
}

/**
 * Why Sluice does not do what a keyword says. `packets`: it would decide which packets go where, so
 * that it is an error unless the feature is accepted. `tuning`: it only says how keepalived itself
 * runs or what it tells others, so that it is a warning. See README.md.
 */
export type Support = { packets: string } | { tuning: string };

export interface Finding {
  /** Index of the word. */
  word: number;
  message: string;
  code?: string;
  warning?: true;
}

export interface Keyword {
  args: readonly Arg[];
  /** Its block: keywords, or free lines that this judges one by one. */
  block?: Block | ((line: Node) => Finding[]);
  /** What one argument alone does not show. */
  judge?: (node: Node) => Finding[];
  /** Its arguments are a command line or pattern: backslash escapes are good. */
  escapes?: true;
  support?: Support;
  /** keepalived takes it and complains. */
  deprecated?: string;
}

export interface Block {
  [keyword: string]: Keyword;
}

export const keyword = (...args: Arg[]): Keyword => ({ args });
export const one = (check: Check): Arg => ({ check });
export const optional = (check: Check): Arg => ({ check, optional: true });
export const many = (check: Check): Arg => ({ check, many: true });

/** The same keywords, each with what Sluice does not do of it. */
export function unsupported(support: Support, block: Block): Block {
  return Object.fromEntries(Object.entries(block).map(([name, of]) => [name, { ...of, support }]));
}

/** A keyword once in the table under two names. */
export function also(block: Block, names: Record<string, string>): Block {
  const copies = Object.entries(names).map(([name, of]) => [name, block[of] as Keyword]);
  return { ...block, ...Object.fromEntries(copies) };
}

export const any: Check = (text) => (text === '' ? 'a value' : undefined);
export const word: Check = any;

export const integer =
  (low: number, high: number): Check =>
  (text) => {
    const value = /^[+-]?\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? undefined : `a whole number from ${low} to ${high}`;
  };

/** Seconds or another quantity with up to six decimals. */
export const decimal =
  (low: number, high: number): Check =>
  (text) => {
    const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? undefined : `a number from ${low} to ${high}`;
  };

export const TIMER_MOST = 4294.967295;
export const timer = decimal(0.000001, TIMER_MOST);
export const timerOrZero = decimal(0, TIMER_MOST);

export const boolean: Check = (text) =>
  /^(on|off|true|false|yes|no)$/.test(text) ? undefined : 'on, off, true, false, yes or no';

export const oneOf =
  (...values: string[]): Check =>
  (text) =>
    values.includes(text)
      ? undefined
      : values.length === 1
        ? (values[0] as string)
        : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

export const address: Check = (text) => (isAddress(text) ? undefined : 'an IPv4 or IPv6 address');

/** Of adverts: IPv6's stays on the link. */
export const group: Check = (text) =>
  isAddress(text) && (text.includes(':') ? /^ff.2:/i.test(text) : isGroup(text))
    ? undefined
    : 'a multicast group such as 224.0.0.18, or ff02::12 on the link';

const isGroup = (text: string) => ipaddr.IPv4.parse(text).range() === 'multicast';

export const group4: Check = (text) =>
  text.includes(':') ? 'a multicast group of IPv4' : group(text);
export const group6: Check = (text) =>
  text.includes(':') ? group(text) : 'a multicast group of IPv6 on the link, such as ff02::12';

export const port = integer(1, 65535);
export const portOrZero = integer(0, 65535);
export const fwmark = integer(0, 0xffff_ffff);

export const network: Check = (text) => {
  const [host = '', length, more] = text.split('/');
  const bits = host.includes(':') ? 128 : 32;
  const good =
    isAddress(host) &&
    more === undefined &&
    (length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits));
  return good ? undefined : 'an address with or without a prefix length';
};

export function isAddress(text: string): boolean {
  return (
    ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && ipaddr.IPv6.isValid(text))
  );
}

export const hex = (wild: boolean): Check => {
  const pattern = wild ? /^[0-9a-fA-FxX]+$/ : /^[0-9a-fA-F]+$/;
  return (text) => (pattern.test(text) ? undefined : 'hexadecimal digits');
};

export const flag = keyword();
export const bool = keyword(one(boolean));
/** A bare keyword switches on. */
export const switchable = keyword(optional(boolean));
export const value = keyword(one(any));
export const nothingOrValue = keyword(optional(any));

/** `command [user [group]]`, the command in quotes when it has arguments. */
export const script: Keyword = {
  args: [one(any), optional(word), optional(word)],
  escapes: true,
};

/** A block of names, one or more a line. */
export const names: Keyword = { args: [], block: () => [] };

/** `name [weight N [reverse|noreverse]] [more options]`, one a line. */
export function tracked(low: number, high: number): Keyword {
  const check = integer(low, high);
  return {
    args: [],
    block: ({ words }) => {
      const [, second, third, fourth] = words.map(({ text }) => text);
      if (second === undefined) return [];
      if (second !== 'weight') {
        return [{ word: 1, message: `is ${second}, expected weight` }];
      }
      if (third === undefined) return [{ word: 1, message: 'weight needs a number' }];
      const expected = check(third);
      if (expected) return [{ word: 2, message: `is ${third}, expected ${expected}` }];
      if (fourth !== undefined && !/^no_?reverse$|^reverse$/.test(fourth)) {
        return [{ word: 3, message: `is ${fourth}, expected reverse or noreverse` }];
      }
      return [];
    },
  };
}
