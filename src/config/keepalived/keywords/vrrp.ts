/** vrrp_* blocks and what they track; addresses, routes and rules given to the kernel. */
import type { Node } from '../tree.js';
import {
  address,
  type Block,
  bool,
  decimal,
  type Finding,
  flag,
  group,
  integer,
  type Keyword,
  keyword,
  many,
  names,
  network,
  nothingOrValue,
  one,
  oneOf,
  optional,
  type Support,
  script,
  switchable,
  timer,
  timerOrZero,
  tracked,
  unsupported,
  value,
  word,
} from './kinds.js';

type Option = 'flag' | 'word' | 'address' | 'network' | 'number';

/** Options of `ip address`, without shortened names. */
const ADDRESS_OPTIONS: Record<string, Option> = {
  brd: 'word',
  broadcast: 'word',
  dev: 'word',
  scope: 'word',
  label: 'word',
  peer: 'network',
  home: 'flag',
  '-nodad': 'flag',
  nodad: 'flag',
  mngtmpaddr: 'flag',
  noprefixroute: 'flag',
  autojoin: 'flag',
  no_track: 'flag',
  track_group: 'word',
  preferred_lft: 'word',
  use_vmac: 'flag',
};

const ROUTE_TYPES = [
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'throw',
  'unreachable',
  'prohibit',
  'blackhole',
  'nat',
];

/** Options of `ip route`. */
const ROUTE_OPTIONS: Record<string, Option> = {
  to: 'network',
  src: 'address',
  via: 'word',
  gw: 'address',
  or: 'address',
  dev: 'word',
  oif: 'word',
  scope: 'word',
  table: 'word',
  tos: 'word',
  dsfield: 'word',
  protocol: 'word',
  priority: 'word',
  preference: 'word',
  metric: 'word',
  mtu: 'word',
  lock: 'number',
  hoplimit: 'number',
  advmss: 'word',
  rtt: 'word',
  rttvar: 'word',
  reordering: 'word',
  window: 'word',
  cwnd: 'word',
  ssthresh: 'word',
  realms: 'word',
  realm: 'word',
  rto_min: 'word',
  initcwnd: 'word',
  initrwnd: 'word',
  vrf: 'word',
  features: 'word',
  ecn: 'flag',
  add: 'flag',
  append: 'flag',
  fastopen_no_cookie: 'word',
  quickack: 'word',
  congctl: 'word',
  pref: 'word',
  encap: 'word',
  expires: 'word',
  ttl: 'word',
  'ttl-propagate': 'word',
  nexthop: 'flag',
  weight: 'number',
  onlink: 'flag',
  pervasive: 'flag',
  inet: 'flag',
  inet6: 'flag',
  no_track: 'flag',
  track_group: 'word',
};

/** Options of `ip rule`. */
const RULE_OPTIONS: Record<string, Option> = {
  from: 'network',
  to: 'network',
  not: 'flag',
  table: 'word',
  lookup: 'word',
  iif: 'word',
  dev: 'word',
  oif: 'word',
  tos: 'word',
  dsfield: 'word',
  fwmark: 'word',
  preference: 'word',
  order: 'word',
  priority: 'word',
  realms: 'word',
  goto: 'word',
  uidrange: 'word',
  protocol: 'word',
  ip_proto: 'word',
  ipproto: 'word',
  sport: 'word',
  dport: 'word',
  'tunnel-id': 'word',
  suppress_prefixlength: 'number',
  suppress_ifgroup: 'word',
  l3mdev: 'flag',
  inet: 'flag',
  inet6: 'flag',
  blackhole: 'flag',
  prohibit: 'flag',
  unreachable: 'flag',
  nop: 'flag',
  no_track: 'flag',
  track_group: 'word',
};

const number = integer(0, 0xffff_ffff);
const EXPECTS: Record<Option, (text: string) => string | undefined> = {
  flag: () => undefined,
  word: () => undefined,
  number: (text) => number(text),
  address: (text) => address(text),
  network: (text) => (text === 'all' || text === 'default' ? undefined : network(text)),
};

function options(
  node: Node,
  first: number,
  known: Record<string, Option>,
  what: string,
): Finding[] {
  const findings: Finding[] = [];
  const { words } = node;
  for (let index = first; index < words.length; index++) {
    const name = (words[index] as { text: string }).text;
    const kind = known[name];
    if (kind === undefined) {
      findings.push({
        word: index,
        code: 'ERR_CONFIG_UNKNOWN_KEY',
        message: `${name} is no option of ${what}`,
      });
      return findings;
    }
    if (kind === 'flag') continue;
    const argument = words[++index]?.text;
    if (argument === undefined) {
      findings.push({ word: index - 1, message: `${name} needs a value` });
      return findings;
    }
    const expected = EXPECTS[kind](argument);
    if (expected) {
      findings.push({ word: index, message: `${name} is ${argument}, expected ${expected}` });
    }
  }
  return findings;
}

const addressLine = (node: Node): Finding[] => {
  const text = node.words[0].text;
  const expected = network(text);
  if (expected) return [{ word: 0, message: `${text} is no address, expected ${expected}` }];
  return options(node, 1, ADDRESS_OPTIONS, 'an address');
};

const routeLine = (node: Node): Finding[] => {
  const words = node.words.map(({ text }) => text);
  let index = ROUTE_TYPES.includes(words[0] as string) ? 1 : 0;
  if (words[index] === 'src') index += 2;
  const target = words[index];
  if (target !== undefined && ROUTE_OPTIONS[target] === undefined) {
    const expected = EXPECTS.network(target);
    if (expected) {
      return [{ word: index, message: `${target} is no network, expected ${expected}` }];
    }
    index++;
  }
  const findings = options(node, index, ROUTE_OPTIONS, 'a route');
  for (const [old, now] of [
    ['or', 'nexthop'],
    ['gw', 'via'],
  ] as const) {
    const at = words.indexOf(old);
    if (at > 0) {
      findings.push({ word: at, message: `${old} is deprecated, expected ${now}`, warning: true });
    }
  }
  const special = ['blackhole', 'unreachable', 'prohibit', 'throw'].includes(words[0] as string);
  const placed = ['dev', 'oif', 'nexthop', 'no_track'].some((name) => words.includes(name));
  if (!placed && (!special || !words.includes('no_track'))) {
    const message = 'without dev the route cannot be tracked, expected dev or no_track';
    findings.push({ word: 0, message, warning: true });
  }
  return findings;
};

const ruleLine = (node: Node): Finding[] => {
  const findings = options(node, 0, RULE_OPTIONS, 'a rule');
  if (findings.length > 0) return findings;
  const ranked = ['preference', 'priority', 'order'].some((name) =>
    node.words.some(({ text }) => text === name),
  );
  if (!ranked) {
    const message = 'no preference is given: the order of rules is left to chance';
    findings.push({ word: 0, message, warning: true });
  }
  return findings;
};

const peerLine = (node: Node): Finding[] => {
  const { text } = node.words[0];
  const expected = address(text);
  if (expected) return [{ word: 0, message: `${text} is no address, expected ${expected}` }];
  return options(node, 1, { min_ttl: 'number', max_ttl: 'number' }, 'a unicast peer');
};

const addresses: Keyword = { args: [], block: addressLine };
const routes: Keyword = { args: [], block: routeLine };
const rules: Keyword = { args: [], block: ruleLine };

const KERNEL: Support = {
  tuning: 'interfaces and addresses are the dataplane’s, which makes none in the kernel',
};
const ADVERTS: Support = { tuning: 'adverts go as RFC 9568 says' };
const OTHERS: Support = { tuning: 'nobody is told of it: notify, notify_master and the FIFO are' };
const RECEIVING: Support = { tuning: 'adverts come by the dataplane, not by a socket' };

const TRACKS: Block = {
  track_interface: tracked(-253, 253),
  track_script: tracked(-253, 253),
  track_file: tracked(-254, 254),
  track_process: tracked(-254, 254),
  track_bfd: tracked(-253, 253),
};

const NOTIFIES: Block = {
  notify_master: script,
  notify_backup: script,
  notify_fault: script,
  notify_stop: script,
  notify: script,
  ...unsupported(OTHERS, {
    notify_deleted: {
      ...script,
      args: script.args.map((arg) => ({ ...arg, optional: true as const })),
    },
    notify_priority_changes: bool,
    smtp_alert: switchable,
  }),
};

const count = keyword(one(integer(0, 0xffff_ffff)));
const weight = (low: number, high: number) =>
  keyword(one(integer(low, high)), optional(oneOf('reverse', 'noreverse')));

export const VRRP_INSTANCE: Block = {
  state: keyword(one(oneOf('MASTER', 'BACKUP'))),
  interface: value,
  /** DPVS. */
  dpdk_interface: value,
  use_vmac: keyword(optional(word), optional(word)),
  vmac_xmit_base: flag,
  native_ipv6: { ...flag, deprecated: 'the addresses say whether it is IPv6' },
  dont_track_primary: flag,
  ...TRACKS,
  mcast_src_ip: keyword(one(address)),
  mcast_dst_ip: keyword(one(group)),
  unicast_src_ip: keyword(one(address)),
  version: keyword(one(integer(2, 3))),
  // Peers are known by their addresses anyway.
  check_unicast_src: flag,
  unicast_peer: { args: [], block: peerLine },
  garp_master_delay: keyword(one(integer(0, 0xffff_ffff))),
  garp_master_repeat: count,
  garp_lower_prio_delay: count,
  garp_lower_prio_repeat: count,
  garp_master_refresh: count,
  garp_master_refresh_repeat: count,
  down_timer_adverts: keyword(one(integer(1, 100))),
  virtual_router_id: keyword(one(integer(1, 255))),
  priority: keyword(one(integer(1, 255))),
  advert_int: keyword(one(decimal(0.01, 255))),
  authentication: {
    args: [],
    block: { auth_type: keyword(one(oneOf('PASS', 'AH'))), auth_pass: value },
  },
  virtual_ipaddress: addresses,
  virtual_ipaddress_excluded: addresses,
  nopreempt: nothingOrValue,
  preempt: flag,
  preempt_delay: keyword(one(decimal(0, 1000))),
  skip_check_adv_addr: switchable,
  strict_mode: switchable,
  ...NOTIFIES,
  ...unsupported({ packets: 'virtual_routes' }, { virtual_routes: routes, virtual_rules: rules }),
  ...unsupported(KERNEL, {
    vrf: value,
    use_vmac_addr: flag,
    use_ipvlan: keyword(optional(word), optional(word), optional(word)),
    track_src_ip: flag,
    garp_extra_if: keyword(one(word), optional(word)),
    garp_extra_if_vmac: keyword(one(word)),
    promote_secondaries: flag,
    linkbeat_use_polling: { ...flag, deprecated: 'use a linkbeat_interfaces block' },
  }),
  ...unsupported(ADVERTS, {
    unicast_fault_no_peer: flag,
    unicast_ttl: keyword(one(integer(0, 255))),
    old_unicast_checksum: keyword(optional(oneOf('never'))),
    lower_prio_no_advert: switchable,
    higher_prio_send_advert: switchable,
  }),
  accept: flag,
  no_accept: flag,
  ...unsupported(RECEIVING, { kernel_rx_buf_size: count }),
  ...unsupported(OTHERS, { notify_master_rx_lower_pri: script }),
  ...unsupported(
    { tuning: 'every advert that is dropped is counted and named: sluice show vrrp' },
    { debug: keyword(one(integer(0, 4))) },
  ),
  ...unsupported(
    { tuning: 'lvs_sync_daemon in global_defs says it' },
    {
      lvs_sync_daemon_interface: { ...value, deprecated: 'use lvs_sync_daemon in global_defs' },
    },
  ),
};

export const VRRP_SYNC_GROUP: Block = {
  group: names,
  ...TRACKS,
  ...NOTIFIES,
  global_tracking: { ...flag, deprecated: 'track in the group itself' },
  sync_group_tracking_weight: flag,
};

export const VRRP_SCRIPT: Block = {
  script,
  interval: keyword(one(integer(1, 4294))),
  timeout: keyword(one(integer(1, 4294))),
  weight: weight(-253, 253),
  rise: keyword(one(integer(1, 2_147_483_647))),
  fall: keyword(one(integer(1, 2_147_483_647))),
  user: keyword(one(word), optional(word)),
  init_fail: flag,
};

export const TRACK_PROCESS: Block = {
  process: { ...keyword(many(word)), escapes: true },
  param_match: keyword(one(oneOf('initial', 'partial'))),
  weight: weight(-254, 254),
  quorum: keyword(one(integer(1, 65_535))),
  quorum_max: keyword(one(integer(0, 65_535))),
  fork_delay: keyword(one(decimal(0.000001, 3600))),
  terminate_delay: keyword(one(decimal(0.000001, 3600))),
  delay: keyword(one(decimal(0.000001, 3600))),
  full_command: flag,
};

export const TRACK_FILE: Block = {
  file: value,
  weight: keyword(one(integer(-2_147_483_647, 2_147_483_647)), optional(oneOf('reverse'))),
  ...unsupported(
    { tuning: 'the file is not made: without it the number is 0' },
    { init_file: keyword(optional(word), optional(oneOf('overwrite'))) },
  ),
};

export const BFD_INSTANCE: Block = {
  neighbor_ip: keyword(one(address)),
  neighbour_ip: keyword(one(address)),
  source_ip: keyword(one(address)),
  min_rx: keyword(one(decimal(0.001, 4_294_967))),
  min_tx: keyword(one(decimal(0.001, 4_294_967))),
  idle_tx: keyword(one(decimal(0.001, 4_294_967))),
  multiplier: keyword(one(integer(1, 255))),
  passive: flag,
  ttl: keyword(one(integer(1, 255))),
  hoplimit: keyword(one(integer(1, 255))),
  max_hops: keyword(one(integer(-1, 255))),
  weight: weight(-253, 253),
  vrrp: flag,
  checker: flag,
};

export const GARP_GROUP: Block = {
  garp_interval: keyword(one(timer)),
  gna_interval: keyword(one(timer)),
  interface: value,
  interfaces: names,
};

const delayLine = ({ words }: Node): Finding[] =>
  words.slice(1).flatMap(({ text }, index) => {
    const expected = timerOrZero(text);
    return expected ? [{ word: index + 1, message: `is ${text}, expected ${expected}` }] : [];
  });

export const KERNEL_BLOCKS = {
  addresses,
  routes,
  rules,
  delays: { args: [], block: delayLine } satisfies Keyword,
};
