/** One process takes over from another. */

/** Of a process that leaves; see native/engine/live/hand_over.h. */
export interface HandOverState {
  phase: 'copying' | 'ready' | 'switching' | 'done' | 'broken';
  /** Connections and changes told so far. */
  told: number;
  lost: number;
}

/** Of a process that takes over. */
export interface TakeOverState {
  phase: HandOverState['phase'];
  gapUs: number;
  received: number;
  /** Connections that it has of the other one. */
  adopted: number;
  refused: number;
}

/**
 * One process takes over from another: all of the engine that runs in this one, and all throw
 * ERR_NATIVE_STOPPED. Descriptors that are given belong to the engine from then on.
 */
export interface Upgrading {
  /** Of the stream between the two. */
  handOverFormat: number;
  socketPair(): [number, number];
  closeFd(fd: number): void;
  /** Not for programs that this one starts. */
  keepToItself(fds: number[]): void;
  /** Twins by name, and packet sockets: they stay the engine's. */
  belongings(): { twins: Record<string, number>; sockets: number[] };
  /** Throws ERR_UPGRADE_RUNNING. */
  handOver(fd: number): void;
  handOverState(): HandOverState | null;
  /** Forwards again; the other process must be dead. */
  endHandOver(): void;
  takeOver(fd: number): void;
  takeOverState(): TakeOverState | null;
  /** Once ready: now. `sockets`: the other process's. */
  switchOver(sockets: number[]): void;
  /** An engine that waits forwards. */
  goLive(): void;
  /** What this process leaves on interfaces stays when it ends. */
  letGo(): void;
}
