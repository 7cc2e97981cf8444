/** The line of keepalived.conf that a part of the `vrrp` block comes from. */
import type { Place } from '../../errors.js';
import type { Path } from '../source.js';
import { child, children, title } from './find.js';
import type { MappedInstance, MappedVrrp } from './map-vrrp.js';
import { type Node, placeOf } from './tree.js';

export const VRRP_LISTS = ['instances', 'groups', 'trackers'] as const;

interface Found {
  place: Place;
  what: string;
}

/** Names that are not director.yaml's words in lower case with underscores. */
const KEYWORDS: Record<string, readonly string[]> = {
  port: ['dpdk_interface', 'interface'],
  routerId: ['virtual_router_id'],
  advertInterval: ['advert_int'],
  preempt: ['nopreempt'],
  virtualMac: ['use_vmac'],
  xmitBase: ['vmac_xmit_base'],
  downAdverts: ['down_timer_adverts'],
  trackPort: ['dont_track_primary'],
  sourceAddress: ['unicast_src_ip', 'mcast_src_ip'],
  unicastPeers: ['unicast_peer'],
  multicastGroup: ['mcast_dst_ip'],
  password: ['authentication'],
  ah: ['authentication'],
  strict: ['skip_check_adv_addr', 'strict_mode'],
  addresses: ['virtual_ipaddress'],
  excludedAddresses: ['virtual_ipaddress_excluded'],
  'garp.delay': ['garp_master_delay'],
  'garp.repeat': ['garp_master_repeat'],
  'garp.refresh': ['garp_master_refresh'],
  'garp.refreshRepeat': ['garp_master_refresh_repeat'],
  'garp.lowerPriorityDelay': ['garp_lower_prio_delay'],
  'garp.lowerPriorityRepeat': ['garp_lower_prio_repeat'],
  'notify.any': ['notify'],
  path: ['file'],
  neighbour: ['neighbor_ip', 'neighbour_ip'],
  arguments: ['process'],
};

/** `before`: entries of the list that the YAML file has. */
export function findInVrrp(
  mapped: MappedVrrp,
  list: string,
  before: number,
  [index, ...rest]: Path,
): Found | undefined {
  if (typeof index !== 'number') return undefined;
  const at = index - before;
  if (list === 'instances') {
    const instance = mapped.instances[at];
    return instance && inInstance(instance, rest);
  }
  const node = list === 'groups' ? mapped.groups[at] : mapped.trackers[at];
  return node && inBlock(node, rest);
}

function inInstance(instance: MappedInstance, path: Path): Found {
  const [key, index] = path;
  const lines = {
    addresses: instance.addresses,
    excludedAddresses: instance.excluded,
    routes: instance.routes,
    rules: instance.rules,
    track: instance.tracks,
    unicastPeers: children(instance.node, 'unicast_peer').flatMap(({ children: of }) => of ?? []),
  }[String(key)];
  const line = typeof index === 'number' ? lines?.[index] : undefined;
  if (!line) return inBlock(instance.node, path);
  return { place: placeOf(line), what: line.words[0].text };
}

function inBlock(node: Node, [key, inner]: Path): Found {
  const name = String(key ?? '');
  const full = typeof inner === 'string' ? `${name}.${inner}` : name;
  const guess = full.replace('.', '_').replaceAll(/[A-Z]/g, (one) => `_${one.toLowerCase()}`);
  const line = child(node, ...(KEYWORDS[full] ?? [guess]));
  if (name === 'instances') {
    const names = children(node, 'group').flatMap((block) => block.children ?? []);
    const one = typeof inner === 'number' ? names[inner] : undefined;
    if (one) return { place: placeOf(one), what: 'group' };
  }
  if (!line) return { place: placeOf(node, node.words[1]), what: title(node) };
  return { place: placeOf(line, line.words[1]), what: line.words[0].text };
}
