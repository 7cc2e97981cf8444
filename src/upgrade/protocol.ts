/**
 * What two processes of a hot upgrade say to each other, the one that leaves and the one that comes.
 * The first message of either is understood by all versions; the others only where it says that
 * both speak the same.
 */
import type { Totals } from '../stats/totals.js';
import type { ErrorReport } from '../supervisor/error-report.js';
import type { MemoryContents } from '../supervisor/memory.js';
import { VERSION } from '../version.js';

/** Grows with any change of the messages below. */
export const PROTOCOL = 1;

/** Its end of the channel, as the new process finds it; the stream of connections follows. */
export const CHANNEL_FD = 3;
export const RECORDS_FD = 4;

/** What another version can read as well: it says itself which version it is of. */
const PORTABLE = new Set(['health', 'cookies', 'kernel']);
/** Of this process, or read from files again. */
const OWN = new Set(['api', 'counters.bases', 'director']);

/** Sockets that listen, by what they are for. */
export interface Listener {
  fd: number;
  /** Path, or address and port: another one is not it. */
  at: string;
}
export type Listeners = Record<string, Listener>;

export interface Hello {
  type: 'hello';
  protocol: number;
  /** Of native/engine/live/hand_over.h. */
  format: number;
  version: string;
  pid: number;
}

export interface Inheritance {
  type: 'inheritance';
  version: string;
  pid: number;
  memory: MemoryContents;
  discardEdits: boolean;
  /** TAP twins by name. */
  twins: Record<string, number>;
  /** Packet sockets of the old process. */
  sockets: number[];
  listeners: Listeners;
  /** VRRP instances that are masters. */
  masters: string[];
}

export type FromOld =
  | Inheritance
  /** What kept it from going on; the process that gets it is ended. */
  | { type: 'copying' }
  | { type: 'switch' }
  | { type: 'totals'; totals: Totals }
  | { type: 'farewell' };

export type FromNew =
  | Hello
  | { type: 'prepared' }
  | { type: 'open'; report: Arrival }
  | { type: 'failed'; error: ErrorReport };

/** How the new process has got on. */
export interface Arrival {
  generation: number;
  connections: number;
  refused: number;
  gapMs: number;
}

/** What the new process is to go on from; `version`: its own. */
export function inheritable(memory: MemoryContents, version: string): MemoryContents {
  const same = version === VERSION;
  const kept = [...memory].filter(([name]) => (same ? !OWN.has(name) : PORTABLE.has(name)));
  return new Map(kept);
}
