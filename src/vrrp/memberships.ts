/**
 * The kernel is in the multicast groups of adverts on the TAP twins: what it says of that (IGMP, MLD)
 * is what switches that snoop pass adverts by (RFC 4541). Adverts themselves come by the dataplane.
 */
import { createSocket, type Socket } from 'node:dgram';
import { describe } from '../errors.js';
import type { Logger } from '../log.js';
import { isV6 } from './packet.js';

export interface Membership {
  twin: string;
  group: string;
  /** Of the twin, by which IPv4 names an interface. */
  address: string | undefined;
}

export class Memberships {
  readonly #log: Logger;
  readonly #sockets = new Map<string, Socket>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** In these, and no others. What fails is tried again the next time. */
  follow(wanted: readonly Membership[]): void {
    const keys = new Map(wanted.map((one) => [`${one.twin} ${one.group}`, one]));
    for (const [key, socket] of this.#sockets) {
      if (keys.has(key)) continue;
      socket.close();
      this.#sockets.delete(key);
    }
    for (const [key, one] of keys) {
      if (this.#sockets.has(key)) continue;
      const socket = join(one, (why) => this.#log.warn(why, { code: 'ERR_VRRP_GROUP' }));
      if (socket) this.#sockets.set(key, socket);
    }
  }

  stop(): void {
    this.follow([]);
  }
}

function join(
  { twin, group, address }: Membership,
  tell: (why: string) => void,
): Socket | undefined {
  const six = isV6(group);
  const by = six ? `::%${twin}` : address;
  const refusal = `group ${group} is not joined on ${twin}, switches may keep adverts from it`;
  if (by === undefined) {
    tell(`${refusal}: it has no IPv4 address`);
    return undefined;
  }
  const socket = createSocket({ type: six ? 'udp6' : 'udp4', ...(six && { ipv6Only: true }) });
  try {
    socket.addMembership(group, by);
    return socket.unref();
  } catch (error) {
    socket.close();
    tell(`${refusal}: ${describe(error)}`);
    return undefined;
  }
}
