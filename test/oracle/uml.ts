// The real Linux IPVS to compare with: Debian's User-Mode-Linux in namespaces of its own.
//
// Everything (the guest, its two TAPs, its temporary files) lives in one PID, network and mount
// namespace whose process 1 is box.py. It ends when its stdin closes, so also when this process
// dies, and the kernel then takes everything in the namespaces with it: nothing has a name
// that two boots could share, and nothing is left to clean up.

import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { checksum, hex as hexOf, onesSum, pseudoHeader, readU16, u16 } from '../support/bytes.js';

export type PortName = 'front' | 'back';

export interface Port {
  mac: string;
  /** In CIDR notation; the network is on link. */
  address: string;
  mtu?: number;
}

export interface Topology {
  front: Port;
  back: Port;
  /** Addresses of the guest's own, for virtual services. */
  vips: string[];
  routes: { to: string; via: string }[];
  neighbours: { address: string; mac: string; port: PortName }[];
  /** The same of IPv6, which is off without. */
  six?: Record<PortName, string> & Pick<Topology, 'vips' | 'routes' | 'neighbours'>;
}

export interface Frame {
  port: PortName;
  bytes: Uint8Array;
}

type Answer = {
  error?: string;
  status?: number;
  output?: string;
  kicks?: number;
  frames?: { port: PortName; hex: string; partial: boolean }[][];
};

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const schedulers = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'sh',
  'mh',
  'dh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'lblc',
  'lblcr',
];
const needed = [
  ['/usr/bin/linux.uml', 'user-mode-linux'],
  ['/usr/sbin/ipvsadm', 'ipvsadm'],
  ['/usr/sbin/modprobe', 'kmod'],
  ['/usr/sbin/ethtool', 'ethtool'],
  ['/usr/bin/python3', 'python3'],
  ['/dev/net/tun', 'tun'],
] as const;

/** Why it cannot run here, or nothing if it can. */
export function umlUnavailable(): string | undefined {
  const missing = needed.filter(([file]) => !existsSync(file)).map(([, name]) => name);
  if (missing.length > 0) return `missing: ${missing.join(', ')}`;
  const tried = spawnSync('unshare', ['--net', '--pid', '--mount', '--fork', 'true']);
  if (tried.status !== 0) return 'namespaces cannot be made here (root is needed)';
  return undefined;
}

/** The guest's console loses what its buffer of 4096 bytes can't take. */
const LONGEST_LINE = 3000;

const addressBytes = (text: string) => Buffer.from(text.split('.').map(Number));
const macBytes = (text: string) => Buffer.from(text.replaceAll(':', ''), 'hex');

/** Routers, neighbours and groups of IPv6 (ICMPv6 130 to 137 and 143): the guest's own business. */
function isOfLink(frame: Uint8Array): boolean {
  if (readU16(frame, 12) !== 0x86dd) return false;
  // Multicast listeners' are behind a hop-by-hop header.
  const type = frame[20] === 0 ? frame[62] : frame[20] === 58 ? frame[54] : undefined;
  return type !== undefined && ((type >= 130 && type <= 137) || type === 143);
}

/** As its NIC would: the guest leaves the checksum of a tunnel that it makes itself to that. */
function completed(frame: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(frame);
  if (readU16(bytes, 12) === 0x86dd) return completed6(bytes);
  const l4 = bytes.subarray(34, 14 + readU16(bytes, 16));
  const isGre = bytes[23] === 47 && readU16(l4, 0) === 0x8000;
  // The field has the pseudo-header's sum.
  const isUdp =
    bytes[23] === 17 &&
    onesSum(pseudoHeader(bytes.slice(26, 30), bytes.slice(30, 34), 17, l4.length)) ===
      readU16(l4, 6);
  if (!isGre && !isUdp) throw new Error(`a partial checksum left UML: ${hexOf(bytes)}`);
  l4.set(u16(checksum(l4) || 0xffff), isGre ? 4 : 6);
  return bytes;
}

/** A reset of the guest's own, or an error that IPVS has translated: the field has the pseudo-header's sum. */
function completed6(bytes: Uint8Array): Uint8Array {
  const at = { 6: 16, 58: 2 }[bytes[20] as number];
  if (at === undefined) throw new Error(`a partial checksum left UML: ${hexOf(bytes)}`);
  const l4 = bytes.subarray(54, 54 + readU16(bytes, 18));
  l4.set(u16(checksum(l4)), at);
  return bytes;
}

export class Uml {
  #child: ChildProcessWithoutNullStreams;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  #ended: Promise<void>;
  #stderr = '';
  /** How often the guest had to be woken by a second echo. */
  kicks = 0;

  private constructor() {
    const space = ['--net', '--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
    this.#child = spawn('unshare', [...space, 'python3', here('./box.py')]);
    this.#child.stderr.on('data', (data) => {
      this.#stderr += data;
    });
    this.#child.stdin.on('error', () => {}); // seen as the end below
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#waiting.shift()?.resolve(JSON.parse(line));
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', () => {
        const error = new Error(`the User-Mode-Linux box ended: ${this.#stderr}`);
        for (const { reject } of this.#waiting.splice(0)) reject(error);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Boots a guest with the topology's addresses, routes, permanent neighbours and IPVS. */
  static async boot(topology: Topology): Promise<Uml> {
    const uml = new Uml();
    try {
      await uml.#ask({ do: 'boot', init: here('./init.sh'), memory: '160M' }, 90);
      await uml.#setUp(topology);
      return uml;
    } catch (error) {
      await uml.close();
      throw error;
    }
  }

  /** Runs a shell line in the guest; throws if it fails. */
  async sh(line: string): Promise<string> {
    if (line.length > LONGEST_LINE) throw new Error(`too long a line for the guest: ${line}`);
    const { status, output } = await this.#ask({ do: 'command', line }, 30);
    if (status !== 0) throw new Error(`guest: ${line}: status ${status}: ${output}`);
    return output ?? '';
  }

  /** Plays the frames one by one; answers, for each, what the guest sent because of it. */
  async play(frames: Frame[]): Promise<Frame[][]> {
    const results: Frame[][] = [];
    // In slices, so that one answer has a bounded size and time.
    for (let at = 0; at < frames.length; at += 64) {
      const slice = frames.slice(at, at + 64).map(({ port, bytes }) => ({
        port,
        hex: Buffer.from(bytes).toString('hex'),
      }));
      const answer = await this.#ask({ do: 'play', frames: slice }, 60);
      this.kicks = answer.kicks ?? 0;
      for (const sent of answer.frames ?? []) {
        results.push(
          sent.flatMap(({ port, hex, partial }) => {
            const bytes = Buffer.from(hex, 'hex');
            if (isOfLink(bytes)) return [];
            return [{ port, bytes: partial ? completed(bytes) : bytes }];
          }),
        );
      }
    }
    return results;
  }

  /** What the guest sends by itself within so many seconds. */
  async listen(seconds: number): Promise<Frame[]> {
    const { frames = [] } = await this.#ask({ do: 'listen', seconds }, seconds + 30);
    const sent = frames[0] ?? [];
    return sent.map(({ port, hex }) => ({ port, bytes: Buffer.from(hex, 'hex') }));
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await this.#ended;
    clearTimeout(timer);
  }

  async #setUp(topology: Topology): Promise<void> {
    const lines = [
      'ip_vs',
      ...schedulers.map((name) => `ip_vs_${name}`),
      'ip_vs_pe_sip',
      'ipip',
    ].map((module) => `modprobe -d /run/root ${module}`);
    lines.push(
      // A module may have brought IPv6 along.
      'for at in /proc/sys/net/ipv6/conf/*/disable_ipv6; do [ ! -e $at ] || echo 1 >$at; done',
      'sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0',
      'sysctl -qw net.ipv4.conf.default.send_redirects=0 net.ipv4.conf.all.rp_filter=0',
      // Time must not decide whether an ICMP error is sent.
      'sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=1000000' +
        ' net.ipv4.icmp_msgs_burst=1000000',
      'ip link set lo up',
    );
    for (const [device, port] of [
      ['vec0', topology.front],
      ['vec1', topology.back],
    ] as const) {
      lines.push(
        // Frames as on a wire: full checksums, nothing merged. Not every flag can be switched.
        `{ ethtool -K ${device} tx off gso off gro off tso off || :; }`,
        `ip link set ${device} address ${port.mac} mtu ${port.mtu ?? 1500} arp on up`,
        `ip addr add ${port.address} dev ${device}`,
      );
    }
    for (let at = 0; at < topology.vips.length; at += 50) {
      const vips = topology.vips.slice(at, at + 50).map((vip) => `addr add ${vip}/32 dev vec0`);
      lines.push(`printf '${vips.join('\\n')}\\n' | ip -batch -`);
    }
    const device = { front: 'vec0', back: 'vec1' };
    for (const { address, mac, port } of topology.neighbours) {
      lines.push(`ip neigh replace ${address} lladdr ${mac} dev ${device[port]} nud permanent`);
    }
    for (const { to, via } of topology.routes) lines.push(`ip route add ${to} via ${via}`);
    if (topology.six) lines.push(...sixLines(topology.six));
    // The senders of the echoes that delimit a frame's consequences (box.py).
    const probes: Record<string, Record<string, string>> = {};
    for (const [name, port] of [
      ['front', topology.front],
      ['back', topology.back],
    ] as const) {
      const [own = ''] = port.address.split('/');
      const source = own.replace(/\d+$/, '250');
      const mac = '02:00:00:00:ff:fa';
      lines.push(`ip neigh replace ${source} lladdr ${mac} dev ${device[name]} nud permanent`);
      probes[name] = {
        source: addressBytes(source).toString('hex'),
        destination: addressBytes(own).toString('hex'),
        sourceMac: macBytes(mac).toString('hex'),
        destinationMac: macBytes(port.mac).toString('hex'),
      };
    }
    let joined = '';
    for (const line of lines) {
      if (joined.length + line.length > LONGEST_LINE) {
        await this.sh(joined);
        joined = '';
      }
      joined += `${joined && ' && '}${line}`;
    }
    await this.sh(joined);
    await this.#ask({ do: 'barrier', probes }, 30);
  }

  #ask(request: object, seconds: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#child.kill('SIGKILL');
        reject(new Error(`no answer within ${seconds} s: ${JSON.stringify(request)}`));
      }, seconds * 1000);
      this.#waiting.push({
        resolve: (answer) => {
          clearTimeout(timer);
          if (answer.error) reject(new Error(answer.error));
          else resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }
}

/** Nothing but what the scenarios need: no link-local addresses, no routers, no time that passes. */
function sixLines(six: NonNullable<Topology['six']>): string[] {
  const device = { front: 'vec0', back: 'vec1' };
  const conf = (name: string, words: string[]) =>
    `sysctl -qw ${words.map((word) => `net.ipv6.conf.${name}.${word}`).join(' ')}`;
  const quiet = ['accept_ra=0', 'accept_dad=0', 'dad_transmits=0', 'router_solicitations=0'];
  const lines = ['all', 'default', 'vec0', 'vec1'].map((name) =>
    conf(name, [...quiet, 'addr_gen_mode=1']),
  );
  lines.push(
    ...['all', 'default', 'lo', 'vec0', 'vec1'].map((name) => conf(name, ['disable_ipv6=0'])),
    'sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.icmp.ratelimit=0',
    'sysctl -qw net.ipv6.auto_flowlabels=0',
  );
  for (const port of ['front', 'back'] as const) {
    lines.push(`ip addr add ${six[port]} dev ${device[port]} nodad`);
  }
  for (let at = 0; at < six.vips.length; at += 40) {
    const vips = six.vips.slice(at, at + 40).map((vip) => `addr add ${vip}/128 dev lo nodad`);
    lines.push(`printf '${vips.join('\\n')}\\n' | ip -batch -`);
  }
  for (const { address, mac, port } of six.neighbours) {
    lines.push(`ip -6 neigh replace ${address} lladdr ${mac} dev ${device[port]} nud permanent`);
  }
  for (const { to, via } of six.routes) lines.push(`ip -6 route add ${to} via ${via}`);
  return lines;
}
