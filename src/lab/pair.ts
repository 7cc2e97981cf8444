/**
 * Two directors that share VIPs by VRRP: each is Sluice or Debian's keepalived. The router reaches
 * the VIP network by the first address they share, so that all traffic follows the master.
 */
import { LabError, until } from './command.js';
import type { Director } from './director.js';
import { devargs } from './five-modes.js';
import type { Lab } from './lab.js';
import type { LabProcess } from './namespace.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  directorMac,
  FRONT_PREFIX,
  type ModeName,
  ROUTER,
  realServer,
  VIP,
  VIP_NETWORK,
} from './topology.js';

/** What the router sends to. */
export const SHARED = '192.0.2.100';
/** The same where adverts are IPv6's. */
export const SHARED_V6 = '2001:db8:1::100';
const ROUTER_V6 = '2001:db8:1::fe';
/** Of a director's front MAC, as its kernel makes it (RFC 4291 appendix A). */
const directorLinkLocal = (n: number) => `fe80::ff:fe00:${n}01`;
export const ROUTER_ID = 51;

export interface PairOptions {
  /** Of the instance, where a pair has several. */
  name?: string;
  routerId?: number;
  /** What it shares, if not SHARED or SHARED_V6. */
  shared?: string;
  version?: 2 | 3;
  advertMs?: number;
  /** By director: 1, 2. */
  priorities?: readonly [number, number];
  unicast?: boolean;
  v6?: boolean;
  /** Multicast group, if not RFC 9568's. */
  group?: string;
  virtualMac?: boolean;
  password?: string;
  /** The password keys AH. */
  ah?: boolean;
  /** keepalived's, if not the same. */
  otherPassword?: string;
  /** File of the key of HMAC trailers, of two Sluices. */
  hmacKey?: string;
  preempt?: boolean;
  accept?: boolean;
  leaseMs?: number;
  workers?: number;
  /** Services by mode; none: addresses alone. */
  modes?: readonly ModeName[];
  /** Connections are told to the other one over syncCable(), with the key in this file. */
  syncKey?: string;
  /** A named pipe for changes of state, of a director that has one. */
  notifyFifo?: string;
  env?: NodeJS.ProcessEnv;
}

const SYNC = 'sync0';
const syncAddress = (n: number) => `198.19.255.${n}`;

/** A cable from one director to the other, for connection sync alone. */
export function syncCable(lab: Lab): void {
  const [first, second] = [lab.ns('director1'), lab.ns('director2')];
  first.ip(`link add name ${SYNC} type veth peer name ${SYNC} netns ${second.name}`);
  for (const [index, end] of [first, second].entries()) {
    end.ip(`addr add ${syncAddress(index + 1)}/30 dev ${SYNC}`, `link set ${SYNC} up`);
  }
}

/** The cable out, or in again: both ends see it. */
export function plugSync(lab: Lab, state: 'up' | 'down'): void {
  lab.ns('director1').ip(`link set ${SYNC} ${state}`);
}

const settings = (options: PairOptions) => ({
  name: 'VI_1',
  routerId: ROUTER_ID,
  shared: options.v6 ? SHARED_V6 : SHARED,
  version: 3 as 2 | 3,
  advertMs: 1_000,
  priorities: [200, 100] as const,
  unicast: false,
  v6: false,
  virtualMac: false,
  preempt: true,
  leaseMs: 3_000,
  workers: 1,
  modes: [] as readonly ModeName[],
  syncKey: undefined,
  notifyFifo: undefined,
  ...options,
});

/** Local addresses move with the VIP of their service, so both directors say the same ones. */
const PAIR_LOCALS = ['198.51.100.200', '198.51.100.201'];

const sharedBy = (o: { shared: string; modes: readonly ModeName[] }) => [
  o.shared,
  ...o.modes.map((mode) => VIP[mode]),
];

/** A director's own settings and ports. */
export function pairPorts(lab: Lab, n: 1 | 2, socket: string, workers = 1): string {
  return `director:
  name: lab-${lab.id}-${n}
  socket: ${socket}
  hugepages: false
  memory: 256
  workers: ${workers}
  maxConnections: 65536
ports:
  - name: front
    device: ${devargs('af_packet', 0, 'f0')}
    mac: ${directorMac(n, 'front')}
    addresses: [${directorFront(n)}/${FRONT_PREFIX}]
  - name: back
    device: ${devargs('af_packet', 1, 'b0')}
    mac: ${directorMac(n, 'back')}
    addresses: [${directorBack(n)}/${BACK_PREFIX}]
routes:
  - { to: 0.0.0.0/0, via: ${ROUTER.front} }
`;
}

function instanceYaml(n: 1 | 2, given: PairOptions): string {
  const o = settings(given);
  const peer = (o.v6 ? directorLinkLocal : directorFront)(3 - n);
  const lines = [
    `    - name: ${o.name}`,
    `      port: front`,
    `      routerId: ${o.routerId}`,
    `      version: ${o.version}`,
    `      priority: ${o.priorities[n - 1]}`,
    `      advertInterval: ${o.advertMs}ms`,
    `      virtualMac: ${o.virtualMac}`,
    `      preempt: ${o.preempt}`,
    ...(o.accept ? [`      accept: true`] : []),
    ...(o.unicast ? [`      unicastPeers: ['${peer}']`] : []),
    ...(o.group ? [`      multicastGroup: '${o.group}'`] : []),
    ...(o.password ? [`      password: ${o.password}`] : []),
    ...(o.ah ? [`      ah: true`] : []),
    ...(o.hmacKey ? [`      hmacKey: ${o.hmacKey}`] : []),
    `      addresses: ['${sharedBy(o).join("', '")}']`,
  ];
  return lines.join('\n');
}

/** `more`: further instances. */
export function pairYaml(
  lab: Lab,
  n: 1 | 2,
  socket: string,
  given: PairOptions = {},
  more: readonly PairOptions[] = [],
): string {
  const o = settings(given);
  const other = n === 1 ? 2 : 1;
  const services = o.modes.flatMap((mode) => [
    `  - name: ${mode}`,
    `    listen: ${VIP[mode]}:80`,
    `    mode: ${mode}`,
    `    scheduler: rr`,
    ...(mode === 'fullnat' ? [`    localAddresses: [${PAIR_LOCALS.join(', ')}]`] : []),
    `    servers:`,
    ...lab.spaces.realServers.map((_, i) => `      - { address: "${realServer(i + 1)}:80" }`),
  ]);
  const { syncKey: key, notifyFifo } = o;
  const sync = `{ interface: ${SYNC}, peer: ${syncAddress(other)}, key: ${key}, share: ${n - 1} }`;
  return `${pairPorts(lab, n, socket, o.workers)}${key === undefined ? '' : `sync: ${sync}\n`}vrrp:
  lease: ${o.leaseMs}ms
${notifyFifo === undefined ? '' : `  notifyFifo: ${notifyFifo}\n`}\
  instances:
${[given, ...more].map((one) => instanceYaml(n, one)).join('\n')}
${services.length > 0 ? `services:\n${services.join('\n')}` : ''}
`;
}

export async function startSluice(
  lab: Lab,
  n: 1 | 2,
  options: PairOptions,
  more: readonly PairOptions[] = [],
): Promise<Director> {
  const socket = lab.path(`director${n}.sock`);
  const yaml = pairYaml(lab, n, socket, options, more);
  const { env = {} } = options;
  const director = lab.director({ yaml, socket, number: n, env });
  await director.start();
  return director;
}

export function keepalivedConf(
  n: 1 | 2,
  given: PairOptions = {},
  more: readonly PairOptions[] = [],
): string {
  return `global_defs {
  vrrp_garp_master_repeat 5
}
${[given, ...more].map((one) => keepalivedInstance(n, one)).join('')}`;
}

function keepalivedInstance(n: 1 | 2, given: PairOptions): string {
  const o = settings(given);
  const addressOf = o.v6 ? directorLinkLocal : directorFront;
  const own = addressOf(n);
  const peer = addressOf(n === 1 ? 2 : 1);
  const password = o.otherPassword ?? o.password;
  const type = o.ah ? 'AH' : 'PASS';
  return `vrrp_instance ${o.name} {
  state BACKUP
  interface f0
  ${o.virtualMac ? 'use_vmac' : ''}
  version ${o.version}
  virtual_router_id ${o.routerId}
  priority ${o.priorities[n - 1]}
  advert_int ${o.advertMs / 1000}
  ${o.preempt ? '' : 'nopreempt'}
  ${o.unicast ? `unicast_src_ip ${own}\n  unicast_peer {\n    ${peer}\n  }` : ''}
  ${o.group ? `mcast_dst_ip ${o.group}` : ''}
  ${password ? `authentication {\n    auth_type ${type}\n    auth_pass ${password}\n  }` : ''}
  virtual_ipaddress {
    ${sharedBy(o).join(`${o.v6 ? '/64' : ''}\n    `)}${o.v6 ? '/64' : ''}
  }
}
`;
}

/** keepalived in the namespace of a director, on its front interface. */
export function startKeepalived(
  lab: Lab,
  n: 1 | 2,
  options: PairOptions,
  text = keepalivedConf(n, options),
): LabProcess {
  const space = lab.ns(`director${n}`);
  space.ip(`addr replace ${directorFront(n)}/${FRONT_PREFIX} dev f0`);
  space.sysctl({ 'net.ipv4.conf.all.arp_ignore': 1, 'net.ipv4.conf.all.arp_announce': 2 });
  if (options.v6) withIPv6(lab, n);
  const conf = lab.write(`director${n}/keepalived.conf`, text);
  const pids = ['p', 'r', 'c'].map((kind) => [`-${kind}`, lab.path(`director${n}`, `${kind}.pid`)]);
  return space.spawn(['keepalived', '--vrrp', '-n', '-l', '-D', '-f', conf, ...pids.flat()], {
    log: lab.path(`director${n}`, 'keepalived.log'),
  });
}

/** On the link between a keepalived and the router; labs are without. */
function withIPv6(lab: Lab, n: 1 | 2): void {
  for (const role of ['router', `director${n}`]) {
    const space = lab.ns(role);
    const all = ['f0', 'default', 'all'];
    // First: an address that is being looked for elsewhere cannot be sent from yet.
    for (const of of all) space.sysctl({ [`net.ipv6.conf.${of}.accept_dad`]: 0 });
    for (const of of all) space.sysctl({ [`net.ipv6.conf.${of}.disable_ipv6`]: 0 });
  }
  lab.ns('router').ip(`addr replace ${ROUTER_V6}/64 dev f0 nodad`);
}

/** All requests go to the shared address from now on. */
export function routeToPair(lab: Lab): void {
  lab.ns('router').ip(`route replace ${VIP_NETWORK} via ${SHARED}`);
}

/** Which director's front MAC the router has for the shared address. */
export function holder(lab: Lab, shared = SHARED): string {
  const text = lab.ns('router').exec(['ip', 'neigh', 'show', shared]);
  return /lladdr (\S+)/.exec(text)?.[1] ?? '';
}

/** Until the process or director has said so, `count` times. */
export async function said(
  of: { readonly output: string } | { readonly log: string },
  text: string,
  count = 1,
  timeoutMs = 15_000,
): Promise<void> {
  const read = () => ('log' in of ? of.log : of.output);
  const good = await until(() => read().split(text).length > count, timeoutMs);
  if (!good) throw new LabError('ERR_LAB_DIRECTOR', `never said '${text}':\n${read()}`);
}
