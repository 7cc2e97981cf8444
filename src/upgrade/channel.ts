/** Whole messages over a stream: a length of 32 bits, then what node:v8 makes of the message. */
import type { Duplex } from 'node:stream';
import { deserialize, serialize } from 'node:v8';

/** A history of large configurations is some hundred megabytes at the very most. */
const LARGEST = 1 << 30;

export class Channel<Heard extends { type: string }, Said> {
  readonly #stream: Duplex;
  readonly #heard: Heard[] = [];
  #waiting: (() => void) | undefined;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** Until the length is known, then until the message is whole. */
  #wanted = 4;
  #closed = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (part: Buffer) => this.#take(part));
    // The other process has ended, in whatever way.
    for (const event of ['end', 'close', 'error']) stream.on(event, () => this.#end());
  }

  get closed(): boolean {
    return this.#closed && this.#heard.length === 0;
  }

  say(message: Said): void {
    if (this.#closed) return;
    const body = serialize(message);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    this.#stream.write(Buffer.concat([head, body]));
  }

  /** The next message; undefined when the other process has ended, or after `limitMs`. */
  async next(limitMs?: number): Promise<Heard | undefined> {
    const until = limitMs === undefined ? undefined : performance.now() + limitMs;
    while (this.#heard.length === 0 && !this.#closed) {
      const left = until === undefined ? undefined : until - performance.now();
      if (left !== undefined && left <= 0) return undefined;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        if (left !== undefined) timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return this.#heard.shift();
  }

  close(): void {
    this.#stream.end();
  }

  #take(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
    // Parts of a long message are put together once, when all are there.
    while (this.#bytes >= this.#wanted) {
      const all = Buffer.concat(this.#parts);
      const length = all.readUInt32LE();
      if (length > LARGEST) {
        this.#stream.destroy();
        return;
      }
      const whole = all.length >= 4 + length;
      if (whole) this.#heard.push(deserialize(all.subarray(4, 4 + length)) as Heard);
      const rest = whole ? all.subarray(4 + length) : all;
      this.#parts = [rest];
      this.#bytes = rest.length;
      this.#wanted = whole ? 4 : 4 + length;
      if (whole) this.#waiting?.();
    }
  }

  #end(): void {
    this.#closed = true;
    this.#waiting?.();
  }
}
