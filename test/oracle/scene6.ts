// The packets of a scenario's actors in IPv6: addresses are the scenario's own, as in scene.ts.

import { concat, readU16, u16, u32 } from '../support/bytes.js';
import {
  type Icmp6Fields,
  icmp6,
  icmp6Error,
  ip6Of,
  type Tcp6Fields,
  tcp6,
  type Udp6Fields,
  udp6,
} from '../support/packet6.js';
import { CLIENT_PORT, type Scenario, Scene, type Step } from './scene.js';
import type { OracleMode, Service } from './services.js';
import {
  BACK_MAC,
  client6Of,
  FRONT_MAC,
  GATEWAY_MAC,
  GATEWAY6,
  type ServerName,
  serverAddress6,
  serverMac,
  vip6Of,
} from './topology.js';
import type { Frame } from './uml.js';

type Some<Fields> = Partial<Omit<Fields, 'from' | 'to'>>;
type Ends = { host?: number; sport?: number; dport?: number };
type Down = Ends & { server?: ServerName };
type Error6 = { type: number; code: number; mtu?: number; from?: string };

const FROM_GATEWAY = { fromMac: GATEWAY_MAC, toMac: FRONT_MAC };
const end = (address: string, port: number) => `[${address}]:${port}`;
const restOf = (mtu = 0) => u32(mtu);

export class Scene6 extends Scene {
  override readonly vip: string;

  constructor(number: number, mode: OracleMode = 'nat') {
    super(number, mode);
    this.vip = vip6Of(number);
  }

  override client(host = 1): string {
    return client6Of(this.number, host);
  }

  tcp6(flags: string, fields: Some<Tcp6Fields> & Ends = {}): Frame {
    return front(tcp6({ seq: 1000, ...this.#up(fields, 80), flags, ...fields }));
  }

  udp6(fields: Some<Udp6Fields> & Ends = {}): Frame {
    return front(udp6({ payload: 'a query', ...this.#up(fields, 53), ...fields }));
  }

  reply6(flags: string, fields: Some<Tcp6Fields> & Down = {}): Frame {
    return back(tcp6({ seq: 2000, ...this.#down(fields, 8080), flags, ...fields }));
  }

  udpReply6(fields: Some<Udp6Fields> & Down = {}): Frame {
    return back(udp6({ payload: 'answer', ...this.#down(fields, 5353), ...fields }));
  }

  /** An ICMPv6 error towards the VIP, from the gateway. */
  error6(quote: Frame, { mtu, ...fields }: Error6): Frame {
    const ends = { from: GATEWAY6, to: this.vip, ...FROM_GATEWAY };
    return front(icmp6Error({ ...ends, rest: restOf(mtu), ...fields, quote: quote.bytes }));
  }

  /** An ICMPv6 error from a server, towards the client. */
  serverError6(quote: Frame, { mtu, ...fields }: Error6): Frame {
    const ends = {
      from: serverAddress6('A'),
      to: this.client(),
      fromMac: serverMac('A'),
      toMac: BACK_MAC,
    };
    return back(icmp6Error({ ...ends, rest: restOf(mtu), ...fields, quote: quote.bytes }));
  }

  icmp6(fields: Some<Icmp6Fields> & { type: number }): Frame {
    return front(icmp6({ from: this.client(), to: this.vip, ...FROM_GATEWAY, ...fields }));
  }

  /** What the client got, as its errors quote it. */
  asClientSees6(): Frame {
    const ends = { from: end(this.vip, 80), to: end(this.client(), CLIENT_PORT) };
    return front(tcp6({ ...ends, flags: 'A', payload: 'quoted by an error' }));
  }

  asClientSeesUdp6(): Frame {
    const ends = { from: end(this.vip, 53), to: end(this.client(), CLIENT_PORT) };
    return front(udp6({ ...ends, payload: 'quoted by an error' }));
  }

  /** What a NAT server got. */
  asServerSees6(): Frame {
    const ends = { from: end(this.client(), CLIENT_PORT), to: end(serverAddress6('A'), 8080) };
    return back(tcp6({ ...ends, flags: 'A', payload: 'quoted by an error' }));
  }

  asServerSeesUdp6(): Frame {
    const ends = { from: end(this.client(), CLIENT_PORT), to: end(serverAddress6('A'), 5353) };
    return back(udp6({ ...ends, payload: 'quoted by an error' }));
  }

  #up({ host = 1, sport = CLIENT_PORT, dport }: Ends, port: number) {
    return {
      from: end(this.client(host), sport),
      to: end(this.vip, dport ?? port),
      ...FROM_GATEWAY,
    };
  }

  #down({ host = 1, sport, dport = CLIENT_PORT, server = 'A' }: Down, port: number) {
    return {
      from: end(serverAddress6(server), sport ?? port),
      to: end(this.client(host), dport),
      fromMac: serverMac(server),
      toMac: BACK_MAC,
    };
  }
}

const front = (bytes: Uint8Array): Frame => ({ port: 'front', bytes });
const back = (bytes: Uint8Array): Frame => ({ port: 'back', bytes });

/** A scenario whose actors speak IPv6. */
export interface Scenario6 extends Omit<Scenario, 'steps' | 'six' | 'services'> {
  services: Service[];
  steps: (s: Scene6) => Step[];
}

export function six({ services, steps, ...rest }: Scenario6): Scenario {
  return {
    ...rest,
    six: true,
    say: `IPv6, ${rest.say}`,
    services: sixth(services),
    steps: (s) =>
      steps(s as Scene6).map((step) =>
        typeof step === 'object' && 'services' in step ? { services: sixth(step.services) } : step,
      ),
  };
}

const sixth = (services: Service[]) =>
  services.map((service) => ({ ...service, six: true as const }));

/** The fragments of a frame's packet, `size` payload bytes (a multiple of 8) each (RFC 8200 section 4.5). */
export function fragments6(frame: Frame, size: number): Frame[] {
  const packet = ip6Of(frame.bytes);
  const payload = packet.subarray(40);
  const parts: Frame[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const piece = payload.subarray(at, at + size);
    const more = at + size < payload.length ? 1 : 0;
    const header = concat(Uint8Array.of(packet[6] as number, 0), u16(at | more), u32(0x01020304));
    const head = Uint8Array.from(packet.subarray(0, 40));
    head.set(u16(header.length + piece.length), 4);
    head[6] = 44;
    const bytes = concat(frame.bytes.subarray(0, 14), head, header, piece);
    parts.push({ port: frame.port, bytes });
  }
  return parts;
}

/** Where the upper layer of an IPv6 frame with fragment header has its identification; undefined: none. */
export function fragmentId(frame: Uint8Array): number | undefined {
  if (readU16(frame, 12) !== 0x86dd) return undefined;
  for (let at = 14, next = 6; at + 40 <= frame.length; ) {
    const kind = frame[at + next];
    if (kind === 44) return at + 40 + 4;
    if (kind !== 41) return undefined;
    at += 40;
    next = 6;
  }
  return undefined;
}
