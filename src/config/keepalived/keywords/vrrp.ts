/** vrrp_* blocks and what they track. */
import type { Node } from '../tree.js';
import { VIRTUAL_LINES } from './kernel.js';
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

const peerLine = (node: Node): Finding[] => {
  const { text } = node.words[0];
  const expected = address(text);
  if (expected) return [{ word: 0, message: `${text} is no address, expected ${expected}` }];
  const { words } = node;
  for (let index = 1; index < words.length; index += 2) {
    const name = (words[index] as { text: string }).text;
    if (name !== 'min_ttl' && name !== 'max_ttl') {
      const message = `${name} is no option of a unicast peer`;
      return [{ word: index, code: 'ERR_CONFIG_UNKNOWN_KEY', message }];
    }
    const given = words[index + 1]?.text;
    const wrong = integer(0, 255)(given ?? '');
    if (given === undefined) return [{ word: index, message: `${name} needs a value` }];
    if (wrong) return [{ word: index + 1, message: `${name} is ${given}, expected ${wrong}` }];
  }
  return [];
};

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
  virtual_ipaddress: VIRTUAL_LINES.addresses,
  virtual_ipaddress_excluded: VIRTUAL_LINES.addresses,
  virtual_routes: VIRTUAL_LINES.routes,
  virtual_rules: VIRTUAL_LINES.rules,
  nopreempt: nothingOrValue,
  preempt: flag,
  preempt_delay: keyword(one(decimal(0, 1000))),
  skip_check_adv_addr: switchable,
  strict_mode: switchable,
  ...NOTIFIES,
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

export const DELAYS: Keyword = { args: [], block: delayLine };
