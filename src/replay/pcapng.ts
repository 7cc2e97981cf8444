/**
 * pcapng (draft-ietf-opsawg-pcapng): section header, interface description, enhanced, simple and
 * the obsolete packet block; all other blocks are skipped, as the format asks.
 */
import { captureError, checkLength, checkLinkType, type Frame, frame } from './frame.js';

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER = 0x1a2b3c4d;
const INTERFACE = 1;
const OBSOLETE_PACKET = 2;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;

const OPTION_TSRESOL = 9;
const OPTION_FCSLEN = 13;
const OPTION_TSOFFSET = 14;

interface Interface {
  linkType: number;
  /** Offset of the link type, for messages. */
  at: number;
  snapLength: number;
  unitsPerSecond: bigint;
  offsetSeconds: bigint;
  fcsBytes: number;
}

export function* pcapngFrames(view: DataView, file: string): Generator<Frame> {
  let little = true;
  let interfaces: Interface[] = [];
  let number = 0;
  let last = 0n;
  for (let at = 0; at < view.byteLength; ) {
    const left = view.byteLength - at;
    if (left < 12) {
      const what = `a block needs at least 12 bytes, ${left} are left`;
      throw captureError('ERR_PCAP_TRUNCATED', file, at, what);
    }
    // A section header reads the same in both byte orders and tells which one follows.
    if (view.getUint32(at) === SECTION_HEADER) {
      little = byteOrder(view, at, file);
      interfaces = [];
    }
    const type = view.getUint32(at, little);
    const length = blockLength(view, at, little, file);
    const end = at + length - 4;
    if (type === INTERFACE) {
      need(length, 20, 'an interface block', file, at);
      interfaces.push(readInterface(view, at, end, little, file));
    } else if (type === SIMPLE_PACKET) {
      number++;
      need(length, 16, 'a simple packet block', file, at);
      const from = interfaceAt(interfaces, 0, file, at);
      const wire = view.getUint32(at + 8, little);
      const captured = from.snapLength > 0 ? Math.min(wire, from.snapLength) : wire;
      fits(captured, at + 12, end, number, file, at + 8);
      // It has no time of its own: it comes right after the one before.
      yield frame(view, at + 12, captured, wire, from.fcsBytes, { number, time: last });
    } else if (type === ENHANCED_PACKET || type === OBSOLETE_PACKET) {
      number++;
      need(length, 32, 'a packet block', file, at);
      const index =
        type === ENHANCED_PACKET ? view.getUint32(at + 8, little) : view.getUint16(at + 8, little);
      const from = interfaceAt(interfaces, index, file, at + 8);
      last = nanoseconds(view.getUint32(at + 12, little), view.getUint32(at + 16, little), from);
      const captured = view.getUint32(at + 20, little);
      const wire = view.getUint32(at + 24, little);
      fits(captured, at + 28, end, number, file, at + 20);
      yield frame(view, at + 28, captured, wire, from.fcsBytes, { number, time: last });
    }
    at += length;
  }
}

function byteOrder(view: DataView, at: number, file: string): boolean {
  if (view.getUint32(at + 8, true) === BYTE_ORDER) return true;
  if (view.getUint32(at + 8, false) === BYTE_ORDER) return false;
  throw captureError('ERR_PCAP_FORMAT', file, at + 8, 'no pcapng byte-order magic');
}

function blockLength(view: DataView, at: number, little: boolean, file: string): number {
  const length = view.getUint32(at + 4, little);
  if (length < 12 || length % 4 !== 0) {
    const what = `block length ${length}, expected a multiple of 4 of at least 12`;
    throw captureError('ERR_PCAP_CORRUPT', file, at + 4, what);
  }
  const left = view.byteLength - at;
  if (length > left) {
    const what = `a block of ${length} bytes begins here, ${left} are left`;
    throw captureError('ERR_PCAP_TRUNCATED', file, at, what);
  }
  const again = view.getUint32(at + length - 4, little);
  if (again !== length) {
    const what = `block length ${again} at its end, ${length} at its beginning`;
    throw captureError('ERR_PCAP_CORRUPT', file, at + length - 4, what);
  }
  return length;
}

function need(length: number, least: number, what: string, file: string, at: number): void {
  if (length >= least) return;
  const message = `${what} of ${length} bytes, expected at least ${least}`;
  throw captureError('ERR_PCAP_CORRUPT', file, at + 4, message);
}

/** A packet must lie inside its block. */
function fits(
  captured: number,
  data: number,
  end: number,
  number: number,
  file: string,
  at: number,
): void {
  checkLength(captured, number, file, at);
  if (data + captured <= end) return;
  const what = `record ${number} claims ${captured} bytes, its block has ${end - data}`;
  throw captureError('ERR_PCAP_CORRUPT', file, at, what);
}

function interfaceAt(interfaces: Interface[], index: number, file: string, at: number): Interface {
  const found = interfaces[index];
  if (!found) {
    const what = `interface ${index} of this packet is not described before it`;
    throw captureError('ERR_PCAP_CORRUPT', file, at, what);
  }
  // Only when a packet uses it: a file may well describe interfaces of other kinds.
  checkLinkType(found.linkType, file, found.at);
  return found;
}

function readInterface(
  view: DataView,
  at: number,
  end: number,
  little: boolean,
  file: string,
): Interface {
  const found: Interface = {
    linkType: view.getUint16(at + 8, little),
    at: at + 8,
    snapLength: view.getUint32(at + 12, little),
    unitsPerSecond: 1_000_000n,
    offsetSeconds: 0n,
    fcsBytes: 0,
  };
  for (let option = at + 16; option + 4 <= end; ) {
    const code = view.getUint16(option, little);
    const length = view.getUint16(option + 2, little);
    if (code === 0) break;
    if (option + 4 + length > end) {
      const what = `option ${code} of ${length} bytes reaches beyond its block`;
      throw captureError('ERR_PCAP_CORRUPT', file, option, what);
    }
    if (code === OPTION_TSRESOL && length === 1) {
      const resolution = view.getUint8(option + 4);
      const base = resolution & 0x80 ? 2n : 10n;
      found.unitsPerSecond = base ** BigInt(resolution & 0x7f);
    } else if (code === OPTION_TSOFFSET && length === 8) {
      found.offsetSeconds = view.getBigInt64(option + 4, little);
    } else if (code === OPTION_FCSLEN && length === 1) {
      found.fcsBytes = view.getUint8(option + 4);
    }
    option += 4 + ((length + 3) & ~3);
  }
  return found;
}

function nanoseconds(high: number, low: number, from: Interface): bigint {
  const units = (BigInt(high) << 32n) | BigInt(low);
  const time = from.offsetSeconds * 1_000_000_000n + (units * 1_000_000_000n) / from.unitsPerSecond;
  return time < 0n ? 0n : time;
}
