/** What the engine did with a packet, and what the model says it should have done. */
import type { Mode, VerdictKind } from '../../../src/native.js';

export interface Output {
  port: number;
  /** Went to the port's TAP twin. */
  tap: boolean;
  bytes: Uint8Array;
}

/** What the engine did with the packet. */
export interface Seen {
  kind: VerdictKind;
  end: string;
  outputs: Output[];
  /** Slot of the server it went to. */
  server?: number;
}

export interface Expected {
  kind: VerdictKind;
  /** Names of ends that are right; empty: any of that kind. */
  ends: string[];
  outputs: Output[];
  mode?: Mode;
  service?: number;
  server?: number;
  /** What the engine chose and must not. */
  illegal?: string;
}

export function drop(...ends: string[]): Expected {
  return { kind: 'dropped', ends, outputs: [] };
}

export function punt(end: string, frame: Uint8Array, port: number): Expected {
  return { kind: 'punted', ends: [end], outputs: [{ port, tap: true, bytes: frame }] };
}

export function answer(end: string, port: number, frames: Uint8Array[]): Expected {
  const outputs = frames.map((bytes) => ({ port, tap: false, bytes }));
  return { kind: 'answered', ends: [end], outputs };
}

export function forward(end: string, port: number, frames: Uint8Array[]): Expected {
  const outputs = frames.map((bytes) => ({ port, tap: false, bytes }));
  return { kind: 'forwarded', ends: [end], outputs };
}
