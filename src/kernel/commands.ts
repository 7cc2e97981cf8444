/** What the kernel is to be given, as commands of iproute2. Pure. */
import type { Model } from '../config/model.js';
import {
  familyOfRoute,
  familyOfRule,
  type Line,
  parseAddress,
  parseRoute,
  parseRule,
  valueIn,
} from './grammar.js';
import { WORDS_OF_ALL } from './words.js';

/**
 * Marks routes and rules as a director's, for the next one: VRRP's own number, which iproute2 has no
 * other meaning for.
 */
export const PROTOCOL = '112';

export interface Item {
  kind: 'address' | 'route' | 'rule';
  family: 4 | 6;
  /** As the configuration says it, for people. */
  text: string;
  add: string[];
  remove: string[];
}

/** What a line calls a device → the kernel's name of it. */
type Device = (name: string) => string;

const split = (text: string) => text.trim().split(/\s+/);

/** Those that are always there, and those of the instances that are masters; each once. */
export function itemsOf(model: Model, masters: ReadonlySet<string>): Item[] {
  const device: Device = (name) => model.ports.find((port) => port.name === name)?.twin ?? name;
  const own = model.vrrp.instances.filter(({ name }) => masters.has(name));
  const routes = [...model.kernel.routes, ...own.flatMap((one) => one.routes)];
  const rules = [...model.kernel.rules, ...own.flatMap((one) => one.rules)];
  const items = [
    ...model.kernel.addresses.map((text) => addressItem(text, device)),
    ...routes.map((text) => routeItem(text, device)),
    ...rules.map((text) => ruleItem(text, device)),
  ];
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}

export const keyOf = ({ family, add }: Item) => `${family} ${add.join(' ')}`;

/** What says which one it is, and not how packets fare by it. */
const IDENTITY = ['from', 'tos', 'dsfield', 'table', 'vrf', 'scope', 'protocol'];
const RANKS = ['metric', 'priority', 'preference'];
/** keepalived's own words. */
const NOT_IPROUTE2 = ['no_track', 'track_group', 'inet', 'inet6', 'add', 'append', 'prepend'];
/** Where nothing is said: before others of its kind, as keepalived does. */
const VERBS = ['add', 'append', 'prepend'];

export function routeItem(text: string, device: Device): Item {
  const { line } = parseRoute(split(text));
  const { options, hops } = line;
  const whole = WORDS_OF_ALL.includes(line.target ?? '');
  const head = [...(line.type ? [line.type] : []), whole ? 'default' : (line.target as string)];
  const tracked = !options.some(({ name }) => name === 'no_track');
  const said = options.filter(
    ({ name }) => !NOT_IPROUTE2.includes(name) && !(name === 'protocol' && tracked),
  );
  const own = said.some(({ name }) => name === 'protocol') ? [] : ['protocol', PROTOCOL];
  const ends = said.filter(({ name }) => isEnd(name));
  const rest = said.filter((one) => !ends.includes(one));
  // A next hop besides others is one of them.
  const first = hops.length > 0 && valueIn(ends, 'via', 'gw') ? [ends] : [];
  const dev = ends.filter(({ name }) => name === 'dev' || name === 'oif');
  const all = [
    ...first,
    ...hops.map((hop) => (first.length > 0 && hop.length === 1 ? [...hop, ...dev] : hop)),
  ];
  const towards =
    all.length > 0
      ? all.flatMap((hop) => ['nexthop', ...tokens(hop, device)])
      : tokens(ends, device);
  const named = rest.filter(({ name }) => IDENTITY.includes(name) || RANKS.includes(name));
  const verb = options.find(({ name }) => VERBS.includes(name))?.name ?? 'prepend';
  return {
    kind: 'route',
    family: familyOfRoute(line),
    text: `route ${text}`,
    add: ['route', verb, ...head, ...tokens(rest, device), ...own, ...towards],
    remove: ['route', 'del', ...head, ...tokens(named, device), ...own, ...towards],
  };
}

const isEnd = (name: string) => ['via', 'gw', 'dev', 'oif', 'onlink'].includes(name);

const NAMES: Record<string, string> = {
  gw: 'via',
  oif: 'dev',
  preference: 'metric',
  priority: 'metric',
};
const DEVICES = ['dev', 'oif', 'iif', 'vrf'];

function tokens(options: Line['options'], device: Device, names = NAMES): string[] {
  return options.flatMap(({ name, values }) => [
    names[name] ?? name,
    ...(DEVICES.includes(name) ? values.map(device) : values),
  ]);
}

const RULE_NAMES: Record<string, string> = {
  dev: 'iif',
  lookup: 'table',
  order: 'priority',
  preference: 'priority',
  'tunnel-id': 'tun_id',
};

export function ruleItem(text: string, device: Device): Item {
  const { line } = parseRule(split(text));
  const { options } = line;
  const tracked = !options.some(({ name }) => name === 'no_track');
  const said = options
    .filter(({ name }) => !NOT_IPROUTE2.includes(name) && !(name === 'protocol' && tracked))
    .map((one) => {
      const all =
        (one.name === 'from' || one.name === 'to') && WORDS_OF_ALL.includes(one.values[0] ?? '');
      return all ? { ...one, values: ['all'] } : one;
    });
  const own = said.some(({ name }) => name === 'protocol') ? [] : ['protocol', PROTOCOL];
  // `oif` is a rule's own word.
  const words = [...tokens(said, device, { ...RULE_NAMES, oif: 'oif' }), ...own];
  return {
    kind: 'rule',
    family: familyOfRule(line),
    text: `rule ${text}`,
    add: ['rule', 'add', ...words],
    remove: ['rule', 'del', ...words],
  };
}

const MOST_LABEL = 15;

export function addressItem(text: string, device: Device): Item {
  const { line } = parseAddress(split(text));
  const { options, target = '' } = line;
  const dev = device(valueIn(options, 'dev') ?? '');
  const said = options
    .filter(({ name }) => ![...NOT_IPROUTE2, 'use_vmac', 'dev'].includes(name))
    .map((one) => {
      if (one.name === '-nodad') return { ...one, name: 'nodad' };
      if (one.name !== 'label') return one;
      // A label begins with its device, which has another name in the kernel.
      const [, more = ''] = /:(.*)$/.exec(one.values[0] ?? '') ?? [];
      return { ...one, values: [`${dev}:${more}`.slice(0, MOST_LABEL)] };
    });
  const peer = said.filter(({ name }) => name === 'peer');
  return {
    kind: 'address',
    family: target.includes(':') ? 6 : 4,
    text: `address ${text}`,
    add: ['address', 'add', target, ...tokens(said, device, {}), 'dev', dev],
    remove: ['address', 'del', target, ...tokens(peer, device, {}), 'dev', dev],
  };
}
