/** Listings of connections: the addon's 96-byte records (see native.ts) as objects. */
import { fromBytes } from './config/address.js';
import { ENGINES, type Engine } from './config/persistence.js';
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
  /** Of a persistence template: what tells a client's from one another. */
  engine: Engine | null;
  /** Of engine sip the Call-ID; else ''. */
  engineData: string;
}

const PROTOCOLS: Record<number, Connection['protocol']> = {
  0: 'ip',
  6: 'tcp',
  17: 'udp',
  132: 'sctp',
};

/** Reads records in place, one object at a time. What an engine knows follows in records of its own. */
export class ConnectionView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #worker: number;

  constructor(records: Uint8Array, worker: number) {
    this.#bytes = records;
    this.#view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    this.#worker = worker;
  }

  #at(base: number): Connection {
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
      engine: ENGINES[u8(92) - 1] ?? null,
      engineData: this.#text(base + CONNECTION_RECORD_BYTES, u8(93)),
    };
  }

  /** As bytes it came by the network. */
  #text(at: number, bytes: number): string {
    return Buffer.from(this.#bytes.subarray(at, at + bytes)).toString('latin1');
  }

  *[Symbol.iterator](): Generator<Connection> {
    const records = (bytes: number) => Math.ceil(bytes / CONNECTION_RECORD_BYTES);
    let base = 0;
    while (base + CONNECTION_RECORD_BYTES <= this.#bytes.byteLength) {
      yield this.#at(base);
      base += (1 + records(this.#view.getUint8(base + 93))) * CONNECTION_RECORD_BYTES;
    }
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
