/** Connection sync of a running director: started with it, shown, and started or stopped since. */

import type { ModelChange } from '../changes/change.js';
import { describe, SluiceError } from '../errors.js';
import type { Logger } from '../log.js';
import { changes } from '../model-diff.js';
import type { Engine, SyncFigures } from '../native.js';
import { Memory, type Store } from '../supervisor/memory.js';
import {
  type Daemon,
  type DaemonRequest,
  type DaemonRole,
  daemonsOf,
  modelOf,
  withDaemon,
  withoutDaemon,
} from './daemons.js';
import { type SyncModel, syncOptions } from './model.js';

export interface SyncReport {
  running: boolean;
  protocol: SyncModel['protocol'] | null;
  role: SyncModel['role'] | null;
  interface: string | null;
  destination: string | null;
  port: number | null;
  syncid: number | null;
  /** In IPVS' protocol: the daemons that Linux would have. */
  daemons: Daemon[];
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
  daemons: [],
  figures: {},
};

/** A peer that lives says so twice a second. */
const PEER_MS = 3_000;
/** Of a peer's telling all it has, which is paced. */
const BULK_MS = 30_000;

type SyncEngine = Pick<Engine, 'startSync' | 'stopSync' | 'sync'>;

/** Those that the next Sync with this memory begins with; undefined: the file's. */
export function rememberDaemons(memory: Memory, daemons: Daemon[] | undefined): void {
  memory.of<Daemon[]>('sync').set('daemons', daemons);
}

export class Sync {
  readonly #engine: SyncEngine;
  readonly #log: Logger;
  /** Daemons that were started and stopped since the start, for the next control plane. */
  readonly #edited: Store<Daemon[]>;
  /** The file's. */
  #file: SyncModel | undefined;
  /** What runs. */
  #model: SyncModel | undefined;
  #daemons: Daemon[] = [];
  /** By performance.now(); undefined: not opened yet. */
  #openedAt: number | undefined;
  #caughtUp = false;

  constructor(engine: SyncEngine, log: Logger, memory = new Memory()) {
    this.#engine = engine;
    this.#log = log;
    this.#edited = memory.of('sync');
  }

  /**
   * At the director's start; the engine's may be running already, when its control plane is a new
   * one. What goes wrong is logged: a director without its peer is better than none.
   */
  open(model: SyncModel | undefined): void {
    this.#openedAt ??= performance.now();
    this.#file = model;
    const edited = this.#edited.get('daemons');
    this.#daemons = edited ?? daemonsOf(model);
    this.#model = edited ? modelOf(edited, model) : model;
    if (!this.#model || this.#engine.sync() !== null) return;
    try {
      this.start(this.#model);
    } catch (error) {
      this.#log.error(`connection sync is not running: ${describe(error)}`);
    }
  }

  /** Throws ERR_SYNC_RUNNING, ERR_SYNC_SOCKET, ERR_SYNC_INTERFACE, ERR_SYNC_KEY. */
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

  /**
   * Whether the peer's connections are here, or need not be waited for: a director that comes back
   * and takes over before it has them would reset them.
   */
  get isCaughtUp(): boolean {
    this.#caughtUp ||= this.#hasAll();
    return this.#caughtUp;
  }

  #hasAll(): boolean {
    if (this.#openedAt === undefined) return false;
    const figures = this.#engine.sync();
    const model = this.#model;
    // Linux's daemons never say that they have told everything.
    if (!figures || model?.protocol !== 'sluice' || model.role === 'master') return true;
    const elapsed = performance.now() - this.#openedAt;
    const limit = (figures.peers ?? 0) > 0 ? BULK_MS : PEER_MS;
    return (figures.bulks_done ?? 0) > 0 || elapsed > limit;
  }

  /** Throws what start() does, or ERR_UNSUPPORTED; then nothing has changed. */
  startDaemon(asked: DaemonRequest): void {
    this.#requireIpvs();
    this.#become(withDaemon(this.#running(), asked));
  }

  /** Throws ERR_SYNC_NOT_RUNNING, ERR_UNSUPPORTED. */
  stopDaemon(role: DaemonRole): void {
    this.#requireIpvs();
    this.#become(withoutDaemon(this.#running(), role));
    this.#log.info(`the ${role} sync daemon was stopped`);
  }

  /** How daemons differ from the file's. */
  edits(): ModelChange[] {
    if (!this.#edited.get('daemons')) return [];
    const named = (daemons: readonly Daemon[]) =>
      new Map(
        daemons.map(({ role, interface: on, syncid, ...rest }): [string, object] => [
          `${role} on ${on} (syncid ${syncid})`,
          rest,
        ]),
      );
    return changes('sync daemon', named(daemonsOf(this.#file)), named(this.#daemons));
  }

  /** What to keep for the next process; undefined: daemons are as the file has them. */
  edited(): Daemon[] | undefined {
    return this.edits().length === 0 ? undefined : this.#daemons;
  }

  /** Back to the file's. What goes wrong is logged. */
  discard(): void {
    const apart = this.edits().length > 0;
    this.#edited.set('daemons', undefined);
    if (!apart) return;
    this.#engine.stopSync();
    this.open(this.#file);
    this.#log.info('sync daemons are the file’s again');
  }

  /** The engine's may have ended, or never have begun. */
  #running(): Daemon[] {
    return this.#engine.sync() === null ? [] : this.#daemons;
  }

  #requireIpvs(): void {
    if (this.#engine.sync() === null || this.#model?.protocol === 'ipvs') return;
    const message = 'connection sync runs with Sluice’s own protocol, as its file says';
    throw new SluiceError('ERR_UNSUPPORTED', `${message}: there are no daemons to start or stop`);
  }

  #become(daemons: Daemon[]): void {
    const before = this.#engine.sync() === null ? undefined : this.#model;
    const next = modelOf(daemons, this.#file);
    this.#engine.stopSync();
    try {
      if (next) this.start(next);
    } catch (error) {
      if (before) this.start(before);
      throw error;
    }
    this.#model = next;
    this.#daemons = daemons;
    this.#edited.set('daemons', daemons);
  }

  report(): SyncReport {
    const figures = this.#engine.sync();
    const model = this.#model;
    if (!figures || !model) return NO_SYNC;
    const { protocol, role, interface: name, destination, port } = model;
    const syncid = protocol === 'ipvs' ? model.syncid : null;
    const where = { interface: name, destination, port, syncid };
    return { running: true, protocol, role, ...where, daemons: this.#daemons, figures };
  }
}
