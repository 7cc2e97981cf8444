/** One line that changes while something runs; on a pipe, a line when it is done. */
import { paint } from './table.js';

export class Progress {
  readonly #out: NodeJS.WriteStream;
  readonly colour: boolean;
  #live = false;

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out;
    this.colour = Boolean(out.isTTY) && process.env.NO_COLOR === undefined;
  }

  /** Shown until the next update or line; on a pipe not at all. */
  update(text: string): void {
    if (!this.#out.isTTY) return;
    this.#out.write(
      `\r\x1b[K${paint(text.slice(0, (this.#out.columns || 80) - 1), 'dim', this.colour)}`,
    );
    this.#live = true;
  }

  line(text = ''): void {
    this.#out.write(`${this.#live ? '\r\x1b[K' : ''}${text}\n`);
    this.#live = false;
  }

  good(text: string): void {
    this.line(`${paint('✔', 'good', this.colour)} ${text}`);
  }

  bad(text: string): void {
    this.line(`${paint('✘', 'bad', this.colour)} ${text}`);
  }
}
