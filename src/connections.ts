/** Listings of connections: the addon's 96-byte records (see native.ts) as objects. */
import { fromBytes } from './config/address.js';
import {
  CONNECTION_RECORD_BYTES,
  type ConnectionPage,
  type ConnectionState,
  MODES,
  type Mode,
  STATES,
} from './native.js';

export interface Connection {
  worker: number;
  /** `ip`: a template of a service for a mark, which has that in place of the virtual address. */
  protocol: 'tcp' | 'udp' | 'sctp' | 'ip';
  client: string;
  clientPort: number;
  virtual: string;
  virtualPort: number;
  /** '' unless the mode is fullnat or enat. */
  local: string;
  localPort: number;
  server: string;
  serverPort: number;
  mode: Mode;
  state: ConnectionState;
  serviceSlot: number;
  serverSlot: number;
  /** Milliseconds since the last packet. */
  idleMs: number;
  /** Milliseconds from the last packet to expiry, in this state. */
  timeoutMs: number;
}

const PROTOCOLS: Record<number, Connection['protocol']> = {
  0: 'ip',
  6: 'tcp',
  17: 'udp',
  132: 'sctp',
};

/** Reads records in place: `at(i)` makes one object, the rest stays bytes. */
export class ConnectionView {
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #worker: number;

  constructor(records: Uint8Array, worker: number) {
    this.length = Math.floor(records.byteLength / CONNECTION_RECORD_BYTES);
    this.#bytes = records;
    this.#view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.#worker = worker;
  }

  at(index: number): Connection {
    const base = index * CONNECTION_RECORD_BYTES;
    const address = (offset: number) =>
      fromBytes(this.#bytes.subarray(base + offset, base + offset + 16));
    const u16 = (offset: number) => this.#view.getUint16(base + offset, true);
    const u32 = (offset: number) => this.#view.getUint32(base + offset, true);
    const u8 = (offset: number) => this.#view.getUint8(base + offset);
    return {
      worker: this.#worker,
      protocol: PROTOCOLS[u8(72)] ?? 'tcp',
      // Of a template it may be a whole family's.
      client: address(0) || (u8(75) === 6 ? '::' : '0.0.0.0'),
      clientPort: u16(64),
      virtual: address(16),
      virtualPort: u16(66),
      local: address(32),
      localPort: u16(68),
      server: address(48),
      serverPort: u16(70),
      mode: MODES[u8(73)] ?? 'nat',
      state: STATES[u8(74)] ?? 'NONE',
      serviceSlot: u32(76),
      serverSlot: u32(80),
      idleMs: u32(84),
      timeoutMs: u32(88),
    };
  }

  *[Symbol.iterator](): Generator<Connection> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }
}

export interface ConnectionFilter {
  /** Client address. */
  client?: string | undefined;
  /** Slots of services. */
  services?: ReadonlySet<number> | undefined;
}

type ReadPage = (
  worker: number,
  cursor: number,
  limit: number,
) => ConnectionPage | Promise<ConnectionPage>;

const PAGE = 1024;

/** All connections of all workers, page by page, so that a listing of millions needs little. */
export async function* listConnections(
  read: ReadPage,
  workers: number,
  filter: ConnectionFilter = {},
): AsyncGenerator<Connection> {
  for (let worker = 0; worker < workers; worker++) {
    let cursor = 0;
    do {
      const page = await read(worker, cursor, PAGE);
      for (const connection of new ConnectionView(page.records, worker)) {
        if (filter.client !== undefined && connection.client !== filter.client) continue;
        if (filter.services && !filter.services.has(connection.serviceSlot)) continue;
        yield connection;
      }
      cursor = page.cursor;
    } while (cursor !== 0);
  }
}
