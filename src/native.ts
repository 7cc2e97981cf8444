/**
 * The boundary between TypeScript and the C++ addon: what the addon exports, and how it is loaded; the
 * types of its parts are in native/.
 *
 * Rules: TypeScript validates and reports in full; C++ checks what it must not trust and throws an
 * Error whose `code` is one of ERR_NATIVE_*. Bulk data crosses as typed arrays, never as objects in
 * a loop. Nothing here blocks on a worker: requests to workers go through their mailbox.
 */
import { createRequire } from 'node:module';
import type { CounterLayout, Engine, EngineEvent, EngineOptions, Limits } from './native/engine.js';
import type { Herald } from './native/herald.js';
import type { NativeProber, SocketOptions } from './native/prober.js';
import type { Replay, ReplayOptions } from './native/replay.js';
import type { Upgrading } from './native/upgrade.js';

export * from './native/engine.js';
export * from './native/herald.js';
export * from './native/prober.js';
export * from './native/replay.js';
export * from './native/sync.js';
export * from './native/upgrade.js';
export * from './native/watch.js';
export * from './native/words.js';

export interface NativeModule extends Upgrading {
  versions(): { dpdk: string; addon: string };
  counterLayout(workers: number, ports: number, limits: Limits): CounterLayout;
  startEngine(options: EngineOptions, onEvent: (event: EngineEvent) => void): Engine;
  /**
   * The engine that runs in this process, from any thread that has loaded the addon. From now on
   * events come here, until this thread ends. ERR_NATIVE_STOPPED: none runs.
   */
  attachEngine(onEvent: (event: EngineEvent) => void): Engine;
  /** Of the engine that runs. `onNews`: there is something to take, or the alarm has gone off. */
  openHerald(onNews: () => void): Herald;
  createReplay(options: ReplayOptions): Replay;
  syncFigureHelp(): Record<string, string>;
  /** Tells the service manager (sd_notify(3)); false where there is none, or it did not take it. */
  notifyManager(text: string): boolean;
  /** Children that have ended are forgotten by the kernel; gives those that have not. */
  reap(pids: number[]): number[];
  /**
   * Starts this program again as another user, in this process and with its arguments, with no
   * more than these capabilities (bit 1 << CAP_…). Returns only by an ERR_PRIVILEGE.
   */
  becomeUser(user: string, capabilities: bigint): void;
  /** For a program that is started next with what this thread may do; then forgetAmbient(). */
  raiseAmbient(): void;
  /** Programs that this thread starts, or a thread that it makes, get none of its capabilities. */
  forgetAmbient(): void;
  /** A non-blocking IPv4 socket's descriptor, the caller's to close. Errors have errno's name as code. */
  openSocket(options: SocketOptions): number;
  /**
   * Makes these VIPs (of both families) the only ones in accept mode that the TAP twin has. Throws
   * ERR_NATIVE_TWIN; then some may be missing.
   */
  acceptAddresses(twin: string, addresses: string[]): void;
  /** Its thread ends with close(), or with the environment. */
  createProber(onResults: (results: Uint32Array) => void): NativeProber;
}

const require = createRequire(import.meta.url);
let loaded: NativeModule | undefined;

/**
 * Loads the addon on first use, so that `sluice check` works where it is not built. SLUICE_ADDON
 * names another build, such as one with sanitizers.
 */
export function native(): NativeModule {
  if (!loaded) {
    const bindings = require('bindings') as (name: string) => NativeModule;
    const other = process.env.SLUICE_ADDON;
    try {
      loaded = other ? (require(other) as NativeModule) : bindings('sluice');
    } catch (cause) {
      const error = new Error(
        `the native addon cannot be loaded (build it with: npm run build): ${(cause as Error).message}`,
        { cause },
      ) as Error & { code: string };
      error.code = 'ERR_NATIVE_LOAD';
      throw error;
    }
  }
  return loaded;
}
