/**
 * One ipvsadm command line → what it asks for, or the mistake that ipvsadm would name. Mistakes
 * are found in ipvsadm's order: the command, each value as it comes, left-over words, missing and
 * misplaced options, then those that contradict one another.
 */
import { isSix } from '../config/address.js';
import { parseClients } from '../config/clients.js';
import { DAEMON_ROLES, type DaemonRole } from '../sync/daemons.js';
import { type HostPort, parseHostPort, parseInet, parseInet6, wholeNumber } from './address.js';
import { tryHelp, unsupported, usage } from './errors.js';
import type { Names, Protocol } from './names.js';
import {
  type CommandName,
  OPTIONS,
  type OptionName,
  RULES,
  type Spec,
  specsFor,
} from './options.js';
import { type Found, Splitter } from './split.js';

/** ipvsadm's longest timeout, in seconds: 31 days. */
const LONGEST_TIMEOUT = 31 * 86_400;
/** The persistence that `-p` alone asks for, in seconds. */
export const DEFAULT_PERSISTENCE = 360;
const INT_MAX = 0x7fff_ffff;

export interface ServiceAddress extends HostPort {
  protocol: Protocol;
  /** 0: not given. */
  port: number;
}

export type Forward = 'gatewaying' | 'ipip' | 'masquerading' | 'fullnat' | 'enat';

export interface Tunnel {
  type: 'ipip' | 'gue' | 'gre';
  port: number | undefined;
  checksum: 'nocsum' | 'csum' | 'remcsum' | undefined;
}

/** Everything a command line can say; what it may say depends on the command. */
export interface CommandLine {
  command: CommandName;
  given: ReadonlySet<OptionName>;
  service?: ServiceAddress | undefined;
  fwmark?: number | undefined;
  ipv6?: true;
  scheduler?: string | undefined;
  schedFlags: SchedFlag[];
  /** Seconds. */
  persistent?: number;
  /** Of an IPv6 service a length. */
  netmask?: string | number | undefined;
  pe?: string;
  /** Without a port of its own it has the service's. */
  server?: HostPort | undefined;
  forward: Forward;
  tunnel: Tunnel;
  weight: number;
  upper: number;
  lower: number;
  /** Seconds; 0 leaves a timeout as it is. */
  timeouts?: [tcp: number, tcpFin: number, udp: number];
  daemon: DaemonWords;
  laddr?: string;
  ifname?: string;
  /** Canonical. */
  client?: string;
  synProxy?: boolean;
}

/** What `--start-daemon` or `--stop-daemon` asks for. */
export interface DaemonWords {
  /** Of every other command it is no matter. */
  role: DaemonRole;
  interface?: string;
  syncid?: number;
  maxlen?: number;
  group?: string;
  port?: number;
  ttl?: number;
}

/** Linux's three scheduler flags: flag-1 is sh-fallback or mh-fallback, flag-2 sh-port or mh-port. */
export type SchedFlag = 1 | 2 | 3;

interface State extends CommandLine {
  given: Set<OptionName>;
  schedFlagText?: string;
}

export async function parseCommand(words: readonly string[], names: Names): Promise<CommandLine> {
  if (words.length === 0) return { ...blank('list') };
  const splitter = new Splitter<Spec>(words, specsFor(undefined));
  const state = commandOf(splitter);
  if (state.command === 'help' || state.command === 'version') return state;
  splitter.use(specsFor(state.command));
  for (let found = splitter.next(); found; found = splitter.next()) await take(state, found, names);
  const { leftovers } = splitter;
  if (state.command === 'set') state.timeouts = timeoutsOf(leftovers.splice(0, 3));
  if (leftovers.length > 0) throw usage(`unexpected argument ${leftovers[0]}`);
  if (state.schedFlagText !== undefined) state.schedFlags = schedFlagsOf(state);
  checkRules(state);
  if (state.command === 'list') checkListing(state);
  if (state.server && state.service) state.server.port ??= state.service.port;
  if (state.command === 'add-server' || state.command === 'edit-server') checkServer(state);
  if (state.command === 'add-service' || state.command === 'edit-service') checkService(state);
  return state;
}

function blank(command: CommandName): State {
  return {
    command,
    given: new Set(),
    schedFlags: [],
    forward: 'gatewaying',
    tunnel: { type: 'ipip', port: undefined, checksum: undefined },
    daemon: { role: 'master' },
    weight: 1,
    upper: 0,
    lower: 0,
  };
}

/** The first option has to be a command. */
function commandOf(splitter: Splitter<Spec>): State {
  let found: Found<Spec> | undefined;
  try {
    found = splitter.next();
  } catch {
    throw tryHelp();
  }
  const command = found?.spec.command;
  if (command === undefined) throw tryHelp();
  const state = blank(command);
  if (command === 'start-daemon' || command === 'stop-daemon') {
    const role = DAEMON_ROLES.find((one) => one === found?.value);
    if (!role) {
      const what = command === 'start-daemon' ? 'start-daemon parameter' : 'start_daemon';
      throw usage(`illegal ${what} specified`);
    }
    state.daemon.role = role;
  }
  return state;
}

async function take(state: State, found: Found<Spec>, names: Names): Promise<void> {
  const { spec, word } = found;
  if (spec.command) throw usage(`invalid option \`${word}'`);
  const { option, variant } = spec;
  if (option) {
    if (state.given.has(option)) throw usage(`multiple '${option}' options specified`);
    state.given.add(option);
  } else if (variant === 'ipv6') {
    if (state.fwmark === undefined) throw usage('-6 used before -f\n');
    state.ipv6 = true;
    forgetNetmask(state);
  }
  if (spec.value !== 'none') await takeValue(state, spec, found.value, names);
  else if (option === 'forwarding-method') state.forward = variant as Forward;
  else if (option?.startsWith('tun-') && option !== 'tun-info') takeChecksum(state, option);
}

function takeChecksum(state: State, option: OptionName): void {
  state.tunnel.checksum = option.slice('tun-'.length) as NonNullable<Tunnel['checksum']>;
}

async function takeValue(
  state: State,
  spec: Spec,
  given: string | undefined,
  names: Names,
): Promise<void> {
  const value = given ?? '';
  const number = (what: string, low: number, high: number): number => {
    const found = wholeNumber(value, low, high);
    if (found === undefined) throw usage(`illegal ${what} specified`);
    return found;
  };
  switch (spec.option) {
    case 'service-address':
      if (spec.variant === 'fwmark-service') state.fwmark = fwmarkOf(value);
      else state.service = await serviceOf(value, spec.variant?.slice(0, -8) as Protocol, names);
      forgetNetmask(state);
      return;
    case 'scheduler':
      state.scheduler = value === '' ? undefined : value;
      return;
    case 'sched-flags':
      state.schedFlagText = value;
      return;
    case 'persistent':
      state.persistent = given === undefined ? DEFAULT_PERSISTENCE : timeoutOf(given, 1);
      return;
    case 'netmask':
      state.netmask = isSixth(state) ? prefixOf(value) : netmaskOf(value);
      return;
    case 'pe':
      state.pe = value;
      return;
    case 'real-server':
      // Names of ports are those of the protocol that the line has told so far.
      state.server = await parseHostPort(value, state.service?.protocol ?? 'tcp', names);
      if (!state.server) throw usage('illegal real server address[:port] specified');
      return;
    case 'weight':
      state.weight = number('weight', 0, INT_MAX);
      return;
    case 'u-threshold':
      state.upper = number('u_threshold', 0, INT_MAX);
      return;
    case 'l-threshold':
      state.lower = number('l_threshold', 0, INT_MAX);
      return;
    case 'tun-type':
      state.tunnel.type = tunnelType(value);
      return;
    case 'tun-port':
      state.tunnel.port = number('tunnel port', 1, 65535);
      return;
    case 'mcast-interface':
      state.daemon.interface = value;
      return;
    case 'syncid':
      state.daemon.syncid = number('syncid', 0, 255);
      return;
    case 'sync-maxlen':
      state.daemon.maxlen = number('sync-maxlen', 1, 65535 - 20 - 8);
      return;
    case 'mcast-port':
      state.daemon.port = number('mcast-port', 1, 65535);
      return;
    case 'mcast-ttl':
      state.daemon.ttl = number('mcast-ttl', 1, 255);
      return;
    case 'mcast-group':
      checkGroup(value);
      state.daemon.group = value;
      return;
    case 'laddr': {
      const address = parseInet(value) ?? parseInet6(value);
      if (address === undefined) throw usage('illegal local address specified');
      state.laddr = address;
      return;
    }
    case 'ifname':
      state.ifname = value;
      return;
    case 'blklst-address':
      state.client = clientOf(value, 'blacklist');
      return;
    case 'whtlst-address':
      state.client = clientOf(value, 'whitelist');
      return;
    case 'synproxy':
      if (value !== 'enable' && value !== 'disable') {
        throw usage('synproxy switch must be enable or disable\n');
      }
      state.synProxy = value === 'enable';
      return;
    default:
      return;
  }
}

async function serviceOf(text: string, protocol: Protocol, names: Names): Promise<ServiceAddress> {
  const found = await parseHostPort(text, protocol, names);
  if (!found) throw usage('illegal virtual server address[:port] specified');
  return { ...found, protocol, port: found.port ?? 0 };
}

/** Also a network or range; DPVS' sets of addresses are named `ipset:NAME`. */
function clientOf(text: string, list: string): string {
  if (text.startsWith('ipset:')) {
    throw unsupported('there are no sets of dpip: a file of clients in director.yaml is one');
  }
  const parsed = parseClients(text);
  if ('fault' in parsed) throw usage(`illegal ${list} address specified`);
  return parsed.value;
}

function fwmarkOf(text: string): number {
  const mark = wholeNumber(text, 1, 0xffff_ffff);
  if (mark === undefined) throw usage(`invalid fwmark value \`${text}' specified`);
  return mark;
}

function timeoutOf(text: string, low: number): number {
  const seconds = wholeNumber(text, low, LONGEST_TIMEOUT);
  if (seconds === undefined) throw usage(`invalid timeout value \`${text}' specified`);
  return seconds;
}

function timeoutsOf(texts: readonly string[]): [number, number, number] {
  if (texts.length < 3) throw usage('--set option requires 3 timeout values');
  return texts.map((text) => timeoutOf(text, 0)) as [number, number, number];
}

function netmaskOf(text: string): string {
  const mask = parseInet(text);
  if (mask === undefined) throw usage('illegal virtual server persistent mask specified');
  return mask;
}

/** By the options given until now, as ipvsadm has it. */
function isSixth({ service, ipv6 }: State): boolean {
  return service === undefined ? ipv6 === true : isSix(service.address);
}

/** What makes a service IPv6's begins with a whole address, whatever was said before. */
function forgetNetmask(state: State): void {
  if (isSixth(state)) state.netmask = undefined;
}

/** As atoi reads it. */
function prefixOf(text: string): number {
  const length = Number.parseInt(text, 10);
  if (length >= 1 && length <= 128) return length;
  throw usage('illegal ipv6 netmask specified');
}

function checkGroup(text: string): void {
  const isIPv6 = text.includes(':');
  if (isIPv6 ? /^ff/i.test(text) : /^(22[4-9]|23\d)\./.test(parseInet(text) ?? '')) return;
  throw usage(`invalid IPv${isIPv6 ? 6 : 4} mcast-group \`${text}'`);
}

function tunnelType(text: string): Tunnel['type'] {
  if (text === 'ipip' || text === 'gue' || text === 'gre') return text;
  throw usage('illegal tunnel type specified');
}

const FLAG_NAMES: Record<string, { flag: SchedFlag; scheduler?: string }> = {
  'flag-1': { flag: 1 },
  'flag-2': { flag: 2 },
  'flag-3': { flag: 3 },
  'sh-fallback': { flag: 1, scheduler: 'sh' },
  'sh-port': { flag: 2, scheduler: 'sh' },
  'mh-fallback': { flag: 1, scheduler: 'mh' },
  'mh-port': { flag: 2, scheduler: 'mh' },
};

function schedFlagsOf({ schedFlagText = '', scheduler }: State): SchedFlag[] {
  const flags = new Set<SchedFlag>();
  for (const name of schedFlagText.split(',').filter((word) => word !== '')) {
    const known = Object.hasOwn(FLAG_NAMES, name) ? FLAG_NAMES[name] : undefined;
    if (!known) throw usage(`invalid scheduler flag \`${name}'`);
    if (known.scheduler && known.scheduler !== scheduler) {
      throw usage(`incompatible scheduler flag \`${name}'`);
    }
    flags.add(known.flag);
  }
  return [...flags].sort();
}

function checkRules({ command, given }: State): void {
  const { required, allowed } = RULES[command];
  for (const option of OPTIONS) {
    const needed = required.includes(option);
    if (needed && !given.has(option)) {
      throw usage(`You need to supply the '${option}' option for the '${command}' command`);
    }
    if (given.has(option) && !needed && !allowed.includes(option)) {
      throw usage(`Illegal '${option}' option with the '${command}' command`);
    }
  }
}

/** `-c`, `--timeout` and `--daemon` are listings of their own, with few options. */
function checkListing({ given }: State): void {
  const conflicts: [OptionName, OptionName[]][] = [
    ['service-address', ['connection']],
    ['timeout', ['connection', 'service-address']],
    ['daemon', ['connection', 'service-address', 'timeout']],
  ];
  for (const [option, others] of conflicts) {
    const other = given.has(option) && others.find((one) => given.has(one));
    if (!other) continue;
    throw usage(
      `The option '${option}' conflicts with the '${other}' option in the 'list' command`,
    );
  }
  const other = given.has('timeout') || given.has('daemon');
  const shapes = ['stats', 'rate', 'thresholds'] as const;
  const shaped = shapes.some((shape) => given.has(shape));
  if ((given.has('connection') && shaped) || (other && (shaped || given.has('persistent-conn')))) {
    throw usage('options conflicts in the list command');
  }
}

/** Options of the tunnel, by its type: refused, or (gue's port) required. */
function checkServer(state: State): void {
  const { given, forward, tunnel, service, server } = state;
  const options = ['tun-type', 'tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum'] as const;
  if (forward !== 'ipip' && options.some((option) => given.has(option))) {
    throw usage('Tunnel options conflict with forward method');
  }
  const refused: Record<Tunnel['type'], readonly OptionName[]> = {
    ipip: ['tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum'],
    gre: ['tun-port', 'tun-remcsum'],
    gue: [],
  };
  const wrong = refused[tunnel.type].find((option) => given.has(option));
  if (wrong) throw usage(`Illegal '${wrong}' option with the '${tunnel.type}' tunnel type`);
  if (tunnel.type === 'gue' && !given.has('tun-port')) {
    throw usage("You need to supply the 'tun-port' option for the 'gue' tunnel type");
  }
  const excluding = [
    ['tun-csum', 'tun-nocsum'],
    ['tun-remcsum', 'tun-nocsum'],
    ['tun-remcsum', 'tun-csum'],
  ] as const;
  const both = excluding.find((pair) => pair.every((one) => given.has(one)));
  if (both) {
    const rest = `conflicts with the '${both[1]}' option in the '${tunnel.type}' tunnel type`;
    throw usage(`The option '${both[0]}' ${rest}`);
  }
  const family = service?.family ?? (state.ipv6 ? 6 : 4);
  if (server && server.family !== family && forward !== 'ipip') {
    throw usage('Different address family is allowed only for tunneling servers');
  }
}

function checkService({ given, service, persistent }: State): void {
  if (service && service.port === 0 && persistent === undefined) {
    throw usage('Zero port specified for non-persistent service');
  }
  if (given.has('ops') && service && service.protocol !== 'udp') {
    throw usage('One-Packet Scheduling is only for UDP virtual services');
  }
}
