/** global_defs, key by key, with what Sluice makes of each. */
import type { Node } from '../tree.js';
import {
  any,
  type Block,
  bool,
  decimal,
  type Finding,
  flag,
  group4,
  group6,
  integer,
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
  unsupported,
  value,
  word,
} from './kinds.js';

const VRRP: Support = { tuning: 'it is about how keepalived gets its VRRP to the kernel' };
const ADVERTS: Support = { tuning: 'adverts go as RFC 9568 says' };
const PROCESS: Support = { tuning: "it is about keepalived's own processes" };
const MAIL: Support = { tuning: 'no mail is sent' };
const SNMP: Support = { tuning: 'there is no SNMP agent' };
const DBUS: Support = { tuning: 'there is no D-Bus interface' };
const KERNEL: Support = { tuning: 'it is about the IPVS of the kernel, which is not used' };
const RELOAD: Support = { tuning: 'SIGHUP and sluice reload always check the whole file first' };

const count = keyword(one(integer(0, 0xffff_ffff)));
const nice = keyword(one(integer(-20, 19)));
const realtime = keyword(one(integer(1, 99)));
const cpus = keyword(many(integer(0, 4095)));
const fifo = { ...keyword(one(word), optional(word), optional(word)), escapes: true as const };

const children = (prefixes: string[], block: Block): Block =>
  Object.fromEntries(
    prefixes.flatMap((prefix) =>
      Object.entries(block).map(([name, of]) => [`${prefix}_${name}`, of] as const),
    ),
  );

const buffers = (prefixes: string[]): Block =>
  children(prefixes, { rcv_bufs: count, rcv_bufs_force: bool });

/** `tcp SECONDS tcpfin SECONDS udp SECONDS`, any of them. */
const timeouts = ({ words }: Node): Finding[] => {
  const findings: Finding[] = [];
  const seconds = integer(1, 2_678_400);
  for (let index = 1; index < words.length; index += 2) {
    const name = words[index]?.text as string;
    const known = oneOf('tcp', 'tcpfin', 'udp')(name);
    const given = words[index + 1]?.text;
    const expected = known ? undefined : seconds(given ?? '');
    if (known) findings.push({ word: index, message: `is ${name}, expected ${known}` });
    else if (expected) {
      const word = given === undefined ? index : index + 1;
      findings.push({ word, message: `${name} is ${given ?? 'missing'}, expected ${expected}` });
    }
  }
  return findings;
};

export const GLOBAL_DEFS: Block = {
  // What Sluice does.
  script_user: keyword(one(word), optional(word)),
  checker_log_all_failures: switchable,
  lvs_timeouts: { args: [{ check: any, many: true }], judge: timeouts },
  ...unsupported(
    { tuning: 'scripts run as they are; see script_user' },
    {
      enable_script_security: flag,
    },
  ),
  ...unsupported(
    { tuning: 'no FIFO is written: use notify_up, notify_down and quorum_up' },
    {
      lvs_notify_fifo: fifo,
      lvs_notify_fifo_script: script,
      rs_init_notifies: switchable,
    },
  ),
  lvs_sync_daemon: keyword(one(word), { check: any, optional: true, many: true }),
  // Read by the preprocessor.
  include_check: { args: [{ check: any, optional: true, many: true }] },
  random_seed: keyword(one(integer(0, 0xffff_ffff))),

  ...unsupported({ packets: 'namespace' }, { net_namespace: value, net_namespace_ipvs: value }),
  notify_fifo: fifo,
  ...unsupported(
    { tuning: 'nothing is started to read the FIFO: start it by other means' },
    { notify_fifo_script: script, vrrp_notify_fifo_script: script },
  ),
  ...unsupported(MAIL, {
    notification_email: names,
    notification_email_from: value,
    smtp_server: keyword(one(word), optional(integer(1, 65535))),
    smtp_helo_name: value,
    smtp_connect_timeout: keyword(one(decimal(0, 4294))),
    smtp_alert: switchable,
    smtp_alert_vrrp: switchable,
    smtp_alert_checker: switchable,
    no_email_faults: flag,
    no_checker_emails: switchable,
  }),
  ...unsupported(
    { tuning: 'it names this machine in mail, SNMP and VRRP only' },
    {
      router_id: value,
    },
  ),
  ...unsupported(KERNEL, {
    lvs_flush: flag,
    lvs_flush_on_stop: keyword(optional(oneOf('VS'))),
    nftables_ipvs: nothingOrValue,
    nftables_ipvs_priority: keyword(one(integer(-2_147_483_648, 2_147_483_647))),
    nftables_ipvs_start_fwmark: count,
    ...buffers(['lvs_netlink_cmd', 'lvs_netlink_monitor']),
  }),
  ...unsupported(RELOAD, {
    reload_check_config: nothingOrValue,
    reload_time_file: value,
    reload_repeat: flag,
    reload_file: nothingOrValue,
  }),
  ...unsupported(PROCESS, {
    tmp_config_directory: value,
    config_save_dir: value,
    process_names: flag,
    process_name: value,
    vrrp_process_name: value,
    checker_process_name: value,
    bfd_process_name: value,
    startup_script: script,
    startup_script_timeout: keyword(one(integer(1, 1000))),
    shutdown_script: script,
    shutdown_script_timeout: keyword(one(integer(1, 1000))),
    instance: value,
    use_pid_dir: flag,
    linkbeat_use_polling: flag,
    child_wait_time: count,
    namespace_with_ipsets: flag,
    data_use_instance: switchable,
    umask: value,
    max_auto_priority: keyword(optional(integer(-1, 99))),
    min_auto_priority_delay: keyword(one(integer(1, 10_000_000))),
    ...children(['vrrp', 'checker', 'bfd'], {
      priority: nice,
      no_swap: flag,
      cpu_affinity: cpus,
      rt_priority: realtime,
      rlimit_rttime: keyword(one(integer(2, 0xffff_ffff))),
      rlimit_rtime: keyword(one(integer(2, 0xffff_ffff))),
    }),
    ...buffers(['process_monitor']),
  }),
  ...unsupported(SNMP, {
    snmp_socket: value,
    enable_snmp_vrrp: flag,
    enable_snmp_checker: flag,
    enable_snmp_keepalived: flag,
    enable_snmp_rfc: flag,
    enable_snmp_rfcv2: flag,
    enable_snmp_rfcv3: flag,
    enable_traps: flag,
  }),
  ...unsupported(DBUS, { enable_dbus: flag, dbus_service_name: value }),
  // VRRP's, see map-vrrp.ts.
  vrrp_garp_master_delay: count,
  vrrp_garp_master_repeat: count,
  vrrp_garp_lower_prio_delay: count,
  vrrp_garp_lower_prio_repeat: count,
  vrrp_garp_master_refresh: count,
  vrrp_garp_master_refresh_repeat: count,
  vrrp_min_garp: switchable,
  vrrp_down_timer_adverts: keyword(one(integer(1, 100))),
  vrrp_version: keyword(one(integer(2, 3))),
  vrrp_check_unicast_src: flag,
  vrrp_skip_check_adv_addr: flag,
  vrrp_strict: flag,
  vrrp_notify_fifo: fifo,
  vrrp_startup_delay: keyword(one(timer)),
  default_interface: value,
  vrrp_mcast_group4: keyword(one(group4)),
  vrrp_mcast_group6: keyword(one(group6)),
  ...unsupported(ADVERTS, {
    vrrp_lower_prio_no_advert: switchable,
    vrrp_higher_prio_send_advert: switchable,
    vrrp_garp_interval: keyword(one(timer)),
    vrrp_gna_interval: keyword(one(timer)),
    vmac_prefix: value,
    vmac_addr_prefix: value,
  }),
  ...unsupported(VRRP, {
    vrrp_garp_extra_if: keyword(one(word), optional(word)),
    nftables: nothingOrValue,
    nftables_priority: keyword(one(integer(-2_147_483_648, 2_147_483_647))),
    nftables_counters: flag,
    nftables_ifindex: flag,
    vrrp_iptables: keyword(optional(word), optional(word)),
    vrrp_ipsets: { args: [{ check: any, optional: true, many: true }] },
    disable_local_igmp: flag,
    vrrp_notify_priority_changes: bool,
    fifo_write_vrrp_states_on_reload: flag,
    dynamic_interfaces: keyword(optional(oneOf('allow_if_changes'))),
    ...buffers(['vrrp_netlink_cmd', 'vrrp_netlink_monitor']),
    vrrp_rx_bufs_policy: value,
    vrrp_rx_bufs_multiplier: count,
    log_unknown_vrids: flag,
  }),
};

/** These may also stand outside global_defs. */
export const OUTSIDE: readonly string[] = [
  'net_namespace',
  'net_namespace_ipvs',
  'namespace_with_ipsets',
  'instance',
  'use_pid_dir',
  'linkbeat_use_polling',
  'child_wait_time',
];
