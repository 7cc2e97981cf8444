// What a scenario is, and the packets of its actors: clients behind the gateway, servers A, B, C …

import { checksum } from '../support/bytes.js';
import {
  type IcmpErrorFields,
  type IcmpFields,
  type IpFields,
  icmp,
  icmpError,
  ip,
  ipOf,
  type TcpFields,
  tcp,
  type UdpFields,
  udp,
} from '../support/packet.js';
import { type SctpFields, sctp } from '../support/sctp.js';
import type { OracleMode, Service } from './services.js';
import {
  BACK,
  BACK_MAC,
  clientOf,
  FRONT_MAC,
  GATEWAY,
  GATEWAY_MAC,
  type ServerName,
  serverAddress,
  serverMac,
  vipOf,
} from './topology.js';
import type { Frame } from './uml.js';

/** A frame goes in; the services change; or both directors' listings are compared. */
export type Step = Frame | { services: Service[] } | 'listing';

export interface Scenario {
  /** One sentence: what is the case, what is sent. */
  say: string;
  services: Service[];
  /** LVS's expire_nodest_conn. */
  resetOnServerRemoved?: boolean;
  /** Of the ports, where it isn't 1500. */
  mtu?: { front?: number; back?: number };
  /** Compare the statistics in the end. */
  statistics?: true;
  steps: (s: Scene) => Step[];
  /** Its actors speak IPv6, and its Scene is a Scene6. */
  six?: true;
  /** Names of the differences on purpose (differences.ts) that show here. */
  differs?: string[];
}

type Some<Fields> = Partial<Omit<Fields, 'from' | 'to'>>;
type Ends = { host?: number; sport?: number; dport?: number };

export const CLIENT_PORT = 40000;

export class Scene {
  readonly vip: string;

  constructor(
    readonly number: number,
    readonly mode: OracleMode = 'nat',
  ) {
    this.vip = vipOf(number);
  }

  client(host = 1): string {
    return clientOf(this.number, host);
  }

  /** From a client to the virtual service. */
  tcp(flags: string, fields: Some<TcpFields> & Ends = {}): Frame {
    return this.front(tcp({ flags, ...this.#up(fields, 80), ...fields }));
  }

  udp(fields: Some<UdpFields> & Ends = {}): Frame {
    return this.front(udp({ payload: 'a query', ...this.#up(fields, 53), ...fields }));
  }

  sctp(fields: Some<SctpFields> & Ends): Frame {
    return this.front(sctp({ ...this.#up(fields, 2905), ...fields }));
  }

  /** From a server to a client; NAT's ports are mapped (80 → 8080, 53 → 5353, 2905 → 2906). */
  reply(flags: string, fields: Some<TcpFields> & Ends & { server?: ServerName } = {}): Frame {
    return this.back(tcp({ flags, ...this.#down(fields, 8080), ...fields }));
  }

  udpReply(fields: Some<UdpFields> & Ends & { server?: ServerName } = {}): Frame {
    return this.back(udp({ payload: 'answer', ...this.#down(fields, 5353), ...fields }));
  }

  sctpReply(fields: Some<SctpFields> & Ends & { server?: ServerName }): Frame {
    return this.back(sctp({ ...this.#down(fields, 2906), ...fields }));
  }

  /** An ICMP error towards the VIP, from the gateway unless told. */
  error(quote: Frame, fields: Partial<IcmpErrorFields> & { type: number; code: number }): Frame {
    return this.front(
      icmpError({ from: GATEWAY, to: this.vip, ...FROM_GATEWAY, ...fields, quote: quote.bytes }),
    );
  }

  /** An ICMP error from the servers' side, towards the client unless told. */
  serverError(
    quote: Frame,
    fields: Partial<IcmpErrorFields> & { type: number; code: number; server?: ServerName },
  ): Frame {
    const from = serverAddress(fields.server ?? 'A');
    return this.back(
      icmpError({
        from,
        to: this.client(),
        fromMac: serverMac(fields.server ?? 'A'),
        toMac: BACK_MAC,
        ...fields,
        quote: quote.bytes,
      }),
    );
  }

  icmp(fields: Some<IcmpFields> & { type: number }): Frame {
    return this.front(icmp({ ...this.#ends(), ...FROM_GATEWAY, ...fields }));
  }

  ip(protocol: number, payload: Uint8Array, fields: IpFields = {}): Frame {
    return this.front(ip({ ...this.#ends(), ...FROM_GATEWAY, ...fields }, protocol, payload));
  }

  /** What the client gets from the service, as its errors quote it. */
  asClientSees(fields: Some<TcpFields> = {}): Frame {
    const from = `${this.vip}:80`;
    const to = `${this.client()}:${CLIENT_PORT}`;
    return this.front(tcp({ from, to, flags: 'A', payload: 'quoted by an error', ...fields }));
  }

  asClientSeesUdp(fields: Some<UdpFields> = {}): Frame {
    const from = `${this.vip}:53`;
    const to = `${this.client()}:${CLIENT_PORT}`;
    return this.front(udp({ from, to, payload: 'quoted by an error', ...fields }));
  }

  /** What a NAT server gets, as its errors quote it. */
  asServerSees(fields: Some<TcpFields> = {}, server: ServerName = 'A'): Frame {
    const from = `${this.client()}:${CLIENT_PORT}`;
    const to = `${serverAddress(server)}:8080`;
    return this.back(tcp({ from, to, flags: 'A', payload: 'quoted by an error', ...fields }));
  }

  asServerSeesUdp(fields: Some<UdpFields> = {}, server: ServerName = 'A'): Frame {
    const from = `${this.client()}:${CLIENT_PORT}`;
    const to = `${serverAddress(server)}:5353`;
    return this.back(udp({ from, to, payload: 'quoted by an error', ...fields }));
  }

  asClientSeesSctp(): Uint8Array {
    return sctp({ from: `${this.vip}:2905`, to: `${this.client()}:${CLIENT_PORT}` });
  }

  asServerSeesSctp(server: ServerName = 'A'): Uint8Array {
    const from = `${this.client()}:${CLIENT_PORT}`;
    return sctp({ from, to: `${serverAddress(server)}:2906` });
  }

  /** A SYN from any source at all. */
  from(address: string): Frame {
    const to = `${this.vip}:80`;
    return this.front(tcp({ from: `${address}:${CLIENT_PORT}`, to, flags: 'S', ...FROM_GATEWAY }));
  }

  /** The outer packet that carries a client's packet to a server, as an error quotes it. */
  tunnelled(inner: Frame, server: ServerName, df = false): Frame {
    const ends = { from: BACK, to: serverAddress(server), ttl: 63, df };
    return this.back(ip(ends, 4, ipOf(inner.bytes)));
  }

  front(bytes: Uint8Array): Frame {
    return { port: 'front', bytes };
  }

  back(bytes: Uint8Array): Frame {
    return { port: 'back', bytes };
  }

  #ends() {
    return { from: this.client(), to: this.vip };
  }

  #up({ host = 1, sport = CLIENT_PORT, dport }: Ends, service: number) {
    return {
      from: `${this.client(host)}:${sport}`,
      to: `${this.vip}:${dport ?? service}`,
      ...FROM_GATEWAY,
    };
  }

  #down({ host = 1, sport, dport, server }: Ends & { server?: ServerName }, port: number) {
    return {
      from: `${serverAddress(server ?? 'A')}:${sport ?? port}`,
      to: `${this.client(host)}:${dport ?? CLIENT_PORT}`,
      fromMac: serverMac(server ?? 'A'),
      toMac: BACK_MAC,
    };
  }
}

const FROM_GATEWAY = { fromMac: GATEWAY_MAC, toMac: FRONT_MAC };

/** The fragments of a frame's packet, `size` payload bytes (a multiple of 8) each (RFC 791). */
export function fragments(frame: Frame, size: number): Frame[] {
  const packet = ipOf(frame.bytes);
  const payload = packet.subarray(20);
  const parts: Frame[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const part = Buffer.concat([
      frame.bytes.subarray(0, 14),
      packet.subarray(0, 20),
      payload.subarray(at, at + size),
    ]);
    part.writeUInt16BE(part.length - 14, 16);
    part.writeUInt16BE((at + size < payload.length ? 0x2000 : 0) | (at / 8), 20);
    part.writeUInt16BE(0, 24);
    part.writeUInt16BE(checksum(part.subarray(14, 34)), 24);
    parts.push({ port: frame.port, bytes: part });
  }
  return parts;
}
