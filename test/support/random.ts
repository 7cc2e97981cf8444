/**
 * Random worlds and random traffic for the property tests. An action is a record of small numbers;
 * what packet it means is decided when its turn comes, since it may speak of connections there are.
 */
import fc from 'fast-check';
import { IPIP, type Tunnel } from '../../src/config/tunnel.js';
import { MODES, type Mode, SCHEDULERS } from '../../src/native.js';
import { concat, ip4, u16 } from './bytes.js';
import { dissect } from './dissect.js';
import { type Connection, text } from './model/connections.js';
import type { Model } from './model/model.js';
import { outerProtocol, shim } from './model/tunnel.js';
import * as p from './packet.js';
import type { Arriving } from './replay.js';
import { type Chunk, chunk, sctp } from './sctp.js';
import { fromBack, fromFront } from './table.js';
import { BACK_ADDRESS, type ServiceWords, serverAddress, type WorldWords } from './world.js';

const VIPS = ['203.0.113.10', '203.0.113.11'];
const LIPS = ['198.51.100.200', '198.51.100.201'];
const CLIENTS = ['198.18.0.2', '198.18.0.3', '198.18.77.9', '198.19.255.1'];

interface RandomServer {
  n: number;
  mode: number;
  tunnel: number;
  weight: number;
  up: boolean;
  upper: number;
}

export interface RandomService {
  scheduler: number;
  schedulePort: boolean;
  scheduleFallback: boolean;
  reset: boolean;
  onePacket: boolean;
  sctp: boolean;
  told: boolean;
  locals: number;
  servers: RandomServer[];
}

export interface RandomWorld {
  services: RandomService[];
  frontMtu: number;
  backMtu: number;
  partial: boolean;
}

const TUNNELS: Tunnel[] = [
  IPIP,
  { type: 'gre', port: 0, checksum: 'nocsum' },
  { type: 'gre', port: 0, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'nocsum' },
  { type: 'gue', port: 6081, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'remcsum' },
];

const server: fc.Arbitrary<RandomServer> = fc.record({
  n: fc.integer({ min: 1, max: 8 }),
  mode: fc.integer({ min: 0, max: MODES.length - 1 }),
  tunnel: fc.integer({ min: 0, max: TUNNELS.length - 1 }),
  weight: fc.constantFrom(1, 1, 1, 2, 3, 5, 0),
  up: fc.constantFrom(true, true, true, false),
  upper: fc.constantFrom(0, 0, 0, 0, 1, 4, 7),
});

export const randomService: fc.Arbitrary<RandomService> = fc.record({
  scheduler: fc.integer({ min: 0, max: SCHEDULERS.length - 1 }),
  schedulePort: fc.boolean(),
  scheduleFallback: fc.boolean(),
  reset: fc.boolean(),
  onePacket: fc.constantFrom(false, false, false, true),
  sctp: fc.constantFrom(false, false, true),
  told: fc.constantFrom(true, true, false),
  locals: fc.integer({ min: 1, max: 2 }),
  servers: fc.uniqueArray(server, { minLength: 0, maxLength: 5, selector: ({ n }) => n }),
});

export const randomWorld: fc.Arbitrary<RandomWorld> = fc.record({
  services: fc.array(randomService, { minLength: 1, maxLength: 4 }),
  frontMtu: fc.constantFrom(1500, 1500, 1280, 576),
  backMtu: fc.constantFrom(1500, 1500, 1280, 576),
  partial: fc.boolean(),
});

/** Service i: protocol by its parity, where it isn't SCTP; VIP and port by its number. */
export function wordsOf(random: RandomWorld): WorldWords {
  const services = random.services.map((one, index): ServiceWords => {
    // Where wrr stands after it has found every server over its threshold is its own affair.
    const rests = SCHEDULERS[one.scheduler] !== 'wrr';
    const protocol = index % 2 === 1 ? 'udp' : one.sctp ? 'sctp' : 'tcp';
    const servers = one.servers.map(({ n, mode, tunnel, weight, up, upper }) => {
      const wanted = MODES[mode] as Mode;
      const inMode = protocol === 'sctp' && wanted === 'enat' ? 'fullnat' : wanted;
      // As the configuration has it: DR and TUN keep the port.
      const port = inMode === 'dr' || inMode === 'tun' ? portOf(index) : 8080 + (n % 3);
      return {
        at: `${serverAddress(n)}:${port}`,
        mode: inMode,
        tunnel: TUNNELS[tunnel] as Tunnel,
        weight,
        up,
        upper: rests ? upper : 0,
      };
    });
    return {
      listen: listenOf(index),
      protocol,
      scheduler: SCHEDULERS[one.scheduler],
      schedulePort: one.schedulePort,
      scheduleFallback: one.scheduleFallback,
      resetOnServerRemoved: one.reset,
      onePacket: one.onePacket,
      clientAddress: one.told,
      locals: LIPS.slice(0, one.locals),
      servers,
    };
  });
  const { frontMtu, backMtu, partial } = random;
  return { services, frontMtu, backMtu, partialChecksums: partial, owned: [...VIPS, ...LIPS] };
}

const portOf = (index: number) => 80 + (index >> 2);
const listenOf = (index: number) => `${VIPS[(index >> 1) % 2]}:${portOf(index)}`;

/** One packet, by numbers. */
export interface Action {
  kind: 'client' | 'server' | 'clientIcmp' | 'serverIcmp' | 'tunnelIcmp' | 'stray';
  flow: number;
  pick: number;
  flags: string;
  ttl: number;
  tos: number;
  id: number;
  df: boolean;
  length: number;
  options: number;
  ipOptions: number;
  checksum: 'good' | 'bad' | 'partial' | 'none';
  /** ack relative to what the server has sent, and the quote's length of ICMP errors. */
  detail: number;
}

export const action: fc.Arbitrary<Action> = fc.record({
  kind: fc.constantFrom(
    ...(['client', 'client', 'client', 'client', 'client', 'server', 'server', 'server'] as const),
    ...(['clientIcmp', 'serverIcmp', 'tunnelIcmp', 'stray'] as const),
  ),
  // Few enough that a flow lives through all its states.
  flow: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 40 })),
  pick: fc.nat(1000),
  flags: fc.constantFrom(
    'S',
    'S',
    'S',
    'A',
    'A',
    'PA',
    'PA',
    'FA',
    'F',
    'R',
    'RA',
    'SA',
    '',
    'SEC',
  ),
  ttl: fc.constantFrom(64, 64, 64, 64, 255, 2, 1, 0),
  tos: fc.integer({ min: 0, max: 255 }),
  id: fc.integer({ min: 0, max: 65535 }),
  df: fc.boolean(),
  length: fc.oneof(
    fc.integer({ min: 0, max: 64 }),
    fc.integer({ min: 400, max: 560 }),
    fc.integer({ min: 1180, max: 1480 }),
  ),
  options: fc.integer({ min: 0, max: 8 }),
  ipOptions: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 5),
  checksum: fc.constantFrom('good', 'good', 'good', 'good', 'bad', 'partial', 'none'),
  detail: fc.integer({ min: 0, max: 9 }),
});

const TCP_OPTIONS: Uint8Array[][] = [
  [],
  [p.mss(1460)],
  [p.mss(1460), p.sackOk, p.timestamps(1, 0), p.nop, p.wscale(7)],
  [p.nop, p.nop, p.timestamps(2, 1)],
  [p.nop, p.mss(536), p.wscale(1)],
  [p.timestamps(3, 2), p.sack(1, 2), p.nop, p.nop, p.mss(90), p.nop, p.nop, p.mss(1400)],
  [p.pattern(40, 5)],
  [Uint8Array.of(2, 4, 5)],
  [p.toa('192.0.2.3:9'), p.enatOption('192.0.2.4:7'), p.nop, p.mss(1000), p.nop],
];

const IP_OPTIONS: Uint8Array[][] = [
  [],
  [p.nop, p.nop, p.nop, p.nop],
  [Uint8Array.of(0x94, 4, 0, 0), Uint8Array.of(0x44, 8, 5, 0, 0, 0, 0, 0)],
  [p.concat(Uint8Array.of(0x88, 36), p.pattern(34))],
  [Uint8Array.of(0x83, 7, 4, 192, 0, 2, 1)],
  [p.enatUoa('192.0.2.4:7'), p.nop, p.uoa('192.0.2.3:9')],
];

/** The frame that an action means now. */
export function frameOf(one: Action, model: Model, partial: boolean): Arriving {
  const connections = model.connections.all();
  const connection = connections[one.pick % Math.max(1, connections.length)];
  if (!connection || one.kind === 'client' || one.kind === 'stray') {
    return one.kind === 'stray' ? stray(one) : client(one, model, partial);
  }
  switch (one.kind) {
    case 'server':
      return reply(one, connection, partial);
    case 'serverIcmp':
      return aboutRequest(one, connection);
    case 'clientIcmp':
      return aboutReply(one, connection);
    case 'tunnelIcmp':
      return connection.mode === 'tun'
        ? aboutTunnel(one, connection)
        : aboutRequest(one, connection);
  }
}

function ipFields(one: Action): p.IpFields {
  const { ttl, tos, id, df } = one;
  return { ttl, tos, id, df, ipOptions: IP_OPTIONS[one.ipOptions] };
}

/** Keeps packets within a link of 1500. */
function fitting(one: Action, header: number): Uint8Array {
  const options = p.concat(...(IP_OPTIONS[one.ipOptions] ?? [])).length;
  const room = 1500 - 20 - Math.ceil(options / 4) * 4 - header;
  return p.pattern(Math.min(one.length, room), one.id);
}

function segment(
  one: Action,
  from: string,
  to: string,
  ack: number,
  seq: number,
  partial: boolean,
) {
  const options = TCP_OPTIONS[one.options] as Uint8Array[];
  const bytes = Math.ceil(p.concat(...options).length / 4) * 4;
  return p.tcp({
    ...ipFields(one),
    from,
    to,
    flags: one.flags,
    seq,
    ack,
    options,
    payload: fitting(one, 20 + bytes),
    checksum:
      one.checksum === 'none' || (one.checksum === 'partial' && !partial) ? 'good' : one.checksum,
  });
}

function datagram(one: Action, from: string, to: string, partial: boolean) {
  return p.udp({
    ...ipFields(one),
    from,
    to,
    payload: fitting(one, 8),
    checksum: one.checksum === 'partial' && !partial ? 'good' : one.checksum,
  });
}

/** What a packet with such flags carries in SCTP. */
const CHUNKS: Record<string, Chunk> = {
  S: 'INIT',
  SA: 'INIT-ACK',
  A: 'COOKIE-ECHO',
  SEC: 'COOKIE-ACK',
  FA: 'SHUTDOWN',
  F: 'SHUTDOWN-ACK',
  '': 'SHUTDOWN-COMPLETE',
  R: 'ABORT',
  RA: 'ERROR',
};

function association(one: Action, from: string, to: string, partial: boolean) {
  const first = CHUNKS[one.flags];
  const chunks = first ? [chunk(first)] : [];
  if (one.flags === 'A' && one.detail === 3) chunks.push(chunk('ABORT'));
  chunks.push(chunk('DATA', fitting(one, 12 + p.concat(...chunks).length + 8)));
  const { checksum } = one;
  const wish = checksum === 'partial' || (checksum === 'none' && !partial) ? 'good' : checksum;
  return sctp({ ...ipFields(one), from, to, tag: one.id, chunks, checksum: wish });
}

/** A packet between these ends, of the connection's protocol. */
function packetOf(
  { protocol }: Connection,
  one: Action,
  from: string,
  to: string,
  partial = false,
): Uint8Array {
  if (protocol === 17) return datagram(one, from, to, partial);
  if (protocol === 132) return association(one, from, to, partial);
  return segment(one, from, to, 1, 2, partial);
}

function client(one: Action, model: Model, partial: boolean): Arriving {
  const services = model.snapshot.services;
  const index = one.flow % Math.max(1, services.length);
  const to = listenOf(index);
  const from = `${CLIENTS[one.flow % CLIENTS.length]}:${1024 + one.flow}`;
  if (index % 2 === 1) {
    // Of one-packet scheduling nothing is left to read the choice off but the packet itself.
    const sure = services[index]?.onePacket ? { ...one, ttl: 64, df: false } : one;
    return fromFront(datagram(sure, from, to, partial));
  }
  if (services[index]?.protocol === 'sctp') return fromFront(association(one, from, to, partial));
  const [ip = '', port = ''] = from.split(':');
  const [vip = '', vport = ''] = to.split(':');
  const known = model.connections.request(
    6,
    { ip, port: Number(port) },
    { ip: vip, port: Number(vport) },
  );
  const first = known?.firstAck ?? 5000 + one.flow;
  return fromFront(
    segment(one, from, to, first + (one.detail < 5 ? 0 : one.detail), one.id, partial),
  );
}

function reply(one: Action, connection: Connection, partial: boolean): Arriving {
  const to = text(connection.local ?? connection.client);
  const from = text(connection.server);
  const server = serverNumber(connection);
  // Off by one: a neighbour of the connection, for now and then.
  const aim = one.detail === 9 ? `${from.split(':')[0]}:9` : from;
  const answer = { ...one, flags: one.flags === 'S' ? 'SA' : one.flags };
  const numbers = [one.id, 0xfffffff0 + one.detail] as const;
  const frame =
    connection.protocol === 6
      ? segment(answer, aim, to, ...numbers, partial)
      : packetOf(connection, answer, aim, to, partial);
  return fromBack(frame, server);
}

function serverNumber(connection: Connection): number {
  return (ip4(connection.server.ip)[3] as number) - 10;
}

const QUOTES = [28, 28, 36, 40, 48, 68, 100, 548, 20, 27];
const ERRORS: [type: number, code: number, mtu: number][] = [
  [3, 1, 0],
  [3, 3, 0],
  [3, 4, 1280],
  [11, 0, 0],
  [4, 0, 0],
  [12, 0, 0],
  [5, 1, 0],
];

function error(one: Action, from: string, to: string, quote: Uint8Array): Uint8Array {
  const [type, code, mtu] = ERRORS[one.id % ERRORS.length] as [number, number, number];
  const most = Math.min(QUOTES[one.detail] as number, p.ipOf(quote).length);
  const checksum = one.checksum === 'bad' ? 'bad' : 'good';
  return p.icmpError({
    ...ipFields(one),
    from,
    to,
    type,
    code,
    mtu,
    quote,
    quoteBytes: most,
    checksum,
  });
}

const asSent = (one: Action): Action => ({ ...one, ttl: 60, ipOptions: 0, checksum: 'good' });

function aboutRequest(one: Action, connection: Connection): Arriving {
  const from = text(connection.local ?? connection.client);
  const to = text(connection.server);
  const packet = packetOf(connection, asSent(one), from, to);
  const sender = one.pick % 2 === 0 ? connection.server.ip : '198.51.100.99';
  return fromBack(
    error(one, sender, from.split(':')[0] as string, packet),
    serverNumber(connection),
  );
}

function aboutReply(one: Action, connection: Connection): Arriving {
  const from = text(connection.virtual);
  const to = text(connection.client);
  const packet = packetOf(connection, asSent(one), from, to);
  const sender = one.pick % 2 === 0 ? connection.client.ip : '192.0.2.77';
  return fromFront(error(one, sender, connection.virtual.ip, packet));
}

function aboutTunnel(one: Action, connection: Connection): Arriving {
  const { client: from, virtual: to } = connection;
  const inner = packetOf(connection, asSent(one), text(from), text(to));
  const { ip } = connection.server;
  const { tunnel } = connection;
  const body = concat(shim(tunnel, p.ipOf(inner), BACK_ADDRESS, ip, 40_000), p.ipOf(inner));
  const outer = p.ip({ from: BACK_ADDRESS, to: ip }, outerProtocol(tunnel), body);
  return fromBack(error(one, '198.51.100.99', BACK_ADDRESS, outer), serverNumber(connection));
}

/** Everything else that may come by. */
function stray(one: Action): Arriving {
  const fields = ipFields(one);
  const from = CLIENTS[one.flow % CLIENTS.length] as string;
  const vip = VIPS[one.pick % 2] as string;
  const checksum = one.checksum === 'bad' ? 'bad' : 'good';
  switch (one.detail) {
    case 0:
      return fromFront(p.echo({ ...fields, from, to: vip, payload: p.pattern(one.length % 1400) }));
    case 1:
      return fromFront(
        p.tcp({ ...fields, from: `${from}:1`, to: `${vip}:9`, flags: one.flags, checksum }),
      );
    case 2:
      return fromFront(p.udp({ ...fields, from: `${from}:1`, to: `${vip}:9`, checksum }));
    case 3:
      return fromFront(p.ip({ ...fields, from, to: vip }, 47, p.pattern(one.length)));
    case 4:
      return fromBack(
        p.tcp({
          ...fields,
          from: `${serverAddress(1)}:8081`,
          to: `${LIPS[0]}:${one.id}`,
          flags: one.flags,
        }),
      );
    case 5:
      return fromFront(p.udp({ ...fields, from: `${from}:1`, to: '192.0.2.55:53' }));
    case 6:
      return fromFront(
        p.icmp({ ...fields, from, to: vip, type: one.id % 20, payload: p.pattern(40) }),
      );
    case 7:
      return fromFront(p.udp({ ...fields, from: `${vip}:1`, to: `${vip}:80` }));
    case 8:
      return fromFront(p.ethernet(p.concat(u16(one.id), p.pattern(60)), { etherType: 0x88cc }));
    default: {
      const asked = p.arp({ op: 1, senderMac: p.CLIENT_MAC, sender: '192.0.2.9', target: vip });
      return { port: 0, frame: asked };
    }
  }
}

/** For messages: what a frame is, in a few words. */
export function inWords(frame: Uint8Array): string {
  const { ip } = dissect(frame);
  if (!ip) return `${frame.length} bytes, no IPv4`;
  const l4 = ip.tcp ? `tcp ${ip.tcp.flags}` : ip.udp ? 'udp' : `protocol ${ip.protocol}`;
  return `${ip.src} > ${ip.dst} ${l4} ttl ${ip.ttl} ${ip.totalLength} bytes`;
}
