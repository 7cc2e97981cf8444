/** Notification scripts and the FIFO, with keepalived's words. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import type { Script } from '../health/model.js';
import { Notifier } from '../health/notify.js';
import type { Logger } from '../log.js';
import type { State } from './machine.js';
import type { NotifyModel } from './model.js';

type Told = Exclude<State, 'INIT'>;

export class Notices {
  readonly #log: Logger;
  readonly #notifier: Notifier;
  #fifo: string | undefined;
  /** Open for reading, too, as keepalived has it: readers come and go and see no end of file. */
  #pipe: number | undefined;

  constructor(log: Logger) {
    this.#log = log;
    this.#notifier = new Notifier(log);
  }

  /** Makes the named pipe, where it is not there yet. */
  setFifo(path: string | undefined): void {
    if (path === this.#fifo && this.#pipe !== undefined) return;
    this.#close();
    this.#fifo = path;
    if (path === undefined) return;
    const fault = made(path) ?? this.#open(path);
    if (fault !== undefined) {
      this.#log.error(`vrrp.notifyFifo ${path}: ${fault}`, { code: 'ERR_VRRP_FIFO' });
    }
  }

  #open(path: string): string | undefined {
    try {
      const { O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;
      this.#pipe = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
    return undefined;
  }

  #close(): void {
    if (this.#pipe !== undefined) closeSync(this.#pipe);
    this.#pipe = undefined;
  }

  tell(
    what: 'INSTANCE' | 'GROUP',
    name: string,
    state: Told,
    priority: number,
    notify: NotifyModel,
  ): void {
    const scripts: Record<Told, Script | undefined> = {
      MASTER: notify.master,
      BACKUP: notify.backup,
      FAULT: notify.fault,
      STOP: notify.stop,
    };
    this.#notifier.notify(name, scripts[state]);
    const { any } = notify;
    const words = [what, name, state, String(priority)];
    this.#notifier.notify(name, any && { ...any, argv: [...any.argv, ...words] });
    this.#write(`${what} "${name}" ${state} ${priority}\n`);
  }

  /** After the last notification. */
  async end(): Promise<void> {
    await this.#notifier.idle();
    this.#close();
  }

  #write(line: string): void {
    if (this.#pipe === undefined) return;
    try {
      writeSync(this.#pipe, line);
    } catch (error) {
      // EAGAIN: it is full, as nobody reads.
      const { code } = error as NodeJS.ErrnoException;
      this.#log.warn(`vrrp.notifyFifo ${this.#fifo}: ${code}`, { code: 'ERR_VRRP_FIFO' });
    }
  }
}

/** Why it is not there; undefined: it is. */
function made(path: string): string | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there) return there.isFIFO() ? undefined : 'it is there and no named pipe';
  const { status, stderr } = spawnSync('mkfifo', ['-m', '0600', path], { encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim();
}
