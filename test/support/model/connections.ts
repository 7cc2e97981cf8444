/** The model's connections: two Maps and a list of who is gone. */
import type { Tunnel } from '../../../src/config/tunnel.js';
import type { ConnectionState, Mode } from '../../../src/native.js';
import type { SnapshotServer, SnapshotService } from '../../../src/snapshot.js';
import { v4Text } from './fib.js';
import { isActive } from './states.js';

export interface Endpoint {
  ip: string;
  port: number;
}

export const text = (end: Endpoint) => `${end.ip}:${end.port}`;

export interface Connection {
  protocol: 6 | 17 | 132;
  mode: Mode;
  client: Endpoint;
  virtual: Endpoint;
  /** Source of FullNAT's and ENAT's requests. */
  local?: Endpoint;
  server: Endpoint;
  serviceSlot: number;
  serverSlot: number;
  state: ConnectionState;
  /** Milliseconds; the connection is gone after this. */
  expires: number;
  timeout: number;
  /** How its server's packets were wrapped up last; absent: IPIP. */
  tunnel?: Tunnel | undefined;
  /** Source of its GUE packets, once it is known. */
  guePort?: number;
  /** UDP packets forwarded to the server. */
  forwarded: number;
  /** TCP: acknowledgement number that a client sends until it has sent data: server's ISN + 1. */
  firstAck?: number;
}

export function seesReplies(mode: Mode): boolean {
  return mode === 'nat' || mode === 'fullnat';
}

export class Connections {
  private readonly byRequest = new Map<string, Connection>();
  private readonly byReply = new Map<string, Connection>();

  request(protocol: number, from: Endpoint, to: Endpoint): Connection | undefined {
    return this.byRequest.get(`${protocol} ${text(from)} ${text(to)}`);
  }

  /** Server side: from the real server to what it takes for its client. */
  reply(protocol: number, from: Endpoint, to: Endpoint): Connection | undefined {
    return this.byReply.get(`${protocol} ${text(from)} ${text(to)}`);
  }

  /** false: the server-side tuple is already another connection's. */
  add(connection: Connection): boolean {
    const replyKey = this.replyKey(connection);
    if (replyKey !== undefined) {
      if (this.byReply.has(replyKey)) return false;
      this.byReply.set(replyKey, connection);
    }
    this.byRequest.set(this.requestKey(connection), connection);
    return true;
  }

  remove(connection: Connection): void {
    this.byRequest.delete(this.requestKey(connection));
    const replyKey = this.replyKey(connection);
    if (replyKey !== undefined) this.byReply.delete(replyKey);
  }

  expire(now: number): Connection[] {
    const over = this.all().filter((connection) => connection.expires <= now);
    for (const connection of over) this.remove(connection);
    return over;
  }

  all(): Connection[] {
    return [...this.byRequest.values()];
  }

  /** Is this source address and port towards that server taken? */
  localTaken(protocol: number, local: Endpoint, server: Endpoint): boolean {
    return this.byReply.has(`${protocol} ${text(server)} ${text(local)}`);
  }

  /** Connections of one server (by slot), as ipvsadm counts them. */
  load(serverSlot: number): { active: number; inactive: number } {
    const mine = this.all().filter((connection) => connection.serverSlot === serverSlot);
    const active = mine.filter(({ state }) => isActive(state)).length;
    return { active, inactive: mine.length - active };
  }

  private requestKey(connection: Connection): string {
    return `${connection.protocol} ${text(connection.client)} ${text(connection.virtual)}`;
  }

  private replyKey(connection: Connection): string | undefined {
    if (connection.mode === 'dr' || connection.mode === 'tun') return undefined;
    const towards = connection.local ?? connection.client;
    return `${connection.protocol} ${text(connection.server)} ${text(towards)}`;
  }
}

const NUMBERS = { tcp: 6, udp: 17, sctp: 132, fwmark: 0 };

export function findService(
  services: SnapshotService[],
  protocol: number,
  address: string,
  port: number,
): SnapshotService | undefined {
  const at = (wanted: number) =>
    services.find(
      (service) =>
        NUMBERS[service.protocol] === protocol &&
        service.port === wanted &&
        v4Text(service.address) === address,
    );
  return at(port) ?? at(0);
}

/** The connection's service as the snapshot has it now, or undefined: removed. */
export function serviceOf(
  services: SnapshotService[],
  { serviceSlot }: Connection,
): SnapshotService | undefined {
  return services.find(({ slot }) => slot === serviceSlot);
}

/** The connection's server as the snapshot has it now, or undefined: removed. */
export function findServer(
  services: SnapshotService[],
  connection: Connection,
): SnapshotServer | undefined {
  return serviceOf(services, connection)?.servers.find(
    (candidate) => candidate.slot === connection.serverSlot,
  );
}
