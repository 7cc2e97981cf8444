/** Connection sync of a running director: started with it, shown, and started or stopped since. */
import { describe } from '../errors.js';
import type { Logger } from '../log.js';
import type { Engine, SyncFigures } from '../native.js';
import { type SyncModel, syncOptions } from './model.js';

export interface SyncReport {
  running: boolean;
  protocol: SyncModel['protocol'] | null;
  role: SyncModel['role'] | null;
  interface: string | null;
  destination: string | null;
  port: number | null;
  syncid: number | null;
  figures: SyncFigures;
}

/** Of a director without. */
export const NO_SYNC: SyncReport = {
  running: false,
  protocol: null,
  role: null,
  interface: null,
  destination: null,
  port: null,
  syncid: null,
  figures: {},
};

type SyncEngine = Pick<Engine, 'startSync' | 'stopSync' | 'sync'>;

export class Sync {
  readonly #engine: SyncEngine;
  readonly #log: Logger;
  #model: SyncModel | undefined;

  constructor(engine: SyncEngine, log: Logger) {
    this.#engine = engine;
    this.#log = log;
  }

  /**
   * At the director's start; the engine's may be running already, when its control plane is a new
   * one. What goes wrong is logged: a director without its peer is better than none.
   */
  open(model: SyncModel | undefined): void {
    this.#model = model;
    if (!model || this.#engine.sync() !== null) return;
    try {
      this.start(model);
    } catch (error) {
      this.#log.error(`connection sync is not running: ${describe(error)}`);
    }
  }

  /** Throws ERR_SYNC_RUNNING, ERR_SYNC_SOCKET, ERR_SYNC_KEY. */
  start(model: SyncModel): void {
    this.#engine.startSync(syncOptions(model));
    this.#model = model;
    const { protocol, destination, port } = model;
    this.#log.info(
      `connection sync (${protocol}, ${model.role}) with ${destination}:${port} on ${model.interface}`,
    );
  }

  stop(): void {
    this.#engine.stopSync();
  }

  report(): SyncReport {
    const figures = this.#engine.sync();
    const model = this.#model;
    if (!figures || !model) return NO_SYNC;
    const { protocol, role, interface: name, destination, port } = model;
    const syncid = protocol === 'ipvs' ? model.syncid : null;
    return { running: true, protocol, role, interface: name, destination, port, syncid, figures };
  }
}
