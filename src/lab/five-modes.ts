/**
 * A lab with one director that serves all five modes: one VIP a mode, HTTP and iperf3 by TCP and
 * DNS by UDP on each. What the demo shows, the lab's tests and the benchmarks use too.
 */
import { startAgent } from './agent.js';
import type { Director } from './director.js';
import { DNS_PORT, DnsServer, HttpServer, IPERF_PORT, IperfServer } from './fixtures.js';
import type { Lab } from './lab.js';
import {
  BACK_PREFIX,
  directorBack,
  directorFront,
  directorMac,
  FRONT_PREFIX,
  LOCAL_ADDRESSES,
  type ModeName,
  natServer,
  ROUTER,
  realServer,
  VIP,
} from './topology.js';

export const ALL_MODES: readonly ModeName[] = ['nat', 'dr', 'tun', 'fullnat', 'enat'];

/** In these modes the director may map the port; the others leave the packet's own. */
const MAPS_PORTS: readonly ModeName[] = ['nat', 'fullnat', 'enat'];

export interface FiveModesOptions {
  modes?: readonly ModeName[];
  /** af_packet needs nothing of the machine; af_xdp is faster. */
  driver?: 'af_packet' | 'af_xdp';
  workers?: number;
  /** Room in the director's table. */
  maxConnections?: number;
  onServerRemoved?: 'drop' | 'reset';
  /** Where edits outlive the process. */
  keepEdits?: string;
  /** Of TCP services whose servers are by nat and fullnat. */
  synProxy?: boolean;
}

export function devargs(driver: 'af_packet' | 'af_xdp', index: number, iface: string): string {
  return driver === 'af_xdp'
    ? `net_af_xdp${index},iface=${iface},start_queue=0,queue_count=1`
    : `net_af_packet${index},iface=${iface},blocksz=1048576,framesz=2048,framecnt=4096`;
}

function service(
  mode: ModeName,
  what: 'http' | 'iperf' | 'dns',
  lab: Lab,
  { synProxy = false }: FiveModesOptions,
): string {
  const port = { http: 80, iperf: IPERF_PORT, dns: DNS_PORT }[what];
  const target = what === 'http' && MAPS_PORTS.includes(mode) ? 8080 : port;
  const lines = [
    `  - name: ${mode}-${what}`,
    `    listen: ${VIP[mode]}:${port}`,
    `    protocol: ${what === 'dns' ? 'udp' : 'tcp'}`,
    `    mode: ${mode}`,
    // iperf3's control and data connections have to reach the same server.
    `    scheduler: ${what === 'iperf' ? 'sh' : 'rr'}`,
  ];
  if (mode === 'fullnat' || mode === 'enat') {
    lines.push(`    localAddresses: [${LOCAL_ADDRESSES.join(', ')}]`);
  }
  const proxies = what !== 'dns' && (mode === 'nat' || mode === 'fullnat');
  if (synProxy && proxies) lines.push('    synProxy: true');
  lines.push('    servers:');
  lab.spaces.realServers.forEach((_, i) => {
    const address = mode === 'nat' ? natServer(i + 1) : realServer(i + 1);
    lines.push(`      - { address: "${address}:${target}", weight: 1 }`);
  });
  return lines.join('\n');
}

/** director.yaml for a lab's director. */
export function fiveModesYaml(lab: Lab, socket: string, options: FiveModesOptions = {}): string {
  const { modes = ALL_MODES, driver = 'af_packet', workers = 1 } = options;
  const { maxConnections = 65536, keepEdits } = options;
  const services = modes.flatMap((mode) =>
    (['http', 'iperf', 'dns'] as const).map((what) => service(mode, what, lab, options)),
  );
  return `director:
  name: lab-${lab.id}
  socket: ${socket}
  workers: ${workers}
  hugepages: false
  memory: 512
  maxConnections: ${maxConnections}${keepEdits === undefined ? '' : `\n  keepEdits: ${keepEdits}`}
ports:
  - name: front
    device: ${devargs(driver, 0, 'f0')}
    mac: ${directorMac(1, 'front')}
    addresses: [${directorFront(1)}/${FRONT_PREFIX}]
  - name: back
    device: ${devargs(driver, 1, 'b0')}
    mac: ${directorMac(1, 'back')}
    addresses: [${directorBack(1)}/${BACK_PREFIX}]
routes:
  - { to: 0.0.0.0/0, via: ${ROUTER.front} }
services:
${services.join('\n')}
`;
}

export interface FiveModes {
  director: Director;
  http: Map<string, HttpServer>;
  dns: Map<string, DnsServer>;
  iperf: Map<string, IperfServer>;
}

/** Starts agents, servers and the director, and reports each step to `say`. */
export async function startFiveModes(
  lab: Lab,
  options: FiveModesOptions = {},
  say: (text: string) => void = () => {},
): Promise<FiveModes> {
  const http = new Map<string, HttpServer>();
  const dns = new Map<string, DnsServer>();
  const iperf = new Map<string, IperfServer>();
  for (const { role } of lab.spaces.realServers) {
    say(`${role}: agent, nginx, iperf3, dnsmasq`);
    await startAgent(lab, role);
    http.set(role, await HttpServer.start(lab, role));
    dns.set(role, await DnsServer.start(lab, role));
    iperf.set(role, await IperfServer.start(lab, role));
  }
  const socket = lab.path('director1.sock');
  say('director: sluice run');
  const director = lab.director({ yaml: fiveModesYaml(lab, socket, options), socket });
  await director.start();
  return { director, http, dns, iperf };
}
