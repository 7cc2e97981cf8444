/**
 * IPv6 beside IPv4 in a routed lab, alike address for address: documentation addresses (RFC 3849)
 * on the same wires.
 *
 *   client 2001:db8:c::2 ── router ──┬── 2001:db8:1::/64 ── director ::1
 *                                    └── 2001:db8:2::/64 ── director ::1, rs1 ::11 … (::21 … for NAT)
 */
import { until } from './command.js';
import { devargs } from './five-modes.js';
import type { Lab } from './lab.js';
import type { Namespace } from './namespace.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  directorMac,
  FRONT_PREFIX,
  ROUTER,
  VIP,
} from './topology.js';

export const CLIENT6 = '2001:db8:c::2';
export const SIX_MODES = ['nat', 'dr', 'tun', 'fullnat'] as const;
export type SixMode = (typeof SIX_MODES)[number];
export const VIP6: Record<SixMode, string> = {
  nat: '2001:db8:f::10',
  dr: '2001:db8:f::20',
  tun: '2001:db8:f::30',
  fullnat: '2001:db8:f::40',
};
export const LOCAL6 = '2001:db8:2::200';

const server6 = (n: number) => `2001:db8:2::${10 + n}`;
const natServer6 = (n: number) => `2001:db8:2::${20 + n}`;
const NAT_TABLE = 106;

/** No duplicates are looked for: the lab's wires are its own. */
function addresses(namespace: Namespace, device: string, ...all: string[]): void {
  namespace.ip(...all.map((address) => `addr add ${address} dev ${device} nodad`));
}

function enable(namespace: Namespace): void {
  namespace.sysctl({
    'net.ipv6.conf.all.accept_dad': 0,
    'net.ipv6.conf.default.accept_dad': 0,
    'net.ipv6.conf.default.accept_ra': 0,
    'net.ipv6.conf.all.disable_ipv6': 0,
    'net.ipv6.conf.default.disable_ipv6': 0,
    'net.ipv6.icmp.ratelimit': 0,
  });
}

/** Gives a routed lab its IPv6 addresses and routes. Before its director starts. */
export function addSix(lab: Lab): void {
  const { client, router, directors, realServers } = lab.spaces;
  for (const namespace of [client, router, ...directors, ...realServers]) enable(namespace);
  addresses(client, 'c0', `${CLIENT6}/64`);
  addresses(router, 'c0', '2001:db8:c::1/64');
  addresses(router, 'f0', '2001:db8:1::fe/64');
  addresses(router, 'b0', '2001:db8:2::fe/64');
  router.sysctl({ 'net.ipv6.conf.all.forwarding': 1 });
  client.ip('route add default via 2001:db8:c::1');
  router.ip('route add 2001:db8:f::/64 via 2001:db8:1::1');
  realServers.forEach((server, i) => {
    addresses(server, 'b0', `${server6(i + 1)}/64`, `${natServer6(i + 1)}/128`);
    addresses(server, 'lo', `${VIP6.dr}/128`, `${VIP6.tun}/128`);
    server.ip(
      'route add default via 2001:db8:2::fe',
      `route add default via 2001:db8:2::1 table ${NAT_TABLE}`,
    );
    // A line of a batch can't say which family a rule is for.
    server.exec(['ip', '-6', 'rule', 'add', 'from', natServer6(i + 1), 'lookup', `${NAT_TABLE}`]);
  });
}

interface Words {
  /** Health checks, where the director reaches servers itself. */
  checks?: boolean;
  /** Of TCP services by nat and fullnat. */
  synProxy?: boolean;
}

function service(mode: SixMode, what: 'http' | 'dns', lab: Lab, words: Words): string {
  const port = what === 'http' ? 80 : 53;
  const target = what === 'http' && (mode === 'nat' || mode === 'fullnat') ? 8080 : port;
  const servers = lab.spaces.realServers.map((_, i) => {
    const address = mode === 'nat' ? natServer6(i + 1) : server6(i + 1);
    return `      - { address: "[${address}]:${target}" }`;
  });
  const both = what === 'http' && mode !== 'tun' && mode !== 'dr';
  return `  - name: ${mode}6-${what}
    listen: "[${VIP6[mode]}]:${port}"
    protocol: ${what === 'dns' ? 'udp' : 'tcp'}
    mode: ${mode}
    scheduler: rr
    ${mode === 'fullnat' ? `localAddresses: ["${LOCAL6}"]` : ''}
    ${both && words.synProxy ? 'synProxy: true' : ''}
    ${both && words.checks ? 'health: { delayLoop: 1s, checks: [{ type: http, path: /, status: 200 }] }' : ''}
    servers:
${servers.join('\n')}`;
}

function services(lab: Lab, words: Words): string {
  return SIX_MODES.flatMap((mode) =>
    (['http', 'dns'] as const).map((what) => service(mode, what, lab, words)),
  ).join('\n');
}

/** director.yaml of a lab's director `n` with what IPv6 takes beside IPv4's, services included. */
export function withSix(lab: Lab, yaml: string, n = 1, words: Words = {}): string {
  const front = `${directorFront(n)}/${FRONT_PREFIX}`;
  const back = `${directorBack(n)}/${BACK_PREFIX}`;
  return yaml
    .replace(front, `${front}, "2001:db8:1::${n}/64"`)
    .replace(back, `${back}, "2001:db8:2::${n}/64"`)
    .replace('routes:\n', 'routes:\n  - { to: "::/0", via: "2001:db8:1::fe" }\n')
    .replace('services:\n', `services:\n${services(lab, words)}\n`);
}

/** Requests and replies of IPv6 go to director n from now on. */
export function moveSixTo(lab: Lab, n: number): void {
  lab.ns('router').ip(`route replace 2001:db8:f::/64 via 2001:db8:1::${n}`);
  for (const { role } of lab.spaces.realServers) {
    lab
      .ns(role)
      .ip(
        `route replace default via 2001:db8:2::${n} table ${NAT_TABLE}`,
        `neigh replace ${LOCAL6} lladdr ${directorMac(n, 'back')} nud permanent dev b0`,
      );
  }
}

/** director.yaml of a lab with both families: services of IPv6, and one of IPv4 tunnelled in it. */
export function sixYaml(lab: Lab, socket: string, workers = 1): string {
  return `director: { name: lab-${lab.id}, socket: ${socket}, workers: ${workers}, hugepages: false, maxConnections: 65536 }
ports:
  - name: front
    device: ${devargs('af_packet', 0, 'f0')}
    mac: ${directorMac(1, 'front')}
    addresses: [${directorFront(1)}/${FRONT_PREFIX}, "2001:db8:1::1/64"]
  - name: back
    device: ${devargs('af_packet', 1, 'b0')}
    mac: ${directorMac(1, 'back')}
    addresses: [${directorBack(1)}/${BACK_PREFIX}, "2001:db8:2::1/64"]
routes:
  - { to: 0.0.0.0/0, via: ${ROUTER.front} }
  - { to: "::/0", via: "2001:db8:1::fe" }
services:
${services(lab, { checks: true })}
  - name: four-in-six
    listen: ${VIP.tun}:80
    mode: tun
    scheduler: rr
    servers:
${lab.spaces.realServers.map((_, i) => `      - { address: "[${server6(i + 1)}]:80" }`).join('\n')}
`;
}

/** Next hops are resolved by then: the first packets would only ask for them. */
export async function sixIsReachable(lab: Lab): Promise<boolean> {
  const curl = ['curl', '-s', '-o', '/dev/null', '-m', '1', `http://[${VIP6.nat}]/`];
  return until(() => lab.ns('client').try(curl).status === 0, 20_000);
}
