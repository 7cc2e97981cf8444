/** The native thread that keeps VRRP's time. */

/** What a VRRP master repeats; see native/engine/live/herald.h. */
export interface Advert {
  /** Index of the port. */
  port: number;
  intervalUs: number;
  /** Whole frames, sent together: one, or one a unicast peer. */
  frames: Uint8Array[];
  /** Sent once when it resigns. */
  farewell: Uint8Array[];
  /** What is put into each of them as it leaves. */
  seal?: Seal;
}

/** A sequence number and a code; frames have room for them: see native/engine/live/seal.h. */
export interface Seal {
  kind: 'ah' | 'trailer';
  key: Uint8Array;
}

/** All that becoming the master of some instances takes, prepared ahead. */
export interface Succession {
  adverts: { instance: number; advert: Advert }[];
  snapshot: Uint8Array;
  /** Sent once it is published: gratuitous ARP. */
  remarks: Remark[];
}

/** A frame that is sent once, for an instance that is the master: gratuitous ARP. */
export interface Remark {
  instance: number;
  port: number;
  frame: Uint8Array;
}

export interface HeraldNews {
  /** The lease has run out since: no instance repeats, what follows a role has been given up. */
  lapsed: boolean;
  /** What was prepared has been carried out, before anything was heard that is in `heard`. */
  succeeded: boolean;
  /**
   * When the alarm last went off: everything that had arrived by then is in this `heard` or an
   * earlier one. What has arrived since may not be.
   */
  completeMs: number;
  /** Instances that are repeated. */
  repeating: number[];
  /** Frames of IP protocol 112, or of 51 (AH) around it, in order, with when they came: ms of the monotonic clock. */
  heard: { atMs: number; port: number; frame: Uint8Array }[];
  /** Frames that there was no room for. */
  lost: number;
  /** Remarks that there was no room for. */
  unsent: number;
  /** Between the time of an advert and its sending, the longest; 0: none has left. */
  lateMs: number;
}

/** A native thread that keeps VRRP's time. Times are of CLOCK_MONOTONIC, as process.hrtime(). */
export interface Herald {
  /** From now on; a known instance keeps its rhythm unless `atOnce`. */
  repeat(instance: number, advert: Advert, atOnce: boolean): void;
  /** Its remarks that wait are forgotten. */
  cease(instance: number, farewell: boolean): void;
  /** In turn with others, at a pace. */
  send(remark: Remark): void;
  /**
   * Sequence numbers of an instance's seals go on above this one; the last of them. 0: none yet. They
   * outlive a control plane.
   */
  heed(instance: number, sequence: number): number;
  /**
   * One alarm, the last one counts; goes off once every worker has looked at its queues since.
   * `decided`: everything that was taken has been considered, so that at the alarm, unless something
   * is heard before, what was prepared is to be carried out.
   */
  wakeAt(atMs: number, decided: boolean): void;
  /** null: nothing. A publication forgets it, too. */
  prepare(succession: Succession | null): void;
  /** For so long from now; from the first time on all depends on it. */
  renewLease(ms: number): void;
  take(): HeraldNews;
}
