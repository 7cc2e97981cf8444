/**
 * Linux IPVS' sync messages of version 1, of both families, read field by field, from the description of the format
 * and without any of the engine's code. Throws at the first byte that is not as it should be.
 */
import { SocketAddress } from 'node:net';

export interface SyncConnection {
  protocol: 'tcp' | 'udp' | 'sctp';
  method: 'nat' | 'tun' | 'dr';
  inactive: boolean;
  state: number;
  client: string;
  virtual: string;
  server: string;
  fwmark: number;
  timeoutSeconds: number;
}

const PROTOCOLS: Record<number, SyncConnection['protocol']> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const METHODS: Record<number, SyncConnection['method']> = { 0: 'nat', 2: 'tun', 3: 'dr' };

export function decode(message: Uint8Array): { syncid: number; connections: SyncConnection[] } {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const expect = (what: string, is: number, wanted: number) => {
    if (is !== wanted) throw new Error(`${what} is ${is}, not ${wanted}`);
  };
  expect('the first byte', view.getUint8(0), 0);
  expect('the length', view.getUint16(2), message.length);
  expect('the version', view.getUint8(5), 1);
  expect('the spare field', view.getUint16(6), 0);
  const connections: SyncConnection[] = [];
  let at = 8;
  for (let left = view.getUint8(4); left > 0; left--) {
    const type = view.getUint8(at);
    if (type > 1) throw new Error(`the type is ${type}, not 0 or 1`);
    const wide = type === 1;
    const addressBytes = wide ? 16 : 4;
    const versionAndSize = view.getUint16(at + 2);
    expect('the record’s version', versionAndSize >> 12, 0);
    const size = versionAndSize & 0xfff;
    if (size < 24 + 3 * addressBytes) throw new Error(`a record of ${size} bytes`);
    const flags = view.getUint32(at + 4);
    const method = METHODS[flags & 7];
    const protocol = PROTOCOLS[view.getUint8(at + 1)];
    if (!method || !protocol) throw new Error(`flags ${flags}, protocol ${view.getUint8(at + 1)}`);
    const end = (nth: number, port: number) => {
      const from = at + 24 + nth * addressBytes;
      const number = view.getUint16(at + port);
      if (!wide) return `${[...message.subarray(from, from + 4)].join('.')}:${number}`;
      const words = Array.from({ length: 8 }, (_, word) => view.getUint16(from + 2 * word));
      const address = words.map((word) => word.toString(16)).join(':');
      return `[${new SocketAddress({ address, family: 'ipv6' }).address}]:${number}`;
    };
    connections.push({
      protocol,
      method,
      inactive: (flags & 0x100) !== 0,
      state: view.getUint16(at + 8),
      client: end(0, 10),
      virtual: end(1, 12),
      server: end(2, 14),
      fwmark: view.getUint32(at + 16),
      timeoutSeconds: view.getUint32(at + 20),
    });
    at += (size + 3) & ~3;
  }
  expect('what follows the last record', message.length - at, 0);
  return { syncid: view.getUint8(1), connections };
}
