/**
 * The dumb second model, of IPv6: what a director does with requests and replies, as maps of text
 * and packets built anew from their fields. Nothing is rewritten in place, nothing incremental.
 * Connections don't expire and don't end here.
 */
import * as q from '../packet6.js';
import { BACK_MAC, FRONT_MAC, ROUTER_MAC, serverMac } from '../world.js';
import { BACK6, LIP6, VIPS, type Way } from '../world6.js';

export interface Sent {
  way: Way;
  protocol: 'tcp' | 'udp';
  /** From a client to the VIP, or from its server back. */
  reply: boolean;
  /** `[address]:port` */
  client: string;
  /** TCP. */
  flags: string;
  hops: number;
  trafficClass: number;
  payload: Uint8Array;
  /** Destination options in front of the upper layer. */
  options: boolean;
}

export interface Expected {
  end: string;
  /** undefined: nothing leaves. */
  frame?: Uint8Array;
  port?: number;
}

interface Connection {
  server: number;
  /** FullNAT: `[LIP]:port`. */
  local: string;
  /** The server's SYN-ACK has been seen. */
  answered: boolean;
}

const VPORT = 80;
const SERVER_PORT = 8080;
export const server6 = (n: number) => `2001:db8:2::${11 + n}`;
const keepsPort = (way: Way) => way === 'dr' || way === 'tun';
export const SEQUENCE = { client: 0x01000000, server: 0x02000000 };

export class Model6 {
  readonly connections = new Map<string, Connection>();
  readonly #next = new Map<string, number>();

  constructor(readonly servers: number) {}

  key({ way, protocol, client }: Sent): string {
    return `${way} ${protocol} ${client}`;
  }

  /** The frame that arrives, or undefined when a reply would have no connection to belong to. */
  arriving(sent: Sent): Uint8Array | undefined {
    const { way, client, reply } = sent;
    if (!reply) return this.#frame(sent, client, `[${VIPS[way]}]:${VPORT}`, sent.hops);
    const c = this.connections.get(this.key(sent));
    if (!c || keepsPort(way)) return undefined;
    const from = `[${server6(c.server)}]:${SERVER_PORT}`;
    return this.#frame(sent, from, way === 'fullnat' ? c.local : client, sent.hops);
  }

  /** `chosen`: the local end that the engine has taken, where it takes a new one. */
  step(sent: Sent, chosen: () => string): Expected {
    const { way, protocol, client } = sent;
    const vip = `[${VIPS[way]}]:${VPORT}`;
    const c = this.connections.get(this.key(sent));
    if (sent.reply) {
      if (sent.hops <= 1) return { end: 'answered_time_exceeded' };
      if (sent.flags.includes('S') && protocol === 'tcp') (c as Connection).answered = true;
      const frame = this.#frame(sent, vip, client, sent.hops - 1, FRONT_MAC, ROUTER_MAC);
      const end = way === 'nat' ? 'forwarded_nat_reply' : 'forwarded_fullnat_reply';
      return { end, frame, port: 0 };
    }
    if (!c && protocol === 'tcp' && !sent.flags.includes('S')) return { end: 'answered_reset' };
    const now = c ?? this.#connect(sent);
    if (sent.hops <= 1) {
      if (!c && way === 'fullnat') now.local = chosen();
      return { end: 'answered_time_exceeded' };
    }
    if (!c && way === 'fullnat') now.local = chosen();
    const end = `forwarded_${way}`;
    const to = `[${server6(now.server)}]:${keepsPort(way) ? VPORT : SERVER_PORT}`;
    const mac = serverMac(now.server + 1);
    const hops = sent.hops - 1;
    if (way === 'dr')
      return { end, frame: this.#frame(sent, client, vip, hops, BACK_MAC, mac), port: 1 };
    if (way === 'tun') {
      const { trafficClass } = sent;
      const outer = (trafficClass & 3) === 3 ? trafficClass - 1 : trafficClass;
      const inner = q.ip6Of(this.#frame(sent, client, vip, hops));
      const fields = { hops, trafficClass: outer, fromMac: BACK_MAC, toMac: mac };
      const frame = q.ip6Frame({ from: BACK6, to: server6(now.server), ...fields }, 41, inner);
      return { end, frame, port: 1 };
    }
    const from = way === 'fullnat' ? now.local : client;
    // The client is told in its SYN, and in what acknowledges nothing but the server's.
    const told =
      way === 'fullnat' && protocol === 'tcp' && (sent.flags.includes('S') || now.answered)
        ? [q.toa6(client)]
        : [];
    return { end, frame: this.#frame(sent, from, to, hops, BACK_MAC, mac, told), port: 1 };
  }

  #connect(sent: Sent): Connection {
    // Round robin begins with the newest server, as LVS's list does.
    const service = `${sent.way} ${sent.protocol}`;
    const turn = this.#next.get(service) ?? 0;
    this.#next.set(service, turn + 1);
    const connection = {
      server: this.servers - 1 - (turn % this.servers),
      local: `[${LIP6}]:0`,
      answered: false,
    };
    this.connections.set(this.key(sent), connection);
    return connection;
  }

  #frame(
    sent: Sent,
    from: string,
    to: string,
    hops: number,
    fromMac?: string,
    toMac?: string,
    options: Uint8Array[] = [],
  ): Uint8Array {
    const { trafficClass, payload, flags, reply } = sent;
    const extensions = sent.options ? [{ kind: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) }] : [];
    const macs = { ...(fromMac ? { fromMac } : {}), ...(toMac ? { toMac } : {}) };
    const common = { from, to, hops, trafficClass, payload, extensions, flow: 0x54321, ...macs };
    if (sent.protocol === 'udp') return q.udp6(common);
    const [seq, ack] = reply
      ? [SEQUENCE.server, SEQUENCE.client + 1]
      : [SEQUENCE.client, SEQUENCE.server + 1];
    return q.tcp6({ ...common, flags, seq, ack: flags.includes('A') ? ack : 0, options });
  }
}
