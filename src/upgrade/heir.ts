/**
 * A hot upgrade as the process sees it that comes: what it was given, and the steps at which it waits
 * for the other. One whose predecessor has died goes on as after a crash, with what it has by then.
 */
import { Socket } from 'node:net';
import { SluiceError } from '../errors.js';
import type { Logger } from '../log.js';
import type { EngineOptions, NativeModule } from '../native.js';
import { NO_TOTALS, type Totals } from '../stats/totals.js';
import { reportError } from '../supervisor/error-report.js';
import type { MemoryContents } from '../supervisor/memory.js';
import { VERSION } from '../version.js';
import { Channel } from './channel.js';
import {
  type Arrival,
  CHANNEL_FD,
  type FromNew,
  type FromOld,
  type Inheritance,
  PROTOCOL,
  RECORDS_FD,
} from './protocol.js';

const SWITCH_MS = 5_000;
const TOTALS_MS = 2_000;
const FAREWELL_MS = 5_000;
const LOOK_MS = 1;

/** What its control plane has to know. */
export type Legacy = Pick<Inheritance, 'listeners' | 'masters' | 'discardEdits' | 'version'>;

export type HeirNative = Pick<
  NativeModule,
  'handOverFormat' | 'keepToItself' | 'takeOver' | 'takeOverState' | 'switchOver' | 'goLive'
>;

export class Heir {
  readonly #channel: Channel<FromOld, FromNew>;
  readonly #native: HeirNative;
  readonly #log: Logger;
  readonly #given: Inheritance;

  /** Throws when it was not started by a director that leaves. */
  static async receive(native: HeirNative, log: Logger): Promise<Heir> {
    const channel = new Channel<FromOld, FromNew>(new Socket({ fd: CHANNEL_FD }));
    const format = native.handOverFormat;
    channel.say({
      type: 'hello',
      protocol: PROTOCOL,
      format,
      version: VERSION,
      pid: process.pid,
    });
    const given = await channel.next();
    if (given?.type !== 'inheritance') {
      throw new SluiceError('ERR_UPGRADE_FAILED', 'the director that was to hand over has gone');
    }
    const listeners = Object.values(given.listeners).map(({ fd }) => fd);
    native.keepToItself([
      CHANNEL_FD,
      RECORDS_FD,
      ...Object.values(given.twins),
      ...given.sockets,
      ...listeners,
    ]);
    return new Heir(channel, native, log, given);
  }

  private constructor(
    channel: Channel<FromOld, FromNew>,
    native: HeirNative,
    log: Logger,
    given: Inheritance,
  ) {
    this.#channel = channel;
    this.#native = native;
    this.#log = log;
    this.#given = given;
  }

  get memory(): MemoryContents {
    return this.#given.memory;
  }

  get legacy(): Legacy {
    const { listeners, masters, discardEdits, version } = this.#given;
    return { listeners, masters, discardEdits, version };
  }

  /** Of an engine that waits, with the TAP twins that are there already. */
  engineOptions(options: EngineOptions): EngineOptions {
    const ports = options.ports.map((port) => {
      const twinFd = this.#given.twins[port.twin ?? ''];
      return twinFd === undefined ? port : { ...port, twinFd };
    });
    return { ...options, ports, waits: true };
  }

  /** The engine waits with a snapshot. Until the old process says: now. */
  async prepared(): Promise<void> {
    this.#channel.say({ type: 'prepared' });
    if ((await this.#channel.next())?.type === 'copying') {
      this.#native.takeOver(RECORDS_FD);
      if ((await this.#channel.next())?.type === 'switch') return;
    }
    this.#log.warn(`the director before this one (process ${this.#given.pid}) has died`, {
      code: 'ERR_UPGRADE_ORPHANED',
    });
  }

  /** Until this process forwards. */
  async switched(): Promise<Totals> {
    if (this.#channel.closed) {
      // Its end of the stream has ended too: what had been told is there, and forwarded.
      if (!this.#native.takeOverState()) this.#native.goLive();
      await this.#until(['broken', 'done']);
      return NO_TOTALS;
    }
    this.#native.switchOver(this.#given.sockets);
    await this.#until(['broken', 'done']);
    const said = await this.#channel.next(TOTALS_MS);
    return said?.type === 'totals' ? said.totals : NO_TOTALS;
  }

  async #until(phases: string[]): Promise<void> {
    const deadline = performance.now() + SWITCH_MS;
    for (;;) {
      const state = this.#native.takeOverState();
      if (!state || phases.includes(state.phase)) return;
      if (performance.now() > deadline) {
        throw new SluiceError('ERR_UPGRADE_FAILED', `still ${state.phase} after ${SWITCH_MS} ms`);
      }
      await new Promise((done) => {
        setTimeout(done, LOOK_MS);
      });
    }
  }

  /** This process answers, too. Until the service manager knows, or the old one has ended. */
  async opened(generation: number): Promise<void> {
    const state = this.#native.takeOverState();
    const report: Arrival = {
      generation,
      connections: state?.adopted ?? 0,
      refused: state?.refused ?? 0,
      gapMs: (state?.gapUs ?? 0) / 1_000,
    };
    this.#channel.say({ type: 'open', report });
    await this.#channel.next(FAREWELL_MS);
    this.#channel.close();
    this.#log.info(
      `taken over from process ${this.#given.pid} (${this.#given.version}): ${report.connections} connections, gap ${report.gapMs} ms`,
    );
  }

  failed(error: unknown): void {
    this.#channel.say({ type: 'failed', error: reportError(error) });
  }
}
