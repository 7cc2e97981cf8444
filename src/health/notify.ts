/** Notification scripts: one after the other for each thing told about, so that they arrive in order. */
import type { Logger } from '../log.js';
import type { Script } from './model.js';
import { runScript } from './script.js';

/** keepalived waits for ever; a script that hangs would keep all later ones from running. */
const TIMEOUT_MS = 60_000;
/** Of one thing, waiting: beyond that the oldest have nothing to say any more. */
const MOST_WAITING = 16;

export class Notifier {
  readonly #log: Logger;
  readonly #queues = new Map<string, Script[]>();
  readonly #running = new Set<Promise<void>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Runs `script` after the earlier ones of the same `about`. */
  notify(about: string, script: Script | undefined): void {
    if (!script) return;
    const queue = this.#queues.get(about);
    if (queue) {
      queue.push(script);
      if (queue.length > MOST_WAITING) {
        const [dropped] = queue.splice(0, 1);
        this.#log.warn(`too many notifications wait for ${about}: one is left out`, {
          script: dropped?.argv[0],
        });
      }
      return;
    }
    this.#queues.set(about, [script]);
    const run = this.#drain(about).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Until all that was notified has run. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #drain(about: string): Promise<void> {
    const queue = this.#queues.get(about) as Script[];
    for (let script = queue.shift(); script; script = queue.shift()) {
      const { status, detail } = await runScript(script, TIMEOUT_MS);
      if (status !== 0) {
        this.#log.warn(`notification of ${about}: ${script.argv[0]}: ${detail}`, {
          code: 'ERR_SCRIPT',
        });
      }
    }
    this.#queues.delete(about);
  }
}
