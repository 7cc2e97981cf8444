/** Who asks over TCP: a token in `Authorization: Bearer`, and how often one may be wrong. */
import { timingSafeEqual } from 'node:crypto';
import { SluiceError } from '../errors.js';
import type { Caller } from './callers.js';
import { hashOf, type Token } from './files.js';

/** An address that has sent so many wrong tokens in a minute is not listened to for the rest of it. */
const MOST_FAILURES = 10;
const WINDOW_MS = 60_000;
/** Addresses remembered; the oldest gives way. */
const MOST_ADDRESSES = 4_096;

/** Not before so many seconds. */
export class TooMany extends SluiceError {
  readonly seconds: number;

  constructor(seconds: number) {
    super('ERR_API_TOO_MANY', `too many wrong tokens: try again in ${seconds} s`);
    this.seconds = seconds;
  }
}

export class Failures {
  readonly #now: () => number;
  readonly #counts = new Map<string, { since: number; count: number }>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Seconds that the address has to wait; 0: it is listened to. */
  wait(address: string): number {
    const entry = this.#counts.get(address);
    if (!entry) return 0;
    const left = entry.since + WINDOW_MS - this.#now();
    if (left <= 0) {
      this.#counts.delete(address);
      return 0;
    }
    return entry.count >= MOST_FAILURES ? Math.ceil(left / 1_000) : 0;
  }

  note(address: string): void {
    const entry = this.#counts.get(address);
    if (entry) {
      entry.count++;
      return;
    }
    const oldest = this.#counts.keys().next().value;
    if (oldest !== undefined && this.#counts.size >= MOST_ADDRESSES) this.#counts.delete(oldest);
    this.#counts.set(address, { since: this.#now(), count: 1 });
  }
}

/** The caller with the token of an Authorization header; throws ERR_API_TOKEN. */
export function callerOf(header: string | undefined, tokens: readonly Token[]): Caller {
  const given = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (given === undefined) {
    const message = 'a token is needed: Authorization: Bearer TOKEN';
    throw new SluiceError('ERR_API_TOKEN', message);
  }
  const hash = hashOf(given);
  // All are compared, each in constant time: nothing can be learned from how long it takes.
  const found = tokens.filter((token) => timingSafeEqual(token.hash, hash));
  if (!found[0]) throw new SluiceError('ERR_API_TOKEN', 'the token is not known');
  return { token: found[0].name, role: found[0].role };
}
