/** `$NAME=value` definitions and their substitution. */
import { hostname } from 'node:os';

/** More replacements in one line than this are definitions that refer to one another in a circle. */
const REPLACEMENTS = 10_000;
const LONGEST = 1 << 20;

export type Expanded = { text: string; column: (index: number) => number } | { fault: string };

export class Definitions {
  readonly #values = new Map<string, string>();
  #random = Date.now() % 0x7fff_ffff;
  /** Folder of the file that is being read. */
  folder = '.';

  constructor(readonly configId: string = hostName()) {}

  set(name: string, value: string): void {
    this.#values.set(name, value);
  }

  seed(seed: number): void {
    this.#random = seed;
  }

  /** `$A` before white space or the end, `${A}` anywhere; what is not defined stays as it is. */
  expand(text: string): Expanded {
    if (!text.includes('$')) return { text, column: (index) => index };
    let result = text;
    /** Pieces: from this index of the result the text is the source's from `source`, or one place. */
    let pieces: { at: number; source: number; moves: boolean }[] = [
      { at: 0, source: 0, moves: true },
    ];
    let from = 0;
    for (let count = 0; ; count++) {
      const found = this.#next(result, from);
      if (!found) break;
      const { start, end, value } = found;
      if (count >= REPLACEMENTS || result.length + value.length > LONGEST) {
        return { fault: 'definitions refer to one another without end' };
      }
      const origin = originOf(pieces, start);
      const after = originOf(pieces, end);
      const shift = value.length - (end - start);
      pieces = [
        ...pieces.filter(({ at }) => at < start),
        { at: start, source: origin, moves: false },
        { at: start + value.length, source: after, moves: moves(pieces, end) },
        ...pieces.filter(({ at }) => at > end).map((piece) => ({ ...piece, at: piece.at + shift })),
      ];
      result = result.slice(0, start) + value + result.slice(end);
      // The value is looked at again: it may refer to other definitions. Several lines are looked
      // at one by one when their turn comes: they may define what later ones use.
      from = value.includes('\n') ? start + value.length : start;
    }
    return { text: result, column: (index) => originOf(pieces, index) };
  }

  #next(text: string, from: number): { start: number; end: number; value: string } | undefined {
    const pattern = /\$(?:([A-Za-z_]\w*)(?=\s|$)|\{([A-Za-z_]\w*)((?:\s+\d+){0,2})\})/g;
    pattern.lastIndex = from;
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      const [whole, bare, braced, numbers] = match;
      const value = this.#value((bare ?? braced) as string, numbers ?? '');
      if (value !== undefined) {
        return { start: match.index, end: match.index + whole.length, value };
      }
    }
    return undefined;
  }

  #value(name: string, numbers: string): string | undefined {
    if (name === '_RANDOM') {
      const [low = 0, high = 32_767] = numbers.trim().split(/\s+/).filter(Boolean).map(Number);
      return String(low + (this.#draw() % Math.max(1, high - low + 1)));
    }
    if (numbers !== '') return undefined;
    switch (name) {
      case '_PWD':
        return this.folder;
      case '_INSTANCE':
        return this.configId;
      case '_HASH':
        return '#';
      case '_BANG':
        return '!';
      default:
        return this.#values.get(name);
    }
  }

  /** The minimal standard generator: a seed has to give the same configuration again. */
  #draw(): number {
    this.#random = (this.#random * 48_271 + 11) % 0x7fff_ffff;
    return this.#random;
  }
}

function pieceOf<T extends { at: number }>(pieces: readonly T[], index: number): T {
  return (pieces.findLast(({ at }) => at <= index) ?? pieces[0]) as T;
}

function originOf(
  pieces: readonly { at: number; source: number; moves: boolean }[],
  index: number,
): number {
  const piece = pieceOf(pieces, index);
  return piece.moves ? piece.source + index - piece.at : piece.source;
}

function moves(pieces: readonly { at: number; moves: boolean }[], index: number): boolean {
  return pieceOf(pieces, index).moves;
}

/** As uname's node name, up to its first dot. */
export function hostName(): string {
  return hostname().split('.')[0] as string;
}
