import { quote } from './words.js';

/** Text of keepalived.conf in the making. */
export class Lines {
  readonly #lines: string[] = [];
  #depth = 0;

  add(line: string): void {
    this.#lines.push(line === '' ? '' : '    '.repeat(this.#depth) + line);
  }

  /** `keyword value` where there is a value. */
  given(keyword: string, value: string | number | undefined): void {
    if (value !== undefined) this.add(`${keyword} ${quote(String(value))}`);
  }

  /** What has no counterpart, as a comment. */
  note(text: string): void {
    for (const line of text.split('\n')) this.add(`! sluice: ${line}`.trimEnd());
  }

  block(head: string, inside: () => void): void {
    this.add(`${head} {`);
    this.#depth++;
    inside();
    this.#depth--;
    this.add('}');
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
