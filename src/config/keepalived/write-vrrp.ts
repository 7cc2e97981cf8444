/** The Model's VRRP → vrrp_* blocks of keepalived.conf. */

import type { GarpModel, InstanceModel, TrackerModel, TrackModel } from '../../vrrp/model.js';
import { NO_VRRP, type NotifyModel } from '../../vrrp/model.js';
import type { Model, PortModel } from '../model.js';
import type { Lines } from './lines.js';
import { writeScript } from './write-script.js';

const seconds = (ms: number) => String(ms / 1000);

/** Lines of global_defs. */
export function vrrpGlobals({ vrrp }: Model): string[] {
  return [
    ...(vrrp.startDelayMs === 0 ? [] : [`vrrp_startup_delay ${seconds(vrrp.startDelayMs)}`]),
    ...(vrrp.notifyFifo === undefined ? [] : [`vrrp_notify_fifo ${vrrp.notifyFifo}`]),
  ];
}

export function writeVrrp({ vrrp, ports }: Model, lines: Lines): void {
  if (vrrp.leaseMs !== NO_VRRP.leaseMs) lines.note(`vrrp.lease: ${vrrp.leaseMs}ms`);
  for (const tracker of vrrp.trackers) writeTracker(tracker, lines);
  for (const instance of vrrp.instances) {
    writeInstance(instance, ports, new Map(vrrp.trackers.map((one) => [one.name, one])), lines);
  }
  const weightOf = ({ kind, name, weight }: TrackModel) =>
    weight ?? (kind === 'tracker' && vrrp.trackers.find((one) => one.name === name)?.weight) ?? 0;
  for (const { name, instances, notify } of vrrp.groups) {
    lines.block(`vrrp_sync_group ${name}`, () => {
      lines.block('group', () => {
        for (const instance of instances) lines.add(instance);
      });
      const tracks = vrrp.instances.filter((one) => instances.includes(one.name));
      if (tracks.some(({ track }) => track.some((one) => weightOf(one) !== 0))) {
        lines.add('sync_group_tracking_weight');
      }
      writeNotify(notify, lines);
    });
  }
}

/** The kernel's name of what a port takes its packets from, where it says one. */
function interfaceOf(ports: readonly PortModel[], name: string): string {
  const device = ports.find((port) => port.name === name)?.device ?? '';
  return /,iface=([^,]+)/.exec(device)?.[1] ?? name;
}

/** Lines for the kernel, with interfaces in place of ports. */
function withInterfaces(texts: readonly string[], ports: readonly PortModel[]): string[] {
  const named = (text: string) =>
    text.replaceAll(/(?<=(?:^|\s)(?:dev|oif|iif)\s+)\S+/g, (name) => interfaceOf(ports, name));
  return texts.map(named);
}

export function writeStatic({ kernel, ports }: Model, lines: Lines): void {
  writeList('static_ipaddress', withInterfaces(kernel.addresses, ports), lines);
  writeList('static_routes', withInterfaces(kernel.routes, ports), lines);
  writeList('static_rules', withInterfaces(kernel.rules, ports), lines);
}

function writeInstance(
  one: InstanceModel,
  ports: readonly PortModel[],
  trackers: ReadonlyMap<string, TrackerModel>,
  lines: Lines,
): void {
  lines.block(`vrrp_instance ${one.name}`, () => {
    lines.add(`interface ${interfaceOf(ports, one.port)}`);
    lines.add(`virtual_router_id ${one.vrid}`);
    lines.add(`version ${one.version}`);
    lines.add(`priority ${one.priority}`);
    lines.add(`advert_int ${seconds(one.intervalMs)}`);
    if (!one.preempt) lines.add('nopreempt');
    if (one.preempt && one.preemptDelayMs > 0) {
      lines.add(`preempt_delay ${seconds(one.preemptDelayMs)}`);
    }
    if (one.virtualMac) lines.add('use_vmac');
    if (one.xmitBase) lines.add('vmac_xmit_base');
    if (one.virtualMac && !one.xmitBase && one.unicastPeers.length > 0) {
      lines.note('unicast adverts from the virtual MAC; keepalived sends them from the port’s');
    }
    if (one.downAdverts !== 3) lines.add(`down_timer_adverts ${one.downAdverts}`);
    if (!one.trackPort) lines.add('dont_track_primary');
    const source = one.unicastPeers.length > 0 ? 'unicast_src_ip' : 'mcast_src_ip';
    lines.given(source, one.sourceAddress);
    lines.given('mcast_dst_ip', one.multicastGroup);
    writeList('unicast_peer', one.unicastPeers, lines);
    if (one.version === 3 && !one.strict) lines.add('skip_check_adv_addr');
    if (one.accept) lines.add('accept');
    if (one.plainChecksum) lines.note('plainChecksum: true');
    if (one.password !== undefined) {
      lines.block('authentication', () => {
        lines.add(`auth_type ${one.ah ? 'AH' : 'PASS'}`);
        lines.given('auth_pass', one.password);
      });
    }
    if (one.hmacKey !== undefined) lines.note(`hmacKey: ${one.hmacKey}`);
    writeGarp(one.garp, lines);
    writeList('virtual_ipaddress', one.addresses, lines);
    writeList('virtual_ipaddress_excluded', one.excludedAddresses, lines);
    writeList('virtual_routes', withInterfaces(one.routes, ports), lines);
    writeList('virtual_rules', withInterfaces(one.rules, ports), lines);
    // Its own port counts anyway, and without weight.
    const own = (track: TrackModel) => track.kind === 'port' && track.name === one.port;
    for (const { weight } of one.track.filter(own)) {
      if (weight) lines.note(`track: its own port with weight ${weight}`);
    }
    const others = one.track.filter((track) => !own(track));
    writeTracks(others, ports, trackers, lines);
    writeNotify(one.notify, lines);
  });
}

function writeList(keyword: string, of: readonly string[], lines: Lines): void {
  if (of.length === 0) return;
  lines.block(keyword, () => {
    for (const one of of) lines.add(one);
  });
}

/** keepalived counts whole seconds here. */
function writeGarp(garp: GarpModel, lines: Lines): void {
  const time = (keyword: string, ms: number, usual: number) => {
    if (ms === usual) return;
    lines.add(`${keyword} ${Math.ceil(ms / 1000)}`);
    if (ms % 1000 !== 0) lines.note(`${keyword}: ${ms}ms`);
  };
  const count = (keyword: string, value: number, usual: number) => {
    if (value !== usual) lines.add(`${keyword} ${value}`);
  };
  time('garp_master_delay', garp.delayMs, 5_000);
  count('garp_master_repeat', garp.repeat, 5);
  time('garp_master_refresh', garp.refreshMs, 0);
  count('garp_master_refresh_repeat', garp.refreshRepeat, 1);
  time('garp_lower_prio_delay', garp.lowerPriorityDelayMs, garp.delayMs);
  count('garp_lower_prio_repeat', garp.lowerPriorityRepeat, garp.repeat);
}

/** keepalived's own; of what it has no word for a note is left. */
const BLOCKS = {
  script: 'track_script',
  file: 'track_file',
  process: 'track_process',
  bfd: 'track_bfd',
  interface: 'track_interface',
} as const;

function writeTracks(
  tracks: readonly TrackModel[],
  ports: readonly PortModel[],
  trackers: ReadonlyMap<string, TrackerModel>,
  lines: Lines,
): void {
  const typeOf = ({ kind, name }: TrackModel) =>
    kind === 'tracker' ? (trackers.get(name)?.type ?? 'script') : 'interface';
  const own = tracks.filter((track) => typeOf(track) !== 'mempool');
  const blockOf = (track: TrackModel) => BLOCKS[typeOf(track) as keyof typeof BLOCKS];
  for (const block of new Set(own.map(blockOf))) {
    lines.block(block, () => {
      for (const track of own.filter((one) => blockOf(one) === block)) {
        const { kind, name, weight, reverse } = track;
        const what = kind === 'port' ? interfaceOf(ports, name) : name;
        const direction = reverse === undefined ? '' : reverse ? ' reverse' : ' noreverse';
        lines.add(weight === undefined ? what : `${what} weight ${weight}${direction}`);
        if (weight === undefined && reverse !== undefined)
          lines.note(`${what}: reverse: ${reverse}`);
      }
    });
  }
}

function writeTracker(tracker: TrackerModel, lines: Lines): void {
  const { name } = tracker;
  const usual = tracker.type === 'file' ? 1 : 0;
  const weight = () => {
    if (tracker.weight === usual && !tracker.reverse) return;
    lines.add(`weight ${tracker.weight}${tracker.reverse ? ' reverse' : ''}`);
  };
  switch (tracker.type) {
    case 'mempool':
      lines.note(`tracker ${name} of type mempool, free: ${tracker.free}`);
      return;
    case 'file':
      lines.block(`track_file ${name}`, () => {
        lines.given('file', tracker.path);
        weight();
      });
      return;
    case 'bfd':
      lines.block(`bfd_instance ${name}`, () => {
        lines.add(`neighbor_ip ${tracker.neighbour}`);
        weight();
      });
      return;
    case 'process':
      lines.block(`vrrp_track_process ${name}`, () => {
        const { process, quorum, quorumMax } = tracker;
        lines.add(`process ${[process.name, ...(process.argv ?? [])].join(' ')}`);
        if (process.full) lines.add('full_command');
        if (process.partial) lines.add('param_match partial');
        else if (process.argv?.length === 0) lines.note('arguments: []');
        if (quorum !== 1) lines.add(`quorum ${quorum}`);
        if (quorumMax !== Number.MAX_SAFE_INTEGER) lines.add(`quorum_max ${quorumMax}`);
        if (tracker.terminateDelayMs > 0) {
          lines.add(`terminate_delay ${seconds(tracker.terminateDelayMs)}`);
        }
        if (tracker.forkDelayMs > 0) lines.add(`fork_delay ${seconds(tracker.forkDelayMs)}`);
        weight();
      });
      return;
    case 'script':
      lines.block(`vrrp_script ${name}`, () => {
        const { intervalMs, timeoutMs, rise, fall } = tracker;
        const whole = (keyword: string, ms: number) => {
          lines.add(`${keyword} ${Math.max(1, Math.round(ms / 1000))}`);
          if (ms % 1000 !== 0) lines.note(`${keyword}: ${ms}ms`);
        };
        writeScript('script', tracker.script, lines);
        if (intervalMs !== 1000) whole('interval', intervalMs);
        if (timeoutMs !== intervalMs) whole('timeout', timeoutMs);
        if (rise !== 1) lines.add(`rise ${rise}`);
        if (fall !== 1) lines.add(`fall ${fall}`);
        if (tracker.initFail) lines.add('init_fail');
        weight();
      });
  }
}

function writeNotify({ master, backup, fault, stop, any }: NotifyModel, lines: Lines): void {
  writeScript('notify_master', master, lines);
  writeScript('notify_backup', backup, lines);
  writeScript('notify_fault', fault, lines);
  writeScript('notify_stop', stop, lines);
  writeScript('notify', any, lines);
}
