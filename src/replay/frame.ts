/** What both kinds of capture files have: frames, and what can be wrong with them. */
import { type ErrorCode, SluiceError } from '../errors.js';

export interface Frame {
  /** 1 for the first, as tshark's frame.number. */
  number: number;
  /** Nanoseconds since the epoch. */
  time: bigint;
  bytes: Uint8Array;
  /** Length on the wire; more than bytes.length when the capture cut the frame. */
  wireLength: number;
}

export const LINKTYPE_ETHERNET = 1;

/** No sane record is longer; the limit of tcpdump and Wireshark. */
export const MAX_FRAME = 262_144;

/** An error about a capture file with the byte it is at. */
export function captureError(
  code: ErrorCode & `ERR_PCAP_${string}`,
  file: string,
  offset: number,
  what: string,
): SluiceError {
  return new SluiceError(code, `${file}: byte ${offset}: ${what}`);
}

export function checkLinkType(linkType: number, file: string, offset: number): void {
  if (linkType === LINKTYPE_ETHERNET) return;
  const what = `link type ${linkType}, expected ${LINKTYPE_ETHERNET} (Ethernet)`;
  throw captureError('ERR_PCAP_FORMAT', file, offset, what);
}

export function checkLength(captured: number, number: number, file: string, offset: number): void {
  if (captured <= MAX_FRAME) return;
  const what = `record ${number} claims ${captured} bytes, expected at most ${MAX_FRAME}`;
  throw captureError('ERR_PCAP_CORRUPT', file, offset, what);
}

/** Takes a frame check sequence off, if the whole frame was captured with it. */
export function frame(
  view: DataView,
  offset: number,
  captured: number,
  wire: number,
  fcs: number,
  { number, time }: { number: number; time: bigint },
): Frame {
  const cut = captured === wire ? Math.min(fcs, captured) : 0;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, captured - cut);
  return { number, time, bytes, wireLength: Math.max(wire - cut, bytes.length) };
}
