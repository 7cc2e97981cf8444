/**
 * Capture files of Ethernet frames: the reader's entry and the pcap format (µs and ns, either byte
 * order; draft-ietf-opsawg-pcap). pcapng is in pcapng.ts. Files are read whole: `frames` then
 * yields views into the bytes. Everything that can be wrong says at which byte.
 */

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { SluiceError } from '../errors.js';
import {
  captureError,
  checkLength,
  checkLinkType,
  type Frame,
  frame,
  LINKTYPE_ETHERNET,
  MAX_FRAME,
} from './frame.js';
import { pcapngFrames } from './pcapng.js';

const MICROSECONDS = 0xa1b2c3d4;
const NANOSECONDS = 0xa1b23c4d;
const SECTION_HEADER = 0x0a0d0d0a;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;

export function readCapture(file: string): Frame[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : (cause as Error).message;
    throw new SluiceError('ERR_PCAP_READ', `cannot read ${file}: ${why}`, { cause });
  }
  return [...frames(bytes, file)];
}

export function* frames(bytes: Uint8Array, file: string): Generator<Frame> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) {
    throw captureError('ERR_PCAP_FORMAT', file, 0, 'too short for a pcap or pcapng file');
  }
  if (view.getUint32(0) === SECTION_HEADER) {
    yield* pcapngFrames(view, file);
    return;
  }
  for (const little of [true, false]) {
    const magic = view.getUint32(0, little);
    if (magic === MICROSECONDS || magic === NANOSECONDS) {
      yield* pcapFrames(view, little, magic === NANOSECONDS ? 1n : 1_000n, file);
      return;
    }
  }
  const magic = view.getUint32(0).toString(16).padStart(8, '0');
  throw captureError('ERR_PCAP_FORMAT', file, 0, `0x${magic} begins no pcap or pcapng file`);
}

function* pcapFrames(
  view: DataView,
  little: boolean,
  fraction: bigint,
  file: string,
): Generator<Frame> {
  if (view.byteLength < FILE_HEADER) {
    const what = `the file header needs ${FILE_HEADER} bytes, the file has ${view.byteLength}`;
    throw captureError('ERR_PCAP_TRUNCATED', file, 0, what);
  }
  const major = view.getUint16(4, little);
  if (major !== 2) {
    throw captureError('ERR_PCAP_FORMAT', file, 4, `version ${major}, expected 2`);
  }
  // The upper bits tell of frame check sequences, the lower 26 the link type.
  const network = view.getUint32(20, little);
  checkLinkType(network & 0x03ff_ffff, file, 20);
  // draft-ietf-opsawg-pcap section 4: FCS length in 16-bit words, when the F bit says it is there.
  const fcs = network & 0x0400_0000 ? (network >>> 28) * 2 : 0;
  let number = 0;
  for (let at = FILE_HEADER; at < view.byteLength; ) {
    number++;
    const left = view.byteLength - at;
    if (left < RECORD_HEADER) {
      const what = `the header of record ${number} needs ${RECORD_HEADER} bytes, ${left} are left`;
      throw captureError('ERR_PCAP_TRUNCATED', file, at, what);
    }
    const seconds = view.getUint32(at, little);
    const part = view.getUint32(at + 4, little);
    const captured = view.getUint32(at + 8, little);
    const wire = view.getUint32(at + 12, little);
    checkLength(captured, number, file, at + 8);
    if (left - RECORD_HEADER < captured) {
      const what = `record ${number} needs ${captured} bytes, ${left - RECORD_HEADER} are left`;
      throw captureError('ERR_PCAP_TRUNCATED', file, at + RECORD_HEADER, what);
    }
    yield frame(view, at + RECORD_HEADER, captured, wire, fcs, {
      number,
      time: BigInt(seconds) * 1_000_000_000n + BigInt(part) * fraction,
    });
    at += RECORD_HEADER + captured;
  }
}

/** Writes nanosecond pcap, little-endian: the same bytes for the same frames. */
export class PcapWriter {
  readonly file: string;
  #count = 0;
  readonly #fd: number;
  #buffer = Buffer.alloc(1 << 18);
  #used = 0;

  constructor(file: string) {
    this.file = file;
    this.#fd = openSync(file, 'w', 0o644);
    this.#put(fileHeader());
  }

  /** Frames written. */
  get count(): number {
    return this.#count;
  }

  write(time: bigint, bytes: Uint8Array): void {
    const header = Buffer.alloc(RECORD_HEADER);
    header.writeUInt32LE(Number((time / 1_000_000_000n) & 0xffff_ffffn), 0);
    header.writeUInt32LE(Number(time % 1_000_000_000n), 4);
    header.writeUInt32LE(bytes.length, 8);
    header.writeUInt32LE(bytes.length, 12);
    this.#put(header);
    this.#put(bytes);
    this.#count++;
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }

  #put(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#buffer.length) this.#flush();
    if (bytes.length > this.#buffer.length) {
      writeSync(this.#fd, bytes);
      return;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #flush(): void {
    for (let at = 0; at < this.#used; )
      at += writeSync(this.#fd, this.#buffer, at, this.#used - at);
    this.#used = 0;
  }
}

function fileHeader(): Buffer {
  const header = Buffer.alloc(FILE_HEADER);
  header.writeUInt32LE(NANOSECONDS, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(MAX_FRAME, 16);
  header.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  return header;
}
