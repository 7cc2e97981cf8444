/**
 * ipvsadm's options as a table: spelling, argument, and which command takes which. The order of
 * OPTIONS is that in which ipvsadm looks for options that are missing or out of place.
 */
import type { OptionSpec } from './split.js';

export const COMMANDS = {
  'add-service': 'A',
  'edit-service': 'E',
  'delete-service': 'D',
  flush: 'C',
  restore: 'R',
  save: 'S',
  'add-server': 'a',
  'edit-server': 'e',
  'delete-server': 'd',
  list: 'L',
  zero: 'Z',
  set: '',
  'start-daemon': '',
  'stop-daemon': '',
  help: 'h',
  version: 'v',
  // DPVS's own.
  'add-laddr': 'P',
  'del-laddr': 'Q',
  'get-laddr': 'G',
  'add-blklst': 'U',
  'del-blklst': 'V',
  'get-blklst': 'B',
  'add-whtlst': 'O',
  'del-whtlst': 'Y',
  'get-whtlst': 'W',
} as const;
export type CommandName = keyof typeof COMMANDS;

/** Options by the names that messages use. */
export const OPTIONS = [
  'numeric',
  'connection',
  'service-address',
  'scheduler',
  'persistent',
  'netmask',
  'real-server',
  'forwarding-method',
  'weight',
  'u-threshold',
  'l-threshold',
  'mcast-interface',
  'timeout',
  'daemon',
  'stats',
  'rate',
  'thresholds',
  'persistent-conn',
  'nosort',
  'syncid',
  'exact',
  'ops',
  'pe',
  'sched-flags',
  'tun-type',
  'tun-port',
  'tun-info',
  'tun-nocsum',
  'tun-csum',
  'tun-remcsum',
  'sync-maxlen',
  'mcast-group',
  'mcast-port',
  'mcast-ttl',
  'laddr',
  'ifname',
  'synproxy',
  'blklst-address',
  'whtlst-address',
] as const;
export type OptionName = (typeof OPTIONS)[number];

interface Rules {
  required: readonly OptionName[];
  allowed: readonly OptionName[];
}

const SERVICE: Rules = {
  required: ['service-address'],
  allowed: ['scheduler', 'persistent', 'netmask', 'ops', 'pe', 'sched-flags', 'synproxy'],
};
const SERVER: Rules = {
  required: ['service-address', 'real-server'],
  allowed: [
    'forwarding-method',
    'weight',
    'u-threshold',
    'l-threshold',
    'tun-type',
    'tun-port',
    'tun-nocsum',
    'tun-csum',
    'tun-remcsum',
  ],
};
const LADDR: Rules = { required: ['service-address', 'laddr'], allowed: ['ifname'] };
const BLKLST: Rules = { required: ['service-address', 'blklst-address'], allowed: [] };
const WHTLST: Rules = { required: ['service-address', 'whtlst-address'], allowed: [] };
const LISTING: Rules = { required: [], allowed: ['service-address', 'numeric'] };
const NONE: Rules = { required: [], allowed: [] };

export const RULES: Record<CommandName, Rules> = {
  'add-service': SERVICE,
  'edit-service': SERVICE,
  'delete-service': { required: ['service-address'], allowed: [] },
  flush: NONE,
  restore: NONE,
  save: { required: [], allowed: ['numeric'] },
  'add-server': SERVER,
  'edit-server': SERVER,
  'delete-server': { required: ['service-address', 'real-server'], allowed: [] },
  list: {
    required: [],
    allowed: [
      'numeric',
      'connection',
      'service-address',
      'timeout',
      'daemon',
      'stats',
      'rate',
      'thresholds',
      'persistent-conn',
      'nosort',
      'syncid',
      'exact',
      'tun-info',
    ],
  },
  zero: { required: [], allowed: ['service-address'] },
  set: NONE,
  'start-daemon': {
    required: [],
    allowed: ['mcast-interface', 'syncid', 'sync-maxlen', 'mcast-group', 'mcast-port', 'mcast-ttl'],
  },
  'stop-daemon': { required: [], allowed: ['syncid'] },
  help: NONE,
  version: NONE,
  'add-laddr': LADDR,
  'del-laddr': LADDR,
  'get-laddr': LISTING,
  'add-blklst': BLKLST,
  'del-blklst': BLKLST,
  'get-blklst': LISTING,
  'add-whtlst': WHTLST,
  'del-whtlst': WHTLST,
  'get-whtlst': LISTING,
};

/** What a spelling stands for: a command, or an option (and which of several of one name). */
export interface Meaning {
  command?: CommandName;
  option?: OptionName;
  /** `tcp`, `gatewaying`, … where several spellings set one option. */
  variant?: string;
}

export type Spec = OptionSpec & Meaning;

const command = (name: CommandName, long: string, short?: string, value: Spec['value'] = 'none') =>
  ({ long, short, value, command: name }) satisfies Spec;
const flag = (option: OptionName, short?: string, variant: string = option): Spec => ({
  long: variant,
  short,
  value: 'none',
  option,
  variant,
});
const valued = (option: OptionName, short?: string, long: string = option): Spec => ({
  long,
  short,
  value: 'needed',
  option,
  variant: long,
});

const COMMON: readonly Spec[] = [
  command('add-service', 'add-service', 'A'),
  command('edit-service', 'edit-service', 'E'),
  command('delete-service', 'delete-service', 'D'),
  command('flush', 'clear', 'C'),
  command('restore', 'restore', 'R'),
  command('save', 'save', 'S'),
  command('add-server', 'add-server', 'a'),
  command('edit-server', 'edit-server', 'e'),
  command('delete-server', 'delete-server', 'd'),
  command('list', 'list', 'L'),
  command('list', 'list', 'l'),
  command('zero', 'zero', 'Z'),
  command('set', 'set'),
  command('start-daemon', 'start-daemon', undefined, 'needed'),
  command('stop-daemon', 'stop-daemon', undefined, 'needed'),
  command('help', 'help', 'h'),
  command('version', 'version', 'v'),
  command('add-laddr', 'add-laddr', 'P'),
  command('del-laddr', 'del-laddr', 'Q'),
  command('get-laddr', 'get-laddr', 'G'),
  command('add-blklst', 'add-blklst', 'U'),
  command('del-blklst', 'del-blklst', 'V'),
  command('get-blklst', 'get-blklst', 'B'),
  command('add-whtlst', 'add-whtlst', 'O'),
  command('del-whtlst', 'del-whtlst', 'Y'),
  command('get-whtlst', 'get-whtlst', 'W'),
  valued('service-address', 't', 'tcp-service'),
  valued('service-address', 'u', 'udp-service'),
  valued('service-address', undefined, 'sctp-service'),
  valued('service-address', 'f', 'fwmark-service'),
  { long: 'ipv6', short: '6', value: 'none', variant: 'ipv6' },
  valued('scheduler', 's'),
  { long: 'persistent', short: 'p', value: 'optional', option: 'persistent' },
  valued('netmask', 'M'),
  valued('real-server', 'r'),
  flag('forwarding-method', 'g', 'gatewaying'),
  flag('forwarding-method', 'i', 'ipip'),
  flag('forwarding-method', 'm', 'masquerading'),
  flag('forwarding-method', undefined, 'fullnat'),
  flag('forwarding-method', undefined, 'enat'),
  valued('weight', 'w'),
  valued('u-threshold', 'x'),
  valued('l-threshold', 'y'),
  flag('numeric', 'n'),
  flag('connection', 'c'),
  valued('mcast-interface'),
  flag('timeout'),
  flag('daemon'),
  flag('stats'),
  flag('rate'),
  flag('thresholds'),
  flag('persistent-conn'),
  flag('nosort'),
  { long: 'sort', short: undefined, value: 'none', variant: 'sort' },
  valued('syncid'),
  flag('exact'),
  flag('ops', 'o'),
  valued('pe'),
  valued('sched-flags'),
  valued('tun-type'),
  valued('tun-port'),
  flag('tun-info'),
  flag('tun-nocsum'),
  flag('tun-csum'),
  flag('tun-remcsum'),
  valued('sync-maxlen'),
  valued('mcast-group'),
  valued('mcast-port'),
  valued('mcast-ttl'),
  valued('laddr', 'z'),
  valued('laddr', undefined, 'lip'),
  valued('ifname', 'F'),
  valued('synproxy', 'j'),
  valued('blklst-address', 'k', 'blklst'),
  valued('whtlst-address', '2', 'whtlst'),
];

const SCHED_FLAGS: Spec = { ...valued('sched-flags', 'b'), long: '' };
const FULLNAT: Spec = { ...flag('forwarding-method', 'b', 'fullnat'), long: '' };

/** `-b` is DPVS's FullNAT where a server is added or edited, and upstream's flags elsewhere. */
export function specsFor(name: CommandName | undefined): readonly Spec[] {
  const isServer = name === 'add-server' || name === 'edit-server';
  return [...COMMON, isServer ? FULLNAT : SCHED_FLAGS];
}
