/** Connection sync: what is told and adopted, and how. */
export interface SyncSettings {
  protocol: 'sluice' | 'ipvs';
  /** Own connections are told; the peer's are adopted. */
  tells: boolean;
  adopts: boolean;
  /** 16 bytes; `sluice` only. */
  key?: Uint8Array;
  /** 0: any, and sent as 0; `ipvs` only. */
  syncid?: number;
  /** Records a second. */
  rate: number;
  /** Age at which a change is told. */
  afterMs: number;
  /** A connection that lives is told again at least so often. */
  refreshMs: number;
  /** Of this run; live it is drawn. */
  session?: number;
}

export interface SyncOptions extends SyncSettings {
  /** Kernel interface the socket is bound to. */
  interface: string;
  /** Peer or multicast group. */
  destination: string;
  port: number;
  /** Of multicast; 1 unless told. */
  ttl?: number;
  /** Longest datagram; what the MTU takes unless told. */
  datagramBytes?: number;
}

/** Figures by name; what they mean is in NativeModule.syncFigureHelp(). */
export type SyncFigures = Record<string, number>;
