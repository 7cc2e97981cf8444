/** What the director does for the control API, and who asks. */
import type { ClientReport } from '../clients.js';
import type { Explanation, Flow } from '../explain.js';
import type { ServiceListing } from '../stats/report.js';
import type {
  EditRequest,
  ReloadRequest,
  RollbackRequest,
  ServicesQuery,
  SyncDaemonRequest,
  UpgradeRequest,
  ZeroRequest,
} from './requests.js';
import type {
  ConnectionReport,
  DiffReport,
  DropsReport,
  EditReport,
  HistoryReport,
  PortReport,
  ReloadReport,
  StatusReport,
  SyncReport,
  UpgradeReport,
  VrrpReport,
} from './types.js';
import type { CaptureLine, CaptureQuery, TraceLine, TraceQuery } from './watch.js';

export interface ConnectionQuery {
  client?: string | undefined;
  /** Name of a service, or `address:port`. */
  service?: string | undefined;
  /** At most so many; 0: all. */
  limit: number;
}

/** Each may throw. */
export interface Handlers {
  /** Made as they are read. */
  services(query?: ServicesQuery): Iterable<ServiceListing> | Promise<Iterable<ServiceListing>>;
  explain(flow: Flow): Explanation | Promise<Explanation>;
  /** Prometheus' text, in pieces. */
  metrics(): Iterable<string>;
  ports(): PortReport[];
  drops(): DropsReport;
  sync(): SyncReport;
  syncDaemon(request: SyncDaemonRequest): SyncReport;
  vrrp(): VrrpReport;
  status(): StatusReport;
  reload(request: ReloadRequest): ReloadReport | Promise<ReloadReport>;
  edit(request: EditRequest): EditReport;
  /** `cause` is what shows in the history. */
  rollback(request: RollbackRequest, cause?: string): ReloadReport;
  zero(request: ZeroRequest): void;
  /** Another process takes over from this one; answered when it has. */
  upgrade(request: UpgradeRequest): Promise<UpgradeReport>;
  history(): HistoryReport[];
  /** What a file (the running one unless given) would change. */
  diff(file: string | undefined, discardEdits: boolean): DiffReport | Promise<DiffReport>;
  connections(query: ConnectionQuery): AsyncIterable<ConnectionReport>;
  clients(query: Pick<ConnectionQuery, 'service'>): AsyncIterable<ClientReport>;
  /** Both begin with what is watched and end with what was counted. */
  trace(query: TraceQuery, signal: AbortSignal): AsyncIterable<TraceLine>;
  capture(query: CaptureQuery, signal: AbortSignal): AsyncIterable<CaptureLine>;
}
