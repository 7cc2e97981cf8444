/**
 * Authentication of adverts: IPsec AH as keepalived has it, and our own HMAC trailer. What leaves is
 * sealed by the herald (native/engine/live/seal.h has both formats); here is the room for it, and the
 * judgement of what comes. Replays are known by their sequence numbers, of each sender alone.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { keyFrom } from '../key-file.js';
import type { Seal } from '../native.js';
import { sameData } from '../same-data.js';
import type { InstanceModel, VrrpModel } from './model.js';
import { bytesOf, passwordBytes } from './packet.js';

export const AH_PROTOCOL = 51;
/** RFC 4302 section 2 with an integrity check value of 96 bits. */
export const AH_BYTES = 24;
const AH_WORDS = AH_BYTES / 4 - 2;
const AH_ICV = 12;
/** Of IPv4's header: what routers change, zero while the value is made; the TTL in unicast only. */
const MUTABLE = [1, 6, 7, 10, 11];
const TTL = 8;

const MAGIC = Buffer.from('SLH1');
const CODE_BYTES = 16;
export const TRAILER_BYTES = MAGIC.length + 8 + CODE_BYTES;
const VRRP_CHECKSUM = 6;

/** Version 2's authentication type of AH (RFC 2338 section 5.3.6.3). */
export const AUTH_AH = 2;

/** Keys of the files that instances name, read with each configuration that is loaded. */
export class Keys {
  #keys = new Map<string, Uint8Array>();
  #of: VrrpModel | undefined;

  /** True when one has changed. Throws ERR_VRRP_KEY, and has the ones of before then. */
  follow(vrrp: VrrpModel): boolean {
    if (vrrp === this.#of) return false;
    const files = new Set(vrrp.instances.flatMap(({ hmacKey }) => hmacKey ?? []));
    const keys = new Map([...files].map((file) => [file, read(file)]));
    const changed = !sameData([...keys], [...this.#keys]);
    this.#keys = keys;
    this.#of = vrrp;
    return changed;
  }

  sealOf({ ah, password, hmacKey }: InstanceModel): Seal | undefined {
    if (ah && password !== undefined) return { kind: 'ah', key: passwordBytes(password) };
    const key = hmacKey === undefined ? undefined : this.#keys.get(hmacKey);
    return key && { kind: 'trailer', key };
  }
}

function read(file: string): Uint8Array {
  const [setting, code] = ['vrrp.instances[].hmacKey', 'ERR_VRRP_KEY'] as const;
  return keyFrom(file, { setting, code, purpose: 'sluice VRRP adverts', bytes: 32 });
}

/** The last sequence number of each sender. What is not above it is a replay. */
export class Replays {
  readonly #floor: number;
  readonly #last = new Map<string, number>();

  /** `floor`: of all senders, where an earlier control plane has heard them. */
  constructor(floor = 0) {
    this.#floor = floor;
  }

  /** Only what is authentic may be asked about. */
  accepts(source: string, sequence: number): boolean {
    if (sequence <= (this.#last.get(source) ?? this.#floor)) return false;
    this.#last.set(source, sequence);
    return true;
  }
}

/** An AH header that has yet to be sealed, before VRRP. */
export function ahHeader(source: string): Uint8Array {
  const header = new Uint8Array(AH_BYTES);
  header.set([112, AH_WORDS]);
  header.set(bytesOf(source), 4);
  return header;
}

/** A trailer that has yet to be sealed. */
export function emptyTrailer(): Uint8Array {
  const trailer = new Uint8Array(TRAILER_BYTES);
  trailer.set(MAGIC);
  return trailer;
}

/** What a seal says of itself, or what is wrong with it. */
export type Opened = { sequence: number } | { wrong: string };

/** `packet`: of IPv4, from its header to its end, without padding. */
export function openAh(packet: Uint8Array, key: Uint8Array): Opened {
  const header = ((packet[0] as number) & 15) * 4;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  if (packet[header + 1] !== AH_WORDS) return { wrong: 'an AH header of another size' };
  const spi = packet.subarray(header + 4, header + 8);
  if (Buffer.compare(spi, packet.subarray(12, 16)) !== 0) {
    return { wrong: `AH's SPI is ${view.getUint32(header + 4)} and not the source address` };
  }
  const signed = packet.slice();
  for (const at of MUTABLE) signed[at] = 0;
  if ((packet[16] as number) >> 4 !== 0xe) signed[TTL] = 0;
  const icv = signed.slice(header + AH_BYTES - AH_ICV, header + AH_BYTES);
  signed.fill(0, header + AH_BYTES - AH_ICV, header + AH_BYTES);
  const good = createHmac('md5', key).update(signed).digest().subarray(0, AH_ICV);
  if (!timingSafeEqual(icv, good)) return { wrong: 'AH: another password, or it was changed' };
  return { sequence: view.getUint32(header + 8) };
}

/** Whether a message ends in what looks like a trailer. */
export function hasTrailer(payload: Uint8Array): boolean {
  const at = payload.length - TRAILER_BYTES;
  return at > 0 && MAGIC.equals(payload.subarray(at, at + MAGIC.length));
}

/** `payload`: of the IP packet, message and trailer. */
export function openTrailer(
  payload: Uint8Array,
  { source, destination }: { source: string; destination: string },
  key: Uint8Array,
): Opened {
  if (!hasTrailer(payload)) return { wrong: 'no HMAC trailer' };
  const signed = payload.slice(0, -CODE_BYTES);
  signed.fill(0, VRRP_CHECKSUM, VRRP_CHECKSUM + 2);
  const hmac = createHmac('sha256', key).update(bytesOf(source)).update(bytesOf(destination));
  const good = hmac.update(signed).digest().subarray(0, CODE_BYTES);
  if (!timingSafeEqual(payload.subarray(-CODE_BYTES), good)) {
    return { wrong: 'HMAC: another key, or it was changed' };
  }
  const sequence = new DataView(signed.buffer).getBigUint64(signed.length - 8);
  return { sequence: Number(sequence) };
}
