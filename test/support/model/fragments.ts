/** IPv4 fragments (RFC 791 section 3.2): putting together in any order, and taking apart. */
import { concat } from '../bytes.js';
import { type Fields, sizeOf } from './fields.js';

interface Pieces {
  since: number;
  got: Fields[];
}

const WAIT_MS = 30_000;

export class Reassembly {
  private readonly waiting = new Map<string, Pieces>();

  /** The datagram, with the size of its largest fragment, once this piece completes it. */
  add(fields: Fields, now: number): { fields: Fields; pieceBytes: number } | undefined {
    const key = `${fields.src} ${fields.dst} ${fields.id}`;
    let pieces = this.waiting.get(key);
    if (!pieces || pieces.since + WAIT_MS <= now) pieces = { since: now, got: [] };
    this.waiting.set(key, pieces);
    pieces.got.push(fields);
    const got = [...pieces.got].sort((a, b) => offsetOf(a) - offsetOf(b));
    let at = 0;
    for (const piece of got) {
      if (offsetOf(piece) !== at) return undefined;
      at += piece.body.length;
    }
    const last = got[got.length - 1] as Fields;
    if ((last.fragment & 0x2000) !== 0) return undefined;
    this.waiting.delete(key);
    return {
      fields: { ...(got[0] as Fields), fragment: 0, body: concat(...got.map(({ body }) => body)) },
      pieceBytes: Math.max(...got.map(sizeOf)),
    };
  }
}

function offsetOf(fields: Fields): number {
  return (fields.fragment & 0x1fff) * 8;
}

/** The packet in pieces that fit (RFC 791 section 3.2); options with the copied bit go into each. */
export function fragments(fields: Fields, mtu: number): Fields[] {
  if (sizeOf(fields) <= mtu) return [fields];
  const pieces: Fields[] = [];
  // Every piece is laid out for the first one's header, though the others' may be shorter.
  const room = Math.floor((mtu - 20 - fields.options.length) / 8) * 8;
  for (let at = 0; at < fields.body.length; at += room) {
    const last = at + room >= fields.body.length;
    pieces.push({
      ...fields,
      options: at === 0 ? fields.options : copiedOptions(fields.options),
      body: fields.body.slice(at, at + room),
      fragment: (fields.fragment & 0x1fff) + at / 8 + (last ? fields.fragment & 0x2000 : 0x2000),
    });
  }
  return pieces;
}

function copiedOptions(options: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  let at = 0;
  while (at < options.length && options[at] !== 0) {
    const kind = options[at] as number;
    const length = kind === 1 ? 1 : (options[at + 1] ?? 0);
    if (length < 1) break;
    if (kind & 0x80) kept.push(options.slice(at, at + length));
    at += length;
  }
  const joined = concat(...kept);
  return concat(joined, new Uint8Array((4 - (joined.length % 4)) % 4));
}
