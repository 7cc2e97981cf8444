/** Small helpers on bytes shared by the packet builder, the dissector and the model. */

export function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of((value >>> 8) & 0xff, value & 0xff);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(
    (value >>> 24) & 0xff,
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  );
}

export function readU16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (readU16(bytes, at) * 65536 + readU16(bytes, at + 2)) >>> 0;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** '198.18.0.2' → 4 bytes. */
export function ip4(text: string): Uint8Array {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new Error(`not an IPv4 address: ${text}`);
  }
  return Uint8Array.from(parts);
}

export function ip4Text(bytes: Uint8Array, at = 0): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** '198.18.0.2' → ::ffff:198.18.0.2 as the snapshot wants it. */
export function mapped(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes.set(ip4(text), 12);
  return bytes;
}

/** '02:00:00:00:00:01' → 6 bytes. */
export function mac(text: string): Uint8Array {
  const parts = text.split(':').map((part) => Number.parseInt(part, 16));
  if (parts.length !== 6 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new Error(`not a MAC address: ${text}`);
  }
  return Uint8Array.from(parts);
}

export function macText(bytes: Uint8Array, at = 0): string {
  return [...bytes.subarray(at, at + 6)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(':');
}

/** '198.18.0.2:80' → ['198.18.0.2', 80]; without a port, 0. */
export function endpoint(text: string): [address: string, port: number] {
  const [address = '', port = '0'] = text.split(':');
  return [address, Number(port)];
}

/** One's complement sum of 16-bit words (RFC 1071), not yet inverted; odd lengths padded with 0. */
export function onesSum(...parts: Uint8Array[]): number {
  const bytes = concat(...parts);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += readU16(bytes, at);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + Math.floor(sum / 65536);
  }
  return sum;
}

export function checksum(...parts: Uint8Array[]): number {
  return ~onesSum(...parts) & 0xffff;
}

/** CRC32c of RFC 9260 appendix A, a bit at a time. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** RFC 793 / 768 pseudo-header. */
export function pseudoHeader(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): Uint8Array {
  return concat(source, destination, Uint8Array.of(0, protocol), u16(length));
}
