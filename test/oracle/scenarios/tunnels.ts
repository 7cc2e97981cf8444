// TUN by GRE and by GUE: what leaves, what fits, and errors about it.

import { type Tunnel, tunnelText } from '../../../src/config/tunnel.js';
import { outerProtocol, overheadOf, shim } from '../../support/model/tunnel.js';
import { concat, ip, ipOf, pattern } from '../../support/packet.js';
import type { Scenario, Scene } from '../scene.js';
import { BACK, type ServerName, serverAddress } from '../topology.js';
import type { Frame } from '../uml.js';
import { web } from './common.js';

const TUNNELS: Tunnel[] = [
  { type: 'gre', port: 0, checksum: 'nocsum' },
  { type: 'gre', port: 0, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'nocsum' },
  { type: 'gue', port: 6080, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'remcsum' },
];

/** The outer packet that carries a client's packet to a server, as an error quotes it. */
function outer(s: Scene, tunnel: Tunnel, inner: Frame, server: ServerName, df = false): Frame {
  const packet = ipOf(inner.bytes);
  const to = serverAddress(server);
  const before = shim(tunnel, packet, BACK, to, 40_000);
  const ends = { from: BACK, to, ttl: 63, df };
  return s.back(ip(ends, outerProtocol(tunnel), concat(before, packet)));
}

/**
 * IPVS knows a tunnel by its server's address alone, and remembers the path MTU towards it: each type
 * has servers of its own, the second to be told of a smaller MTU.
 */
const OWN: [ServerName, ServerName][] = [
  ['I', 'J'],
  ['K', 'L'],
  ['M', 'N'],
  ['O', 'P'],
  ['Q', 'R'],
];

function scenariosOf(tunnel: Tunnel, at: number): Scenario[] {
  const name = tunnelText(tunnel);
  const [server, narrow] = OWN[at] as [ServerName, ServerName];
  const services = web('tun', { tunnel, servers: [{ name: server }] });
  const room = 1400 - overheadOf(tunnel);
  return [
    {
      say: `${name}: packets of all kinds`,
      services,
      statistics: true,
      steps: (s) => [
        s.tcp('S', { df: true, tos: 0x2b }),
        s.tcp('A', { df: true, payload: pattern(101), tos: 0xff }),
        s.tcp('PA', { payload: pattern(1000), ttl: 2 }),
        s.tcp('FA', { ttl: 255, id: 0xabcd }),
        s.udp({ df: true, payload: pattern(33) }),
        s.udp({ checksum: 'none', payload: 'x' }),
        s.udp({ ipOptions: [Uint8Array.of(0x94, 4, 0, 0)] }),
        s.error(s.asClientSees(), { type: 3, code: 1 }),
        'listing',
      ],
    },
    {
      say: `${name}: servers behind an MTU of 1400, packets with DF`,
      services,
      mtu: { back: 1400 },
      steps: (s) => [
        s.tcp('S', { df: true }),
        s.tcp('A', { df: true, payload: pattern(room - 40) }),
        s.tcp('A', { df: true, payload: pattern(room - 39), tos: 0x2b }),
        s.udp({ df: true, payload: pattern(room - 28) }),
        s.udp({ df: true, payload: pattern(room - 27) }),
      ],
    },
    {
      say: `${name}: servers behind an MTU of 1400, packets that may be fragmented`,
      services,
      mtu: { back: 1400 },
      steps: (s) => [
        s.tcp('S'),
        s.tcp('A', { payload: pattern(room - 40) }),
        s.tcp('A', { payload: pattern(room - 39) }),
        s.udp({ payload: pattern(1472), tos: 0x2b, id: 0xabcd }),
      ],
    },
    {
      say: `${name}: an ICMP error about the outer packet becomes one for the client`,
      services,
      steps: (s) => {
        const about = (length: number) =>
          outer(s, tunnel, s.tcp('A', { payload: pattern(length) }), server);
        return [
          s.tcp('S'),
          s.serverError(about(10), { type: 3, code: 3, to: BACK, server }),
          s.serverError(about(400), { type: 3, code: 1, to: BACK, server }),
          s.serverError(about(10), { type: 11, code: 0, to: BACK, server: 'B' }),
          'listing',
        ];
      },
    },
    {
      say: `${name}: fragmentation needed on the way to the server is told to the client`,
      services: web('tun', { tunnel, servers: [{ name: narrow }] }),
      steps: (s) => [
        s.tcp('S'),
        s.serverError(
          outer(s, tunnel, s.tcp('A', { payload: pattern(1400), df: true }), narrow, true),
          { type: 3, code: 4, mtu: 1400, to: BACK, server: narrow },
        ),
        s.tcp('A', { payload: pattern(1400), df: true }),
      ],
      differs: ['tunnel-path-mtu'],
    },
  ];
}

const [gre, , gue] = TUNNELS;
const S = { servers: [{ name: 'S' as const }] };

const changing: Scenario[] = [
  {
    say: 'tun: a server changes its tunnel while it has connections',
    services: web('tun', S),
    steps: (s) =>
      [gre, gue, undefined, gue].flatMap((tunnel, at) => [
        s.tcp(at === 0 ? 'S' : 'A', { payload: pattern(20) }),
        { services: web('tun', { ...S, tunnel }) },
        s.tcp('A', { payload: pattern(30) }),
        s.udp(),
      ]),
  },
  {
    say: 'tun: an ICMP error about a tunnel that another service has to the same server',
    services: web('tun', S).map((one, at) => ({ ...one, tunnel: at === 0 ? gre : gue })),
    steps: (s) => [
      s.tcp('S'),
      ...[gue as Tunnel].map((other) =>
        s.serverError(outer(s, other, s.tcp('A'), 'S'), {
          type: 3,
          code: 1,
          to: BACK,
          server: 'S',
        }),
      ),
    ],
  },
];

export const tunnels: Scenario[] = [...TUNNELS.flatMap(scenariosOf), ...changing];
