/**
 * Lines of addresses, routes and rules in the words of ip(8), as keepalived takes them: their parts,
 * and what of them cannot be. Pure, but for the names that iproute2's own tables have (words.ts).
 */
import ipaddr from 'ipaddr.js';
import { networkOf } from '../config/address.js';
import { address, integer, isAddress, network } from '../config/keepalived/keywords/kinds.js';
import { ACTIONS, ADDRESS, HOP, type Option, orAll, ROUTE, ROUTE_TYPES, RULE } from './words.js';

export interface Fault {
  /** Index of the word. */
  word: number;
  message: string;
  code?: 'ERR_CONFIG_UNKNOWN_KEY';
  warning?: true;
}

/** `track`: a group that says when it counts, of lines that always do. */
export interface Where {
  trackGroups: boolean;
  virtualMac: boolean;
}
export const VIRTUAL: Where = { trackGroups: false, virtualMac: true };
export const STATIC: Where = { trackGroups: true, virtualMac: false };

/** A line in parts: what stands alone, and options with their values, `lock` and all. */
export interface Line {
  type: string | undefined;
  target: string | undefined;
  options: { name: string; at: number; values: string[] }[];
  hops: Line['options'][];
}

const isSix = (text: string) => text.includes(':');
const familyOf = (text: string | undefined) =>
  text === undefined || !isAddress(text.split('/')[0] as string) ? undefined : isSix(text) ? 6 : 4;

class Reader {
  readonly faults: Fault[] = [];
  readonly #words: readonly string[];
  readonly #known: Record<string, Option>;
  readonly #what: string;
  readonly #seen = new Set<string>();
  at = 0;

  constructor(words: readonly string[], known: Record<string, Option>, what: string) {
    this.#words = words;
    this.#known = known;
    this.#what = what;
  }

  get word(): string | undefined {
    return this.#words[this.at];
  }

  fail(word: number, message: string, warning?: true): void {
    this.faults.push({ word, message, ...(warning && { warning }) });
  }

  /** One option with its values; false: it is none, or a value lacks, and the rest means nothing. */
  option(into: Line['options'], fresh = this.#seen): boolean {
    const { at } = this;
    const said = this.word as string;
    const option = Object.hasOwn(this.#known, said) ? this.#known[said] : undefined;
    if (!option) {
      const message = `${said} is no option of ${this.#what}`;
      this.faults.push({ word: at, code: 'ERR_CONFIG_UNKNOWN_KEY', message });
      return false;
    }
    const own = option.same ?? said;
    if (fresh.has(own)) this.fail(at, `${said} is given twice`);
    fresh.add(own);
    this.at++;
    const values: string[] = [];
    if (option.check) {
      if (option.lock && this.word === 'lock') values.push(this.#take());
      if (own === 'via' && /^inet6?$/.test(this.word ?? '')) values.push(this.#take());
      if (this.word === undefined) {
        this.fail(at, `${said} needs a value`);
        return false;
      }
      const expected = option.check(this.word);
      if (expected) this.fail(this.at, `${said} is ${this.word}, expected ${expected}`);
      values.push(this.#take());
    }
    into.push({ name: said, at, values });
    return true;
  }

  #take(): string {
    return this.#words[this.at++] as string;
  }
}

/** What `encap` says: ip and ip6 with options, mpls with labels, ila with an address. */
const ENCAPSULATIONS: Record<string, readonly string[]> = {
  ip: ['id', 'dst', 'src', 'tos', 'ttl', 'flags'],
  ip6: ['id', 'dst', 'src', 'tc', 'hoplimit', 'flags'],
  mpls: ['ttl'],
  ila: [],
};

function encapsulation(reader: Reader, words: readonly string[], into: Line['options']): boolean {
  const begin = reader.at++;
  const type = words[reader.at] ?? '';
  const options = Object.hasOwn(ENCAPSULATIONS, type) ? ENCAPSULATIONS[type] : undefined;
  if (!options) {
    reader.fail(
      Math.min(reader.at, words.length - 1),
      `encap is ${type || 'missing'}, expected ip, ip6, mpls or ila`,
    );
    return false;
  }
  reader.at++;
  if (type === 'mpls' || type === 'ila') {
    const value = words[reader.at] ?? '';
    const good =
      type === 'mpls'
        ? /^\d+(\/\d+)*$/.test(value)
        : /^[\da-f]{1,4}(:[\da-f]{1,4}){3}$/i.test(value);
    if (!good) {
      reader.fail(
        Math.min(reader.at, words.length - 1),
        `encap ${type} is ${value || 'missing'}, expected ${type === 'mpls' ? 'labels such as 100/200' : 'a locator'}`,
      );
      return false;
    }
    reader.at++;
  }
  while (options.includes(words[reader.at] ?? '')) {
    const value = words[reader.at + 1];
    if (value === undefined || !/^[\w.:]+$/.test(value)) {
      reader.fail(reader.at, `${words[reader.at]} needs a value`);
      return false;
    }
    reader.at += 2;
  }
  into.push({ name: 'encap', at: begin, values: words.slice(begin + 1, reader.at) });
  return true;
}

export function parseRoute(words: readonly string[]): { line: Line; faults: Fault[] } {
  const reader = new Reader(words, ROUTE, 'a route');
  const line: Line = { type: undefined, target: undefined, options: [], hops: [] };
  const done = () => ({ line, faults: reader.faults });
  if (ROUTE_TYPES.includes(words[0] as string)) line.type = words[reader.at++];
  while (reader.word !== undefined) {
    const { word, at } = reader;
    if (word === 'encap') {
      if (!encapsulation(reader, words, line.options)) return done();
    } else if (word === 'or') {
      reader.fail(at, 'or is deprecated, expected nexthop', true);
      const expected = address(words[at + 1] ?? '');
      if (expected) {
        reader.fail(at, `or is ${words[at + 1] ?? 'missing'}, expected ${expected}`);
        return done();
      }
      line.hops.push([{ name: 'via', at: at + 1, values: [words[at + 1] as string] }]);
      reader.at += 2;
    } else if (word === 'nexthop') {
      if (!nextHops(reader, words, line)) return done();
    } else if (Object.hasOwn(ROUTE, word)) {
      if (word === 'gw') reader.fail(at, 'gw is deprecated, expected via', true);
      if (!reader.option(line.options)) return done();
      if (/^inet6?$/.test(word) && reader.word !== undefined) {
        reader.fail(at, `${word} belongs at the end of the line`);
      }
    } else {
      if (word === 'to') reader.at++;
      if (!target(reader, line, 'a route')) return done();
    }
  }
  if (line.target === undefined) reader.fail(0, 'a route needs a destination');
  return done();
}

function target(reader: Reader, line: Line, what: string): boolean {
  const text = reader.word ?? '';
  const expected = orAll(network)(text);
  if (expected) {
    const at = reader.word === undefined ? Math.max(0, reader.at - 1) : reader.at;
    if (isAddress(text.split('/')[0] as string) || line.target === undefined) {
      reader.fail(at, `${text || 'nothing'} is no network, expected ${expected}`);
    } else {
      const message = `${text} is no option of ${what}`;
      reader.faults.push({ word: at, code: 'ERR_CONFIG_UNKNOWN_KEY', message });
    }
    return false;
  }
  if (line.target !== undefined) reader.fail(reader.at, `${text} is a second destination`);
  line.target = text;
  reader.at++;
  return true;
}

function nextHops(reader: Reader, words: readonly string[], line: Line): boolean {
  while (reader.word === 'nexthop') {
    reader.at++;
    const hop: Line['options'] = [];
    const seen = new Set<string>();
    line.hops.push(hop);
    while (reader.word !== undefined && reader.word !== 'nexthop') {
      const { word, at } = reader;
      if (word === 'encap') {
        if (!encapsulation(reader, words, hop)) return false;
      } else if (word === 'weight') {
        const expected = integer(1, 256)(words[at + 1] ?? '');
        if (expected) {
          reader.fail(
            words[at + 1] === undefined ? at : at + 1,
            `weight is ${words[at + 1] ?? 'missing'}, expected ${expected}`,
          );
          return false;
        }
        hop.push({ name: 'weight', at, values: [words[at + 1] as string] });
        reader.at += 2;
      } else if (!HOP.includes(word)) {
        reader.fail(at, `${word} cannot follow next hops`);
        return false;
      } else if (!reader.option(hop, seen)) return false;
    }
  }
  return true;
}

export const valueIn = (options: Line['options'], ...names: string[]): string | undefined =>
  options.find((one) => names.includes(one.name))?.values.at(-1);

/** IPv4's unless something says IPv6. */
export function familyOfRoute({ target: to, options, hops }: Line): 4 | 6 {
  if (to === 'default6' || options.some((one) => one.name === 'inet6')) return 6;
  const all = [
    to,
    valueIn(options, 'from', 'src'),
    valueIn(options, 'via', 'gw'),
    ...hops.map((hop) => valueIn(hop, 'via')),
  ];
  return all.map(familyOf).find((one) => one !== undefined) ?? 4;
}

export function routeFaults(words: readonly string[], where: Where): Fault[] {
  const { line, faults } = parseRoute(words);
  if (faults.some(({ warning }) => !warning)) return faults;
  const { options, hops, target: to = '' } = line;
  const family = familyOfRoute(line);
  const fail = (word: number, message: string) => faults.push({ word, message });
  for (const { name: said, at, values } of [...options, ...hops.flat()]) {
    const value = values.at(-1);
    if (['src', 'via', 'gw'].includes(said) && familyOf(value) !== family) {
      fail(at + values.length, `${value} is not of the family of the route, IPv${family}`);
    }
    if (said === 'from' && familyOf(value) !== 6) fail(at, 'routes by source are IPv6’s');
    if (['pref', 'expires'].includes(said) && family === 4) fail(at, `${said} is IPv6’s`);
    if (said === 'inet6' && familyOf(to) === 4) fail(at, 'inet6, and the route is IPv4’s');
    if (said === 'track_group' && !where.trackGroups) {
      faults.push({
        word: at,
        code: 'ERR_CONFIG_UNKNOWN_KEY',
        message: 'track_group is for static routes',
      });
    }
  }
  const bits = hostBits(to);
  if (bits) fail(words.indexOf(to), bits);
  return faults;
}

/** What the kernel refuses: bits behind the mask. */
function hostBits(text: string): string | undefined {
  const [host = '', length] = text.split('/');
  if (length === undefined || !isAddress(host)) return undefined;
  const own = ipaddr.parse(host).toString();
  const wanted = networkOf({ address: own, length: Number(length) }).address;
  return wanted === own
    ? undefined
    : `${text} has bits behind its mask, expected ${wanted}/${length}`;
}

export function ruleFaults(words: readonly string[], where: Where): Fault[] {
  const { line, faults } = parseRule(words);
  if (faults.length > 0) return faults;
  const { options } = line;
  const fail = (word: number, message: string) => faults.push({ word, message });
  const families = options.flatMap(({ name: said, at, values }) => {
    const family = said === 'from' || said === 'to' ? familyOf(values[0]) : undefined;
    return family === undefined ? [] : [{ at, family }];
  });
  const other = families.find(({ family }) => family !== families[0]?.family);
  if (other) fail(other.at, 'a rule is IPv4’s or IPv6’s');
  const six = options.find((one) => one.name === 'inet6');
  if (six && families[0]?.family === 4) fail(six.at, 'inet6, and the rule is IPv4’s');
  const actions = options.filter(({ name: said }) => ACTIONS.includes(RULE[said]?.same ?? said));
  const [, second] = actions;
  if (actions.length === 0) fail(0, `nothing is said to do, expected one of ${ACTIONS.join(', ')}`);
  if (second) fail(second.at, `${second.name} is a second thing to do`);
  const rank = valueIn(options, 'preference', 'priority', 'order');
  const to = options.find((one) => one.name === 'goto');
  if (to && rank !== undefined && Number(to.values[0]) <= Number(rank)) {
    fail(to.at + 1, `goto is ${to.values[0]}, expected a rule after its own preference ${rank}`);
  }
  for (const { name: said, at } of options) {
    if (said !== 'track_group' || where.trackGroups) continue;
    faults.push({
      word: at,
      code: 'ERR_CONFIG_UNKNOWN_KEY',
      message: 'track_group is for static rules',
    });
  }
  return faults;
}

export function parseRule(words: readonly string[]): { line: Line; faults: Fault[] } {
  const reader = new Reader(words, RULE, 'a rule');
  const line: Line = { type: undefined, target: undefined, options: [], hops: [] };
  while (reader.word !== undefined) {
    const { word, at } = reader;
    if (word === 'type' && ACTIONS.includes(words[at + 1] ?? '')) reader.at++;
    if (!reader.option(line.options)) break;
    if (/^inet6?$/.test(word) && reader.word !== undefined) {
      reader.fail(at, `${word} belongs at the end of the line`);
    }
  }
  return { line, faults: reader.faults };
}

export function familyOfRule({ options }: Line): 4 | 6 {
  if (options.some((one) => one.name === 'inet6')) return 6;
  return [valueIn(options, 'from'), valueIn(options, 'to')].map(familyOf).includes(6) ? 6 : 4;
}

export function parseAddress(words: readonly string[]): { line: Line; faults: Fault[] } {
  const reader = new Reader(words, ADDRESS, 'an address');
  const text = words[0] ?? '';
  const line: Line = { type: undefined, target: text, options: [], hops: [] };
  const expected = network(text);
  if (expected) reader.fail(0, `${text} is no address, expected ${expected}`);
  else {
    reader.at = 1;
    while (reader.word !== undefined && reader.option(line.options));
  }
  return { line, faults: reader.faults };
}

export function addressFaults(words: readonly string[], where: Where): Fault[] {
  const { line, faults } = parseAddress(words);
  if (faults.length > 0) return faults;
  const text = words[0] as string;
  for (const { name: said, at, values } of line.options) {
    if (said === 'peer' && text.includes('/')) {
      faults.push({ word: at, message: 'with a peer the address has no prefix length' });
    }
    if (said === 'peer' && isSix(values[0] as string) !== isSix(text)) {
      faults.push({ word: at + 1, message: `${values[0]} is not of the family of ${text}` });
    }
    const strange =
      (said === 'track_group' && !where.trackGroups) || (said === 'use_vmac' && !where.virtualMac);
    if (strange) {
      faults.push({
        word: at,
        code: 'ERR_CONFIG_UNKNOWN_KEY',
        message: `${said} is no option of this address`,
      });
    }
  }
  return faults;
}
