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

  constructor(log: Logger) {
    this.#log = log;
    this.#notifier = new Notifier(log);
  }

  /** Makes the named pipe, where it is not there yet. */
  setFifo(path: string | undefined): void {
    this.#fifo = path;
    if (path === undefined) return;
    const there = statSync(path, { throwIfNoEntry: false });
    if (there?.isFIFO()) return;
    const made = there
      ? undefined
      : spawnSync('mkfifo', ['-m', '0600', path], { encoding: 'utf8' });
    if (made?.status === 0) return;
    const why = there ? 'it is there and no named pipe' : made?.stderr.trim();
    this.#log.error(`vrrp.notifyFifo ${path}: ${why}`, { code: 'ERR_VRRP_FIFO' });
    this.#fifo = undefined;
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

  async idle(): Promise<void> {
    await this.#notifier.idle();
  }

  #write(line: string): void {
    if (this.#fifo === undefined) return;
    try {
      const pipe = openSync(this.#fifo, constants.O_WRONLY | constants.O_NONBLOCK);
      try {
        writeSync(pipe, line);
      } finally {
        closeSync(pipe);
      }
    } catch (error) {
      // ENXIO: nobody reads, which is no fault.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENXIO') this.#log.warn(`vrrp.notifyFifo ${this.#fifo}: ${code}`);
    }
  }
}
