/**
 * vrrp_instance, vrrp_sync_group and what they track → the `vrrp` block of director.yaml. An
 * interface is the port that takes its packets from it, or that is called so: see interfaces.ts.
 */
import { argument, child, children, type Names, named } from './find.js';
import type { Interfaces } from './interfaces.js';
import { isAddress } from './keywords/kinds.js';
import { VRRP_INSTANCE, VRRP_SYNC_GROUP } from './keywords/vrrp.js';
import type { Data } from './map-checks.js';
import { mapVirtual } from './map-kernel.js';
import { mapTracks, Trackers } from './map-trackers.js';
import type { Unsupported } from './support.js';
import type { Node } from './tree.js';
import { type Account, Values, without } from './values.js';
import { strictness } from './vrrp.js';

/** An advert counts its addresses in a byte; over IPv6 no more fit into a packet of 1500 bytes. */
const MOST_V4 = 255;
const MOST_V6 = 90;
const OWNER = 255;

export interface MappedVrrp {
  data: Data | undefined;
  instances: MappedInstance[];
  groups: Node[];
  trackers: Node[];
}

export interface MappedInstance {
  data: Data;
  node: Node;
  /** Lines of its virtual_ipaddress and virtual_ipaddress_excluded, as `data` has the addresses. */
  addresses: Node[];
  excluded: Node[];
  /** Lines of its virtual_routes and virtual_rules, alike. */
  routes: Node[];
  rules: Node[];
  /** Lines of what it tracks. */
  tracks: Node[];
}

export interface Around {
  tree: readonly Node[];
  globals: Values;
  account: Account;
  interfaces: Interfaces;
  unsupported: Unsupported;
}

export function mapVrrp(around: Around): MappedVrrp {
  const { tree, globals } = around;
  const trackers = new Trackers(tree, around.account);
  const groupOf = new Map<string, Node>();
  const groups = [...named(tree, 'vrrp_sync_group').values()].filter(({ children: of }) => of);
  for (const group of groups) {
    for (const name of members(group)) if (!groupOf.has(name)) groupOf.set(name, group);
  }
  const instances = [...firstOfEachName(tree).values()].map((node) =>
    mapInstance(node, groupOf.get(argument(node) as string), around, trackers),
  );
  const known = new Set(instances.map(({ data }) => data.name));
  const fifo = globals.words('vrrp_notify_fifo')?.[0] ?? globals.words('notify_fifo')?.[0];
  const data = without({
    startDelay: globals.seconds('vrrp_startup_delay'),
    notifyFifo: fifo,
    instances: instances.length > 0 ? instances.map((one) => one.data) : undefined,
    groups: list(
      groups.map((node) =>
        without({
          name: argument(node),
          instances: members(node).filter((name) => known.has(name)),
          notify: notifications(new Values(node, VRRP_SYNC_GROUP), around.account),
        }),
      ),
    ),
    trackers: list(trackers.data),
  });
  return {
    data: instances.length > 0 ? data : undefined,
    instances,
    groups,
    trackers: trackers.nodes,
  };
}

const list = <T>(of: T[]): T[] | undefined => (of.length > 0 ? of : undefined);

function firstOfEachName(tree: readonly Node[]): Names {
  const found = new Map<string, Node>();
  for (const node of tree) {
    const name = argument(node);
    if (node.words[0].text !== 'vrrp_instance' || !node.children || name === undefined) continue;
    if (!found.has(name)) found.set(name, node);
  }
  return found;
}

function members(group: Node): string[] {
  const lines = children(group, 'group').flatMap((block) => block.children ?? []);
  return [...new Set(lines.flatMap(({ words }) => words.map(({ text }) => text)))];
}

const lines = (node: Node, keyword: string): Node[] =>
  children(node, keyword)
    .flatMap((block) => block.children ?? [])
    .filter(({ words }) => isAddress(hostOf(words[0].text)));

const hostOf = (text: string) => text.split('/')[0] as string;
const isV6 = (text: string) => text.includes(':');

function mapInstance(
  node: Node,
  group: Node | undefined,
  around: Around,
  trackers: Trackers,
): MappedInstance {
  const { globals, account, interfaces } = around;
  const values = new Values(node, VRRP_INSTANCE);
  const strict = strictness(node, globals.flag('vrrp_strict') ?? false);
  const { addresses, excluded, v6 } = addressesOf(node, around);
  const said = values.text('state') === 'MASTER';
  const priority = values.number('priority') ?? (said ? OWNER : undefined);
  const wanted = values.number('version') ?? globals.number('vrrp_version') ?? 2;
  const version = v6 ? 3 : wanted;
  const auth = strict || version === 3 ? {} : authentication(node);
  // Who authenticates by AH has to hear first where its peers' numbers are.
  const master = said && !auth.ah;
  const preempt = values.words('nopreempt') === undefined || master || priority === OWNER;
  const delayed = preempt && !master && !strict;
  const peers = lines(node, 'unicast_peer').map(({ words }) => words[0].text);
  const unicast = peers.length > 0;
  const virtualMac = values.words('use_vmac') !== undefined;
  const source = values.text('unicast_src_ip', 'mcast_src_ip');
  const multicast = values.text('mcast_dst_ip') ?? globals.text(`vrrp_mcast_group${v6 ? 6 : 4}`);
  const skips =
    values.boolean('skip_check_adv_addr') ?? globals.flag('vrrp_skip_check_adv_addr') ?? false;
  const { tracks, data: track } = mapTracks(node, group, priority === OWNER, trackers, interfaces);
  const named = values.text('dpdk_interface', 'interface');
  const { routes, rules } = mapVirtual(node, interfaces);
  const data = without({
    name: argument(node),
    port: named === undefined ? interfaces.towards(source) : interfaces.portOf(named),
    routerId: values.number('virtual_router_id'),
    version,
    priority,
    advertInterval: interval(values.number('advert_int'), version),
    preempt: preempt ? undefined : false,
    preemptDelay: delayed ? values.seconds('preempt_delay') : undefined,
    virtualMac: virtualMac || undefined,
    xmitBase: (virtualMac && (values.flag('vmac_xmit_base') ?? unicast)) || undefined,
    downAdverts: strict
      ? undefined
      : (values.number('down_timer_adverts') ?? globals.number('vrrp_down_timer_adverts')),
    trackPort: values.flag('dont_track_primary') ? false : undefined,
    sourceAddress: source,
    unicastPeers: list(peers),
    multicastGroup: unicast ? undefined : multicast,
    ...auth,
    strict: (version === 3 && !skips) || undefined,
    accept: accepts(values, strict && version === 2) || undefined,
    addresses: addresses.map(({ words }) => hostOf(words[0].text)),
    excludedAddresses: list(excluded.map(({ words }) => hostOf(words[0].text))),
    routes: list(routes.texts),
    rules: list(rules.texts),
    garp: garp(values, globals, strict),
    track: list(track),
    notify: notifications(values, account),
  });
  return { data, node, addresses, excluded, routes: routes.nodes, rules: rules.nodes, tracks };
}

/** The first address says the family; those of the other one are left out, as keepalived does. */
function addressesOf(node: Node, { interfaces, unsupported }: Around) {
  const portOf = (name = '') => interfaces.portOf(name);
  const own = portOf(argument(child(node, 'dpdk_interface', 'interface')));
  const distinct = (all: Node[]) => {
    const seen = new Set<string>();
    return all.filter(({ words: [{ text }] }) => {
      const is = seen.has(hostOf(text));
      seen.add(hostOf(text));
      return !is;
    });
  };
  const all = distinct(lines(node, 'virtual_ipaddress'));
  const v6 = all[0] ? isV6(all[0].words[0].text) : child(node, 'native_ipv6') !== undefined;
  const good = all.filter(({ words }) => isV6(words[0].text) === v6);
  const most = v6 ? MOST_V6 : MOST_V4;
  const addresses = good.slice(0, most);
  const more = distinct(lines(node, 'virtual_ipaddress_excluded'));
  for (const line of [...good, ...more]) {
    line.words.forEach(({ text }, index) => {
      if (text === 'dev' && portOf(argument(line, index + 1)) !== own) {
        unsupported.option(
          line,
          text,
          'the port is the one with the address’s network, or its own',
        );
      }
      if (/^(label|peer|scope|brd|broadcast|track_group|use_vmac)$/.test(text)) {
        unsupported.option(line, text, 'the kernel is not given the address');
      }
    });
  }
  return { addresses, excluded: [...good.slice(most), ...more], v6 };
}

/** Rounded as keepalived does: version 2 counts seconds, version 3 hundredths up to 40.95 s. */
function interval(seconds: number | undefined, version: number): string | undefined {
  if (seconds === undefined) return undefined;
  if (version === 2) return `${Math.max(1, Math.round(seconds))}s`;
  const hundredths = Math.min(4095, Math.max(1, Math.round(seconds * 100)));
  return `${hundredths * 10}ms`;
}

/** Its first eight characters; the last block counts. */
function authentication(node: Node): { password?: string; ah?: true } {
  const block = child(node, 'authentication');
  const type = block && argument(child(block, 'auth_type'));
  const word = block && argument(child(block, 'auth_pass'));
  if (type === undefined || word === undefined) return {};
  return { password: word.slice(0, 8), ...(type === 'AH' && { ah: true }) };
}

/** What keepalived does by itself has to be asked for; RFC 3768 knows no accept mode. */
function accepts(values: Values, never: boolean): boolean {
  return (values.flag('accept') ?? false) && !values.flag('no_accept') && !never;
}

function garp(values: Values, globals: Values, strict: boolean): Data | undefined {
  const seconds = (name: string) =>
    values.seconds(`garp_${name}`) ?? globals.seconds(`vrrp_garp_${name}`);
  const count = (name: string) =>
    values.number(`garp_${name}`) ?? globals.number(`vrrp_garp_${name}`);
  // Both say: once.
  const once = strict || (globals.boolean('vrrp_min_garp') ?? false);
  const settings = without({
    delay: once ? '0s' : seconds('master_delay'),
    repeat: once ? 1 : atLeastOne(count('master_repeat')),
    refresh: once ? undefined : seconds('master_refresh'),
    refreshRepeat: once ? undefined : atLeastOne(count('master_refresh_repeat')),
    lowerPriorityDelay: once ? '0s' : seconds('lower_prio_delay'),
    lowerPriorityRepeat: once ? undefined : count('lower_prio_repeat'),
  });
  return Object.keys(settings).length > 0 ? settings : undefined;
}

const atLeastOne = (count: number | undefined) =>
  count === undefined ? undefined : Math.max(1, count);

function notifications(values: Values, account: Account): Data | undefined {
  const notify = without({
    master: values.script(account, 'notify_master'),
    backup: values.script(account, 'notify_backup'),
    fault: values.script(account, 'notify_fault'),
    stop: values.script(account, 'notify_stop'),
    any: values.script(account, 'notify'),
  });
  return Object.keys(notify).length > 0 ? notify : undefined;
}
