/**
 * The tree → what director.yaml would say: services with their servers and checks, and timeouts. All
 * checks of values against one another then are director.yaml's, with places in keepalived.conf.
 */

import { type Mode, SCHEDULERS, type Scheduler } from '../../native.js';
import { sameData } from '../../same-data.js';
import { syncBlock } from '../../sync/keepalived.js';
import { isSix } from '../address.js';
import { seesReplies } from '../check-syn-proxy.js';
import { LARGEST_MARK } from '../marks-schema.js';
import { keepsPort } from '../model.js';
import { DEFAULT_PERSISTENCE_S } from '../persistence.js';
import { isRecord } from '../source.js';
import { tunnelFault } from '../tunnel.js';
import { checkCommands } from './commands.js';
import { argument, child, children, type Names, named, serverKey } from './find.js';
import { Interfaces } from './interfaces.js';
import { GLOBAL_DEFS } from './keywords/global.js';
import type { Block } from './keywords/kinds.js';
import { isAddress } from './keywords/kinds.js';
import { tunnelFindings, tunnelOfLine, VIRTUAL_SERVER } from './keywords/lvs.js';
import { type Data, mapChecks, type Surroundings, timing } from './map-checks.js';
import { ClientGroups, type MappedClients } from './map-clients.js';
import { type MappedKernel, mapStatic } from './map-kernel.js';
import { mapEngine, mapPersistence } from './map-persistence.js';
import { type MappedVrrp, mapVrrp } from './map-vrrp.js';
import { addressesIn, parseRange, type Range } from './ranges.js';
import { isMarked } from './semantics.js';
import { Unsupported } from './support.js';
import { type Node, placeOf } from './tree.js';
import type { Problems } from './validate.js';
import { Values, without } from './values.js';

/** A service of a group of more addresses than this is surely a slip of the pen. */
const MOST_ADDRESSES = 65_536;

export interface MappedService {
  data: Data;
  node: Node;
  /** The line of the group that has its address, if it is a group's. */
  member: Node | undefined;
  servers: { node: Node; checks: Node[] }[];
  clients: MappedClients['lines'];
}

export interface Mapped {
  services: MappedService[];
  timeouts: Data | undefined;
  timeoutsNode: Node | undefined;
  sync: Data | undefined;
  syncNode: Node | undefined;
  vrrp: MappedVrrp;
  kernel: MappedKernel;
}

/** `ports`, `marks`: as the YAML file says them. */
export function mapKeepalived(
  tree: readonly Node[],
  { ports, marks }: { ports: unknown; marks: unknown },
  accepted: readonly string[],
  problems: Problems,
): Mapped {
  const unsupported = new Unsupported(problems, accepted);
  unsupported.walk(tree);
  checkCommands(tree, problems);
  const mapper = new Mapper(tree, unsupported, problems, marksIn(marks));
  const services = tree
    .filter(({ words, children: inside }) => words[0].text === 'virtual_server' && inside)
    .flatMap((node) => mapper.service(node));
  const { vrrp, kernel } = mapper.vrrp(tree, new Interfaces(ports));
  unsupported.finish();
  return { services, ...mapper.timeouts(), ...mapper.sync(tree), vrrp, kernel };
}

/** A service's name where the file gives none. */
export function serviceName(protocol: string, address: string, port: number): string {
  return `${protocol}-${address}-${port}`.replaceAll(/[^A-Za-z0-9.-]/g, '.');
}

const METHODS: Record<string, Mode> = {
  NAT: 'nat',
  DR: 'dr',
  TUN: 'tun',
  FNAT: 'fullnat',
  FULLNAT: 'fullnat',
  ENAT: 'enat',
};

interface Listen {
  address: string;
  port: number;
  /** In place of both. */
  mark: number | undefined;
  member: Node | undefined;
}

const NO_END = { address: '', port: 0 };
const WITHOUT_PORT: Data = { timeout: `${DEFAULT_PERSISTENCE_S}s` };

/** Of the YAML file; what is wrong with them is told by the schema. */
function marksIn(rules: unknown): Set<number> {
  const list = Array.isArray(rules) ? rules : [];
  return new Set(list.flatMap((rule) => (isRecord(rule) ? [Number(rule.mark)] : [])));
}

class Mapper {
  readonly #problems: Problems;
  readonly #unsupported: Unsupported;
  readonly #groups: Names;
  readonly #local: Names;
  readonly #clients: ClientGroups;
  readonly #around: Surroundings;
  readonly #globals: Values;
  readonly #names = new Set<string>();
  /** Lines with words that are of no use. */
  readonly #told = new Set<Node>();
  readonly #marks: ReadonlySet<number>;

  constructor(
    tree: readonly Node[],
    unsupported: Unsupported,
    problems: Problems,
    marks: ReadonlySet<number>,
  ) {
    this.#marks = marks;
    this.#problems = problems;
    this.#unsupported = unsupported;
    this.#groups = named(tree, 'virtual_server_group');
    this.#local = named(tree, 'local_address_group');
    this.#clients = new ClientGroups(tree);
    this.#globals = new Values(together(tree, 'global_defs'), GLOBAL_DEFS);
    const [user, group] = this.#globals.words('script_user') ?? [];
    const ssl = together(tree, 'SSL');
    this.#around = {
      files: named(tree, 'track_file', 'vrrp_track_file'),
      bfd: named(tree, 'bfd_instance'),
      account: { user, group },
      logAllFailures: this.#globals.boolean('checker_log_all_failures'),
      tls: without(
        Object.fromEntries(
          ['password', 'ca', 'certificate', 'key'].map((name) => [
            name,
            argument(child(ssl, name)),
          ]),
        ),
      ),
      unsupported,
    };
  }

  timeouts(): Pick<Mapped, 'timeouts' | 'timeoutsNode'> {
    const node = child(this.#globals.node, 'lvs_timeouts');
    const words = this.#globals.words('lvs_timeouts');
    if (!node || !words) return { timeouts: undefined, timeoutsNode: undefined };
    const timeouts: Data = {};
    for (let index = 0; index < words.length; index += 2) {
      const key = { tcp: 'tcp', tcpfin: 'tcpFin', udp: 'udp' }[words[index] as string];
      const seconds = Number(words[index + 1]);
      if (key && Number.isInteger(seconds) && seconds > 0) timeouts[key] = seconds;
    }
    return { timeouts, timeoutsNode: node };
  }

  sync(tree: readonly Node[]): Pick<Mapped, 'sync' | 'syncNode'> {
    const node = child(this.#globals.node, 'lvs_sync_daemon');
    const words = this.#globals.words('lvs_sync_daemon');
    if (!node || !words) return { sync: undefined, syncNode: undefined };
    const instances = named(tree, 'vrrp_instance');
    const idOf = (instance: string) => {
      const found = instances.get(instance);
      return found && argument(child(found, 'virtual_router_id'));
    };
    return { sync: syncBlock(words, idOf), syncNode: node };
  }

  vrrp(tree: readonly Node[], interfaces: Interfaces): Pick<Mapped, 'vrrp' | 'kernel'> {
    const { account } = this.#around;
    const [globals, unsupported] = [this.#globals, this.#unsupported];
    return {
      vrrp: mapVrrp({ tree, globals, account, interfaces, unsupported }),
      kernel: mapStatic(tree, interfaces, globals.text('default_interface')),
    };
  }

  service(node: Node): MappedService[] {
    const values = new Values(node, VIRTUAL_SERVER);
    const servers = uniqueServers(node);
    if (servers.length === 0) return [];
    const scheduler = this.#scheduler(node, values);
    const mode = this.#mode(node) ?? 'nat';
    const marked = isMarked(node, this.#groups);
    // A mark has every protocol: what is said is ignored.
    const protocol = marked ? undefined : (values.text('protocol')?.toLowerCase() ?? 'udp');
    const engine = mapEngine(node, values, protocol, this.#unsupported);
    const synProxy = child(node, 'syn_proxy');
    const suspend = child(node, 'ha_suspend');
    if (suspend) this.#unsupported.tuning(suspend, 'the addresses are always here');
    const hashes = scheduler === 'sh' || scheduler === 'mh';
    const clients = this.#clients.of(node);
    const flags = (...names: string[]) => hashes && names.some((name) => values.flag(name));
    const common = without({
      protocol,
      mode,
      tunnel: unlessPlain(this.#tunnel(node)),
      scheduler,
      schedulePort: flags(`${scheduler}-port`, 'flag-2') || undefined,
      scheduleFallback: flags(`${scheduler}-fallback`, 'flag-1') || undefined,
      onePacket: protocol === 'udp' || marked ? values.flag('ops') : undefined,
      family: marked ? (this.#isSix(node, values, servers) ? 'ipv6' : undefined) : undefined,
      localAddresses: this.#localAddresses(node),
      health: this.#health(node, values, servers, mode),
      clients: clients.data,
    });
    return this.#listens(node).map(({ address, port, mark, member }) => {
      const six = mark === undefined ? isSix(address) : common.family === 'ipv6';
      const persistence = mapPersistence(values, six);
      const mapped = servers.map((server) => this.#server(server, node, port, mode));
      // Without a port keepalived makes it persistent.
      const keeps = persistence ?? (mark === undefined && port === 0 ? WITHOUT_PORT : undefined);
      const ends =
        mark === undefined
          ? { name: serviceName(protocol ?? '', address, port), listen: endpoint(address, port) }
          : { name: `fwmark-${mark}`, mark };
      return {
        data: {
          ...ends,
          name: this.#name(values.text('snmp_name'), ends.name),
          ...common,
          ...(keeps ? { persistence: without({ ...keeps, engine }) } : {}),
          ...(synProxy && this.#proxies(synProxy, node, protocol === 'tcp', mode)
            ? { synProxy: true }
            : {}),
          servers: mapped.map(({ data }) => data),
        },
        node,
        member,
        servers: mapped,
        clients: clients.lines,
      };
    });
  }

  /** DPVS takes the word anywhere; it has to see both directions of TCP. */
  #proxies(line: Node, service: Node, fits: boolean, mode: Mode): boolean {
    const modes = uniqueServers(service).map(
      (server) => METHODS[argument(child(server, 'lvs_method', 'lb_kind')) ?? ''] ?? mode,
    );
    if (fits && modes.every(seesReplies)) return true;
    this.#unsupported.packets('syn_proxy', line);
    return false;
  }

  /** `said` names the first address of a group only. */
  #name(said: string | undefined, wanted: string): string {
    const good = said !== undefined && /^[A-Za-z][A-Za-z0-9._-]{0,62}$/.test(said);
    let name = good && !this.#names.has(said) ? said : wanted;
    for (let count = 2; this.#names.has(name); count++) name = `${wanted}-${count}`;
    this.#names.add(name);
    return name;
  }

  /** The family of a service for a mark: said, or that of its servers. */
  #isSix(node: Node, values: Values, servers: readonly Node[]): boolean {
    const said = values.text('ip_family') ?? this.#familyOfGroup(node);
    if (said !== undefined) return said === 'inet6';
    return servers.some((server) => argument(server)?.includes(':'));
  }

  #familyOfGroup({ words: [, first, second] }: Node): string | undefined {
    if (first?.text !== 'group') return undefined;
    const members = this.#groups.get(second?.text ?? '')?.children ?? [];
    return members.map(({ words }) => words[2]?.text).find((word) => word !== undefined);
  }

  /** Without a rule of the YAML file no packet would have it. */
  #marked(text: string | undefined, node: Node, what: string): { mark: number }[] {
    const mark = Number(text);
    if (!Number.isInteger(mark) || mark < 1 || mark > LARGEST_MARK) return [];
    if (this.#marks.has(mark)) return [{ mark }];
    this.#unsupported.packets('fwmark', node, what, node.words[1]);
    return [];
  }

  #listens(node: Node): Listen[] {
    const [, first, second] = node.words;
    if (!first) return [];
    if (first.text === 'fwmark') {
      return this.#marked(second?.text, node, 'virtual_server fwmark').map(({ mark }) => ({
        ...NO_END,
        mark,
        member: undefined,
      }));
    }
    if (first.text !== 'group') {
      const port = portOf(second?.text);
      if (!isAddress(first.text) || port === undefined) return [];
      return [{ address: first.text, port, mark: undefined, member: undefined }];
    }
    return (this.#groups.get(second?.text ?? '')?.children ?? []).flatMap((member) =>
      this.#member(member),
    );
  }

  #member(member: Node): Listen[] {
    const text = member.words[0].text;
    if (text === 'fwmark') {
      const marks = this.#marked(argument(member), member, 'fwmark');
      return marks.map(({ mark }) => ({ ...NO_END, mark, member }));
    }
    const range = parseRange(text);
    const port = portOf(argument(member));
    if (!range || port === undefined) return [];
    return this.#addresses(range, member).map((address) => ({
      address,
      port,
      mark: undefined,
      member,
    }));
  }

  #addresses(range: Range, node: Node): string[] {
    const { count } = range;
    if (count > MOST_ADDRESSES) {
      const message = `is ${count} addresses, expected at most ${MOST_ADDRESSES}`;
      this.#problems.error('ERR_CONFIG_LIMIT', placeOf(node), node.words[0].text, message);
      return [];
    }
    return addressesIn(range);
  }

  #localAddresses(node: Node): string[] | undefined {
    const name = argument(child(node, 'laddr_group_name'));
    const lines = name === undefined ? undefined : this.#local.get(name)?.children;
    return lines?.flatMap((line) => {
      const range = parseRange(line.words[0].text);
      return range ? this.#addresses(range, line) : [];
    });
  }

  #scheduler(node: Node, values: Values): Scheduler {
    const text = values.text('lvs_sched', 'lb_algo') ?? 'wlc';
    const known = SCHEDULERS.find((name) => name === text);
    if (known) return known;
    const line = child(node, 'lvs_sched', 'lb_algo') as Node;
    this.#unsupported.packets('scheduler', line, `lvs_sched ${text}`, line.words[1]);
    return 'wlc';
  }

  /** undefined: not given, or wrong. */
  #mode(node: Node, ...names: string[]): Mode | undefined {
    const keywords = names.length > 0 ? names : ['lvs_method', 'lb_kind'];
    const line = child(node, ...keywords);
    const text = argument(line);
    if (!line || text === undefined || tunnelFindings(line).length > 0) return undefined;
    if (text === 'SNAT') this.#unsupported.packets('method', line, `${line.words[0].text} SNAT`);
    return METHODS[text];
  }

  /** Of a line that says TUN; what its type has no use for is told. */
  #tunnel(node: Node, ...names: string[]): Data | undefined {
    const line = child(node, ...(names.length > 0 ? names : ['lvs_method', 'lb_kind']));
    if (!line || tunnelFindings(line).length > 0) return undefined;
    const tunnel = tunnelOfLine(line);
    if (!tunnel?.checksum || tunnelFault(tunnel) === undefined) return tunnel;
    const { checksum, ...rest } = tunnel;
    if (!this.#told.has(line)) {
      this.#unsupported.option(line, checksum, `a tunnel of type ${rest.type} has none`);
    }
    this.#told.add(line);
    return rest;
  }

  #health(node: Node, values: Values, servers: readonly Node[], mode: Mode): Data | undefined {
    const { account } = this.#around;
    const total = servers.reduce((sum, server) => sum + (weightOf(server) ?? 1), 0);
    const asked = values.number('quorum');
    const quorum = asked === undefined ? undefined : Math.min(asked, Math.max(1, total));
    const given = values.number('hysteresis');
    const hysteresis = given !== undefined && given < (quorum ?? 1) ? given : undefined;
    const health = without({
      ...timing(values),
      retry: values.number('retry'),
      connectTimeout: values.seconds('connect_timeout'),
      alpha: values.flag('alpha'),
      virtualhost: values.text('virtualhost'),
      inhibitOnFailure: values.boolean('inhibit_on_failure'),
      quorum,
      hysteresis,
      quorumUp: values.script(account, 'quorum_up'),
      quorumDown: values.script(account, 'quorum_down'),
      omega: values.flag('omega'),
      sorryServer: this.#sorry(node, values, mode),
    });
    return Object.keys(health).length > 0 ? health : undefined;
  }

  #sorry(node: Node, values: Values, mode: Mode): Data | undefined {
    const [address, port] = values.words('sorry_server') ?? [];
    if (address === undefined) return undefined;
    const own = this.#mode(node, 'sorry_server_lvs_method');
    return without({
      address: endpoint(address, Number(port ?? argument(node, 2) ?? 0)),
      mode: own === mode ? undefined : own,
      tunnel: this.#ownTunnel(node, this.#tunnel(node, 'sorry_server_lvs_method')),
      inhibit: values.flag('sorry_server_inhibit'),
    });
  }

  /** A method of its own has a tunnel of its own: IPIP, where it names none. */
  #ownTunnel(service: Node, own: Data | undefined): Data | undefined {
    const around = unlessPlain(this.#tunnel(service));
    return sameData(unlessPlain(own), around) ? undefined : own;
  }

  #server(server: Node, service: Node, port: number, serviceMode: Mode) {
    const values = new Values(server, realServerTable());
    const own = this.#mode(server);
    const mode = own ?? serviceMode;
    const checks = mapChecks(server, this.#around);
    const { account } = this.#around;
    const health = without({
      ...timing(values),
      retry: values.number('retry'),
      connectTimeout: values.seconds('connect_timeout'),
      alpha: values.boolean('alpha'),
      virtualhost: values.text('virtualhost'),
      inhibitOnFailure: values.boolean('inhibit_on_failure'),
      notifyUp: values.script(account, 'notify_up'),
      notifyDown: values.script(account, 'notify_down'),
      checks: checks.length > 0 ? checks.map(({ data }) => data) : undefined,
    });
    const said = argument(server, 2);
    const ownPort = said === undefined || said === '0' || keepsPort(mode) ? port : Number(said);
    const data = without({
      address: endpoint(argument(server) as string, ownPort),
      weight: values.number('weight'),
      mode: own === undefined || own === serviceMode ? undefined : own,
      tunnel: this.#ownTunnel(service, this.#tunnel(server)),
      upperThreshold: values.number('uthreshold'),
      lowerThreshold: values.number('lthreshold'),
      health: Object.keys(health).length > 0 ? health : undefined,
    });
    return { data, node: server, checks: checks.map(({ node }) => node), service };
  }
}

/** IPIP needs no words. */
function unlessPlain(tunnel: Data | undefined): Data | undefined {
  return tunnel?.type === 'ipip' ? undefined : tunnel;
}

function realServerTable(): Block {
  return VIRTUAL_SERVER.real_server?.block as Block;
}

function weightOf(server: Node): number | undefined {
  return new Values(server, realServerTable()).number('weight');
}

/** The good ones, the first of each address. */
function uniqueServers(node: Node): Node[] {
  const seen = new Set<string>();
  return children(node, 'real_server').filter((server) => {
    const key = serverKey(server);
    const good = isAddress(argument(server) ?? '') && portOf(argument(server, 2)) !== undefined;
    if (!good || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** 0: every port; undefined: a wrong one. */
function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return 0;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 65_536;
  return port <= 65_535 ? port : undefined;
}

function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Several blocks of one keyword count as one. */
function together(tree: readonly Node[], keyword: string): Node {
  const blocks = tree.filter(({ words }) => words[0].text === keyword);
  const first = blocks[0] ?? {
    words: [{ text: keyword, column: 1, quoted: false }],
    file: '',
    line: 1,
    children: [],
  };
  return { ...first, children: blocks.flatMap((block) => block.children ?? []) } as Node;
}
