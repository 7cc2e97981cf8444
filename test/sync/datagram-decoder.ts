/**
 * Sluice's own sync datagrams read field by field, from the description of the format and without any
 * of the engine's code. Throws at the first byte that is not as it should be.
 */
import { SocketAddress } from 'node:net';

export interface ToldConnection {
  tale: 'live' | 'end' | 'template';
  protocol: 'tcp' | 'udp' | 'sctp' | 'mark';
  mode: string;
  state: number;
  client: string;
  virtual: string;
  server: string;
  /** Of FullNAT and ENAT; NAT's is the client. */
  local: string;
  /** TCP's server_isn + 1, UDP's age in ms. */
  number: number;
  idleMs: number;
  isnKnown: boolean;
  answered: boolean;
  /** Of a template: of the client's network. */
  bits?: number;
}

const PROTOCOLS: Record<number, ToldConnection['protocol']> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const TALES: Record<number, ToldConnection['tale']> = { 0: 'live', 1: 'end', 5: 'template' };

export interface SyncDatagram {
  type: 'records' | 'alive' | 'challenge' | 'proof' | 'ask' | 'done' | 'records6' | 'calls';
  session: bigint;
  sequence: bigint;
  connections: ToldConnection[];
  calls: ToldCall[];
}

export interface ToldCall {
  six: boolean;
  protocol: 'udp' | 'mark';
  mode: string;
  /** Hexadecimal: of IPv4 a mask, else bits. */
  part: string;
  leftMs: number;
  client: string;
  virtual: string;
  server: string;
  id: string;
}

const TYPES = [
  ...(['records', 'alive', 'challenge', 'proof', 'ask', 'done', 'records6', 'calls'] as const),
];
const BODY_BYTES = { alive: 0, challenge: 16, proof: 8, ask: 8, done: 8 } as const;
const MODES = ['nat', 'dr', 'tun', 'fullnat', 'enat'];
const HEADER_BYTES = 24;
const TAG_BYTES = 16;

export function decodeDatagram(datagram: Uint8Array, key: Uint8Array): SyncDatagram {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const expect = (what: string, is: unknown, wanted: unknown) => {
    if (is !== wanted) throw new Error(`${what} is ${is}, not ${wanted}`);
  };
  expect('the beginning', Buffer.from(datagram.subarray(0, 4)).toString('latin1'), 'SLsy');
  expect('the version', view.getUint8(4), 1);
  const type = TYPES[view.getUint8(5)];
  if (!type) throw new Error(`type ${view.getUint8(5)}`);
  const count = view.getUint16(6);
  const wide = type === 'records6';
  const recordBytes = wide ? 88 : 40;
  const calls = type === 'calls' ? readCalls(view, datagram, count) : { read: [], bytes: 0 };
  const body =
    type === 'calls'
      ? calls.bytes
      : type === 'records' || wide
        ? count * recordBytes
        : BODY_BYTES[type];
  expect('the length', datagram.length, HEADER_BYTES + body + TAG_BYTES);
  const tag = siphash128(datagram.subarray(0, HEADER_BYTES + body), key);
  expect('the tag', hexOf(datagram.subarray(HEADER_BYTES + body)), hexOf(tag));
  const connections: ToldConnection[] = [];
  for (let at = HEADER_BYTES; at + recordBytes <= HEADER_BYTES + body; at += recordBytes) {
    if (type === 'records' || wide) connections.push(record(view, at, wide));
  }
  const [session, sequence] = [view.getBigUint64(8), view.getBigUint64(16)];
  return { type, session, sequence, connections, calls: calls.read };
}

function readCalls(view: DataView, datagram: Uint8Array, count: number) {
  const read: ToldCall[] = [];
  let at = HEADER_BYTES;
  for (let nth = 0; nth < count; nth++) {
    const byte = (offset: number) => view.getUint8(at + offset);
    const address = (offset: number) => hexOf(datagram.subarray(at + offset, at + offset + 16));
    const mode = MODES[byte(2)];
    if ((byte(0) !== 4 && byte(0) !== 6) || (byte(1) !== 17 && byte(1) !== 0) || !mode) {
      throw new Error(`a call of family ${byte(0)}, protocol ${byte(1)}, mode ${byte(2)}`);
    }
    read.push({
      six: byte(0) === 6,
      protocol: byte(1) === 17 ? 'udp' : 'mark',
      mode,
      part: hexOf(datagram.subarray(at + 4, at + 8)),
      leftMs: view.getUint32(at + 8),
      client: address(12),
      virtual: `${address(28)}:${view.getUint16(at + 60)}`,
      server: `${address(44)}:${view.getUint16(at + 62)}`,
      id: Buffer.from(datagram.subarray(at + 64, at + 64 + byte(3))).toString('latin1'),
    });
    at += 64 + byte(3);
  }
  return { read, bytes: at - HEADER_BYTES };
}

function record(view: DataView, at: number, wide: boolean): ToldConnection {
  const address = wide ? 16 : 4;
  const tuple = 2 * address + 4;
  const end = (tupleAt: number, nth: number) => {
    const from = tupleAt + nth * address;
    const port = view.getUint16(tupleAt + 2 * address + 2 * nth);
    if (!wide) {
      return `${[0, 1, 2, 3].map((byte) => view.getUint8(from + byte)).join('.')}:${port}`;
    }
    const words = Array.from({ length: 8 }, (_, word) => view.getUint16(from + 2 * word));
    const text = words.map((word) => word.toString(16)).join(':');
    return `[${new SocketAddress({ address: text, family: 'ipv6' }).address}]:${port}`;
  };
  const rest = at + 2 * tuple;
  const byte = (nth: number) => view.getUint8(rest + 8 + nth);
  const tale = TALES[byte(0)];
  const protocol = tale === 'template' && byte(1) === 0 ? 'mark' : PROTOCOLS[byte(1)];
  const mode = MODES[byte(2)];
  if (!protocol || !tale || !mode) throw new Error(`protocol ${byte(1)}, tale ${byte(0)}`);
  if (tale === 'template' && (byte(3) !== 0 || byte(4) !== 0))
    throw new Error('a template with a state');
  if ((byte(4) & ~3) !== 0) throw new Error(`flags ${byte(4)}`);
  if (byte(6) !== 0 || byte(7) !== 0) throw new Error('the last two bytes are not 0');
  return {
    tale,
    protocol,
    mode,
    state: byte(3),
    client: end(at, 0),
    virtual: end(at, 1),
    server: end(at + tuple, 0),
    local: end(at + tuple, 1),
    number: view.getUint32(rest),
    idleMs: view.getUint32(rest + 4),
    isnKnown: (byte(4) & 1) !== 0,
    answered: (byte(4) & 2) !== 0,
    ...(tale === 'template' && { bits: byte(5) }),
  };
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** SipHash-2-4 with a result of 128 bits, as its authors describe it. */
export function siphash128(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const mask = (1n << 64n) - 1n;
  const little = (from: Uint8Array) =>
    from.reduceRight((sum, one) => (sum << 8n) | BigInt(one), 0n);
  const rotated = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & mask;
  const [k0, k1] = [little(key.subarray(0, 8)), little(key.subarray(8, 16))];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn ^ 0xeen;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (n: number) => {
    for (let i = 0; i < n; i++) {
      v0 = (v0 + v1) & mask;
      v1 = rotated(v1, 13n) ^ v0;
      v0 = rotated(v0, 32n);
      v2 = (v2 + v3) & mask;
      v3 = rotated(v3, 16n) ^ v2;
      v0 = (v0 + v3) & mask;
      v3 = rotated(v3, 21n) ^ v0;
      v2 = (v2 + v1) & mask;
      v1 = rotated(v1, 17n) ^ v2;
      v2 = rotated(v2, 32n);
    }
  };
  const padded = new Uint8Array((Math.floor(bytes.length / 8) + 1) * 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const word = little(padded.subarray(at, at + 8));
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  const result = new Uint8Array(16);
  const view = new DataView(result.buffer);
  v2 ^= 0xeen;
  rounds(4);
  view.setBigUint64(0, v0 ^ v1 ^ v2 ^ v3, true);
  v1 ^= 0xddn;
  rounds(4);
  view.setBigUint64(8, v0 ^ v1 ^ v2 ^ v3, true);
  return result;
}
