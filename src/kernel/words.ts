/** Options of `ip address`, `ip route` and `ip rule` as keepalived takes them: what each one expects. */
import { address, integer, network, oneOf } from '../config/keepalived/keywords/kinds.js';
import { namesOf } from './names.js';

/** What is expected in place of a word, or nothing. */
type Check = (text: string) => string | undefined;

export interface Option {
  check?: Check;
  /** `lock` may stand before the value. */
  lock?: true;
  /** Another name for it. */
  same?: string;
}

export const WORDS_OF_ALL = ['default', 'all', 'any', 'default6'];

const u32 = integer(0, 0xffff_ffff);
const bit = integer(0, 1);
const name: Check = (text) => (/^[\w.:@+-]+$/.test(text) ? undefined : 'a name');
const device: Check = (text) =>
  /^[^\s/"'\\#]{1,15}$/.test(text) ? undefined : 'the name of a port or interface';
const time: Check = (text) =>
  /^\d+(\.\d+)?([mun]?s)?$/.test(text) ? undefined : 'a time such as 100ms';
export const orAll =
  (check: Check): Check =>
  (text) =>
    WORDS_OF_ALL.includes(text) ? undefined : check(text);

/** A number, or a name of a table of iproute2's. */
const named =
  (table: string, most: number, what: string): Check =>
  (text) =>
    namesOf(table).has(text) || inRange(text, most)
      ? undefined
      : `a number up to ${most}, or a name of /etc/iproute2/${table}: ${what}`;

function inRange(text: string, most: number): boolean {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  return value >= 0 && value <= most;
}

const table = named('rt_tables', 0xffff_ffff, 'main, local or default');
const realms: Check = (text) => {
  const parts = text.split('/');
  const one = named('rt_realms', 0xffff, 'such as 5, or 5/6');
  return parts.length > 2 ? one('') : parts.map((part) => one(part)).find(Boolean);
};
const range =
  (most: number, what: string): Check =>
  (text) => {
    const [, low, high] = /^(\d+)-(\d+)$/.exec(text) ?? [];
    return inRange(low ?? '', most) && inRange(high ?? '', most) ? undefined : what;
  };

export const ROUTE: Record<string, Option> = {
  src: { check: address },
  via: { check: address },
  gw: { check: address, same: 'via' },
  from: { check: network },
  tos: { check: named('rt_dsfield', 255, 'such as 0x10') },
  dsfield: { check: named('rt_dsfield', 255, 'such as 0x10'), same: 'tos' },
  table: { check: table },
  vrf: { check: device },
  protocol: { check: named('rt_protos', 255, 'such as static') },
  scope: { check: named('rt_scopes', 255, 'global, site, link, host or nowhere') },
  metric: { check: u32 },
  priority: { check: u32, same: 'metric' },
  preference: { check: u32, same: 'metric' },
  dev: { check: device },
  oif: { check: device, same: 'dev' },
  onlink: {},
  mtu: { check: u32, lock: true },
  hoplimit: { check: integer(0, 255) },
  advmss: { check: u32, lock: true },
  rtt: { check: time, lock: true },
  rttvar: { check: time, lock: true },
  reordering: { check: u32, lock: true },
  window: { check: u32, lock: true },
  cwnd: { check: u32, lock: true },
  ssthresh: { check: u32, lock: true },
  realms: { check: realms },
  rto_min: { check: time, lock: true },
  initcwnd: { check: u32 },
  initrwnd: { check: u32 },
  features: { check: oneOf('ecn') },
  quickack: { check: bit },
  congctl: { check: name, lock: true },
  pref: { check: oneOf('low', 'medium', 'high') },
  expires: { check: u32 },
  fastopen_no_cookie: { check: bit },
  'ttl-propagate': { check: oneOf('enabled', 'disabled') },
  add: {},
  append: { same: 'add' },
  prepend: { same: 'add' },
  inet: {},
  inet6: { same: 'inet' },
  no_track: {},
  track_group: { check: name },
};

/** Of a next hop among several. */
export const HOP = ['via', 'dev', 'oif', 'onlink', 'realms'];

export const ROUTE_TYPES = [
  ...['unicast', 'local', 'broadcast', 'anycast', 'multicast'],
  ...['throw', 'unreachable', 'prohibit', 'blackhole', 'nat', 'xresolve'],
];

export const RULE: Record<string, Option> = {
  not: {},
  from: { check: orAll(network) },
  to: { check: orAll(network) },
  iif: { check: device },
  dev: { check: device, same: 'iif' },
  oif: { check: device },
  tos: { check: named('rt_dsfield', 255, 'such as 0x10') },
  dsfield: { check: named('rt_dsfield', 255, 'such as 0x10'), same: 'tos' },
  fwmark: {
    check: (text) => {
      const parts = text.split('/');
      const good = parts.length <= 2 && parts.every((part) => inRange(part, 0xffff_ffff));
      return good ? undefined : 'a mark such as 1, or 0x1/0xff';
    },
  },
  preference: { check: u32 },
  priority: { check: u32, same: 'preference' },
  order: { check: u32, same: 'preference' },
  realms: { check: realms },
  uidrange: { check: range(0xffff_ffff, 'numbers of users such as 100-200') },
  protocol: { check: integer(0, 255) },
  ipproto: {
    check: (text) =>
      namesOf('protocols').has(text.toLowerCase()) ? undefined : integer(0, 255)(text),
  },
  sport: { check: range(65_535, 'ports such as 10-20') },
  dport: { check: range(65_535, 'ports such as 10-20') },
  'tunnel-id': { check: (text) => (/^\d{1,20}$/.test(text) ? undefined : 'a number') },
  suppress_prefixlength: { check: integer(0, 128) },
  suppress_ifgroup: { check: named('group', 0xffff_ffff, 'such as default') },
  table: { check: (text) => (text === '0' ? 'a table but 0' : table(text)) },
  lookup: { check: (text) => (text === '0' ? 'a table but 0' : table(text)), same: 'table' },
  goto: { check: u32 },
  l3mdev: {},
  nop: {},
  blackhole: {},
  prohibit: {},
  unreachable: {},
  inet: {},
  inet6: { same: 'inet' },
  no_track: {},
  track_group: { check: name },
};
/** A rule does one of these. */
export const ACTIONS = ['table', 'goto', 'l3mdev', 'nop', 'blackhole', 'prohibit', 'unreachable'];

export const ADDRESS: Record<string, Option> = {
  brd: { check: (text) => (text === '+' || text === '-' ? undefined : address(text)) },
  broadcast: {
    check: (text) => (text === '+' || text === '-' ? undefined : address(text)),
    same: 'brd',
  },
  dev: { check: device },
  scope: { check: named('rt_scopes', 255, 'global, site, link, host or nowhere') },
  label: { check: device },
  peer: { check: address },
  home: {},
  '-nodad': {},
  mngtmpaddr: {},
  noprefixroute: {},
  autojoin: {},
  no_track: {},
  track_group: { check: name },
  preferred_lft: { check: (text) => (text === 'forever' ? undefined : u32(text)) },
  use_vmac: {},
};
