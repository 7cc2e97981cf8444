/** Keys that both directors of a pair have in a file. */
import { hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ErrorCode, SluiceError } from './errors.js';

/** A shorter one can be guessed. */
export const LEAST_KEY_BYTES = 16;

export interface KeyUse {
  /** The setting that names the file. */
  setting: string;
  code: ErrorCode;
  /** Of what is made of the file; the same file gives others for another purpose. */
  purpose: string;
  bytes: number;
}

/** RFC 5869, of the file without its last newline. Throws `code`. */
export function keyFrom(path: string, { setting, code, purpose, bytes }: KeyUse): Uint8Array {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SluiceError(code, `${setting}: cannot read ${path}: ${why}`, { cause });
  }
  const end = file.at(-1) === 0x0a ? file.length - 1 : file.length;
  if (end < LEAST_KEY_BYTES) {
    throw new SluiceError(
      code,
      `${setting}: ${path} has ${end} bytes, expected at least ${LEAST_KEY_BYTES}: openssl rand -hex 32 > ${path}`,
    );
  }
  return new Uint8Array(hkdfSync('sha256', file.subarray(0, end), '', purpose, bytes));
}
