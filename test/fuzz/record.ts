/** Records of native/fuzz/pipeline.cc: control byte, u16 LE length, frame. */
import * as p from '../support/packet.js';

/** Control bits of a record. */
const BACK = 1;
const REPAIR_CHECKSUMS = 2;
const REPAIR_MAC = 4;
export const MINUTE_LATER = 0x20;
export const NEW_BURST = 8;
export const RETURN_COOKIE = 0x40;
export const SECOND_LATER = 0x10;
export const ANSWER = 0x80;

function record(control: number, frame: Uint8Array): Uint8Array {
  const head = Uint8Array.of(
    control | REPAIR_CHECKSUMS | REPAIR_MAC,
    frame.length & 255,
    frame.length >> 8,
  );
  return p.concat(head, frame);
}

export const front = (frame: Uint8Array, control = 0) => record(control, frame);
export const back = (frame: Uint8Array, control = 0) => record(BACK | control, frame);
