/** Records of a watch as native/engine/watch/watch.h lays them out: traced packets, frames. */
import { formatEndpoint, fromBytes } from '../config/address.js';
import { type ConnectionState, MODES, type Mode, STATES, WATCH_COUNT_WORDS } from '../native.js';

/** Values of `end` that are no end. */
export const NO_END = 0xff;
export const HANDED_OFF = 0xfe;

const NONE = 0xffff_ffff;
const NO_PORT = 0xffff;
const TRACE_BYTES = 208;
const CANDIDATE_BYTES = 24;
const EXTRAS_AT = 156;
const EXTRAS_BYTES = 48;
const KIND_TRACE = 2;

const FROM_OTHER_WORKER = 1;
const ICMP_ERROR = 2;
const HAD_CONNECTION = 4;
const HAS_CONNECTION = 8;
const IS_REPLY = 16;
const WENT_TO_TWIN = 32;

export interface FrameRecord {
  kind: 'frame';
  /** Nanoseconds since the epoch. */
  time: bigint;
  port: number;
  direction: 'in' | 'out';
  end: number;
  /** Bytes of the frame on the wire; `bytes` may be fewer. */
  wireBytes: number;
  bytes: Uint8Array;
}

export interface CandidateRecord {
  slot: number;
  weight: number;
  active: number;
  inactive: number;
  up: boolean;
  usable: boolean;
}

export interface TraceRecord {
  kind: 'trace';
  time: bigint;
  worker: number;
  port: number;
  outPort: number | undefined;
  end: number;
  fromOtherWorker: boolean;
  icmpError: boolean;
  hadConnection: boolean;
  /** Afterwards, or it was scheduled without one. */
  hasConnection: boolean;
  isReply: boolean;
  wentToTwin: boolean;
  mode: Mode;
  /** Worker that it was handed to. */
  owner: number;
  stateBefore: ConnectionState;
  stateAfter: ConnectionState;
  frames: number;
  serviceSlot: number | undefined;
  serverSlot: number | undefined;
  generation: number;
  idleMs: number;
  timeoutMs: number;
  client: string;
  virtual: string;
  server: string;
  /** '' unless a local port was taken. */
  local: string;
  nextHop: string | undefined;
  mtu: number;
  beforeWire: number;
  afterWire: number;
  /** How many the service has; `candidates` are the first of them. */
  servers: number;
  candidates: CandidateRecord[];
  /** What else was counted meanwhile, in the order of `CounterLayout.extra`. */
  extras: Int8Array;
  before: Uint8Array;
  after: Uint8Array;
}

export type WatchRecord = TraceRecord | FrameRecord;

export function* readRecords(bytes: Uint8Array): Generator<WatchRecord> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 8 <= bytes.length; at += view.getUint32(at, true)) {
    yield view.getUint32(at + 4, true) === KIND_TRACE
      ? readTrace(bytes, view, at)
      : readFrame(bytes, view, at);
  }
}

function readFrame(bytes: Uint8Array, view: DataView, at: number): FrameRecord {
  const kept = view.getUint32(at + 24, true);
  return {
    kind: 'frame',
    time: view.getBigUint64(at + 8, true),
    port: view.getUint16(at + 16, true),
    direction: view.getUint8(at + 18) === 1 ? 'out' : 'in',
    end: view.getUint8(at + 19),
    wireBytes: view.getUint32(at + 20, true),
    bytes: bytes.slice(at + 32, at + 32 + kept),
  };
}

function readTrace(bytes: Uint8Array, view: DataView, start: number): TraceRecord {
  const u8 = (offset: number) => view.getUint8(start + offset);
  const u16 = (offset: number) => view.getUint16(start + offset, true);
  const u32 = (offset: number) => view.getUint32(start + offset, true);
  const slot = (offset: number) => (u32(offset) === NONE ? undefined : u32(offset));
  // '' where there is none.
  const address = (offset: number) =>
    fromBytes(bytes.subarray(start + offset, start + offset + 16));
  const endpoint = (addressAt: number, portAt: number) =>
    formatEndpoint({ address: address(addressAt), port: view.getUint16(start + portAt) });
  const flags = u8(21);
  const candidates = u16(152);
  const before = start + TRACE_BYTES + candidates * CANDIDATE_BYTES;
  const after = before + padded(u16(148));
  return {
    kind: 'trace',
    time: view.getBigUint64(start + 8, true),
    port: u16(16),
    outPort: u16(18) === NO_PORT ? undefined : u16(18),
    end: u8(20),
    fromOtherWorker: (flags & FROM_OTHER_WORKER) !== 0,
    icmpError: (flags & ICMP_ERROR) !== 0,
    hadConnection: (flags & HAD_CONNECTION) !== 0,
    hasConnection: (flags & HAS_CONNECTION) !== 0,
    isReply: (flags & IS_REPLY) !== 0,
    wentToTwin: (flags & WENT_TO_TWIN) !== 0,
    mode: MODES[u8(22)] ?? 'nat',
    worker: u8(23),
    owner: u8(24),
    stateBefore: STATES[u8(25)] ?? 'NONE',
    stateAfter: STATES[u8(26)] ?? 'NONE',
    frames: u8(27),
    serviceSlot: slot(28),
    serverSlot: slot(32),
    generation: u32(36),
    idleMs: u32(40),
    timeoutMs: u32(44),
    client: endpoint(48, 112),
    virtual: endpoint(64, 114),
    server: endpoint(80, 116),
    local: address(96) === '' ? '' : endpoint(96, 118),
    nextHop: address(120) || undefined,
    mtu: u32(136),
    beforeWire: u32(140),
    afterWire: u32(144),
    servers: u16(154),
    candidates: Array.from({ length: candidates }, (_, index) => {
      const at = TRACE_BYTES + index * CANDIDATE_BYTES;
      return {
        slot: u32(at),
        weight: u32(at + 4),
        active: u32(at + 8),
        inactive: u32(at + 12),
        up: u8(at + 16) !== 0,
        usable: u8(at + 17) !== 0,
      };
    }),
    extras: new Int8Array(bytes.slice(start + EXTRAS_AT, start + EXTRAS_AT + EXTRAS_BYTES).buffer),
    before: bytes.slice(before, before + u16(148)),
    after: bytes.slice(after, after + u16(150)),
  };
}

const padded = (bytes: number) => (bytes + 7) & ~7;

/** What a watch counted on one port. */
export interface WatchCounts {
  /** Frames looked at, and those of them that were wanted. */
  seen: number;
  matched: number;
  taken: number;
  /** Wanted, and lost: too many a second, or read too slowly. */
  overRate: number;
  noRoom: number;
}

export function readCounts(words: BigUint64Array): WatchCounts[] {
  return Array.from({ length: words.length / WATCH_COUNT_WORDS }, (_, port) => {
    const at = (index: number) => Number(words[port * WATCH_COUNT_WORDS + index]);
    return { seen: at(0), matched: at(1), taken: at(2), overRate: at(3), noRoom: at(4) };
  });
}
