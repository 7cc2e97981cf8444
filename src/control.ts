/** What the control API asks of a running director: its answers, and the changes it makes. */

import type { AlertWatch } from './alerts/watchdog.js';
import {
  ALL_SERVICES,
  type EditRequest,
  type ReloadRequest,
  type RollbackRequest,
  type ServicesQuery,
  type SyncDaemonRequest,
} from './api/requests.js';
import type { ConnectionQuery, Handlers } from './api/server.js';
import type {
  ConnectionReport,
  EditReport,
  ReloadReport,
  ServiceReport,
  StatusReport,
  VrrpReport,
} from './api/types.js';
import type { CaptureLine, CaptureQuery, TraceLine, TraceQuery } from './api/watch.js';
import { type ClientReport, clientReports, formatEntry, placeOfEntry } from './clients.js';
import { loadAside } from './config/aside.js';
import type { Loaded } from './config/load.js';
import { formatEnd } from './config/marks.js';
import type { ServiceModel } from './config/model.js';
import { clientNetwork } from './config/persistence.js';
import { listConnections } from './connections.js';
import { ConfigError, codeOf, describe, formatProblem, SluiceError } from './errors.js';
import { type ExplainSources, type Explanation, explain, type Flow } from './explain.js';
import type { CheckReport } from './health/watch.js';
import type { Logger } from './log.js';
import { type Engine, native, type Watching } from './native.js';
import { serviceKey } from './plan.js';
import { servingIndex } from './serving.js';
import type { CounterView } from './stats/counters.js';
import type { CounterSource } from './stats/live.js';
import { measured } from './stats/measured.js';
import { metrics } from './stats/metrics.js';
import type { RateView } from './stats/rates.js';
import {
  portReports,
  type ReportSources,
  type ServiceListing,
  serviceNames,
  serviceReports,
  totals,
} from './stats/report.js';
import { everything, select } from './stats/selection.js';
import { Memory, type Store } from './supervisor/memory.js';
import { NO_SYNC, type Sync, type SyncReport } from './sync/feature.js';
import type { Transactions } from './transaction.js';
import type { UpgradeReport, UpgradeRequest } from './upgrade/departure.js';
import { VERSION } from './version.js';
import { Watches } from './watch/watches.js';
import { writtenPlace } from './written.js';

export interface ControlParts {
  running: Transactions;
  counters: CounterView;
  rates: RateView;
  sync?: Pick<Sync, 'report' | 'startDaemon' | 'stopDaemon'>;
  engine: Pick<Engine, 'connections' | 'ports' | 'workerLag' | keyof Watching>;
  checksOf?: (serverKey: string) => CheckReport[];
  vrrp: () => VrrpReport;
  source: CounterSource['kind'];
  cpus: readonly number[];
  log: Logger;
  isStopping: () => boolean;
  /** Another process is taking over. */
  isFrozen?: () => boolean;
  upgrade?: ((request: UpgradeRequest) => Promise<UpgradeReport>) | undefined;
  /** undefined: nobody watches. */
  alerts?: Pick<AlertWatch, 'raised' | 'loads'>;
  /** Of the process, whose control planes may come and go. */
  past?: { startedAt: number; restarts: number; memory: Memory };
  /** Reads what else a file names, or throws; what it returns adopts that. */
  prepare?: (next: Loaded) => () => void;
}

export class Control implements Handlers {
  readonly #parts: ControlParts;
  readonly #running: Transactions;
  readonly #log: Logger;
  readonly #past: NonNullable<ControlParts['past']>;
  readonly #lastReload: Store<StatusReport['lastReload']>;
  readonly #watches: Watches;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#running = parts.running;
    this.#log = parts.log;
    this.#past = parts.past ?? { startedAt: Date.now(), restarts: 0, memory: new Memory() };
    this.#lastReload = this.#past.memory.of('control');
    this.#watches = new Watches(parts.engine, parts.counters.layout, parts.running);
  }

  async services(query: ServicesQuery = ALL_SERVICES): Promise<Iterable<ServiceListing>> {
    const sources = this.#sources();
    const { model, planned, rates } = sources;
    return serviceReports(sources, await select(model, planned, rates, query));
  }

  eachService(): Iterable<ServiceListing> {
    const sources = this.#sources();
    return serviceReports(sources, everything(sources.model));
  }

  /** As they are now: what is published meanwhile does not change a listing. */
  #sources(): ReportSources {
    const { counters, rates, checksOf = () => [] } = this.#parts;
    const { model, planned } = this.#running;
    return { model, planned, counters, rates, checksOf };
  }

  metrics(): Iterable<string> {
    const { model, planned, counters } = this.#sources();
    return metrics({
      services: measured(model, planned, counters),
      ports: this.ports(),
      drops: this.drops(),
      vrrp: this.vrrp(),
      status: this.status(),
      sync: this.sync(),
    });
  }

  async explain(flow: Flow): Promise<Explanation> {
    const { model, loaded } = this.#running;
    return explain(flow, {
      model,
      report: (index) => this.#reportOf(index),
      connection: await this.#connectionOf(flow),
      ...(await this.#templatesOf(flow)),
      workers: this.#parts.cpus.length,
      vrrp: this.vrrp(),
      locate: (index, at) => {
        const service = model.services[index];
        return (
          service && writtenPlace(loaded, service, at === undefined ? at : service.servers[at])
        );
      },
      entry: (index, one) => {
        const service = model.services[index];
        return formatEntry(one, service && placeOfEntry(loaded, service, one));
      },
    });
  }

  #reportOf(index: number): ServiceReport | undefined {
    const servers = this.#running.model.services[index]?.servers;
    if (!servers) return undefined;
    const [one] = serviceReports(this.#sources(), [{ index, servers: servers.keys() }]);
    return one && { ...one, servers: [...one.servers] };
  }

  /** What persistence knows of the client. */
  async #templatesOf(flow: Flow): Promise<Pick<ExplainSources, 'template' | 'calls'>> {
    const { model } = this.#running;
    const service = model.services[servingIndex(model, flow)];
    if (!service?.persistence) return {};
    const client = clientNetwork(flow.from.address, service.persistence);
    const calls: ConnectionReport[] = [];
    for await (const one of this.connections({ client, service: service.name, limit: 0 })) {
      if (one.state !== 'NONE') continue;
      if (!service.persistence.engine) return { template: one };
      if (one.engine) calls.push(one);
    }
    return { calls };
  }

  async #connectionOf({ protocol, from, to }: Flow): Promise<ConnectionReport | null> {
    for await (const one of this.connections({ client: from.address, limit: 0 })) {
      const same =
        one.protocol === protocol &&
        one.clientPort === from.port &&
        one.state !== 'NONE' &&
        one.virtual === to.address &&
        one.virtualPort === to.port;
      if (same) return one;
    }
    return null;
  }

  ports() {
    const { engine, counters } = this.#parts;
    return portReports(this.#running.model, engine.ports(), counters);
  }

  vrrp() {
    return this.#parts.vrrp();
  }

  drops() {
    const { counters } = this.#parts;
    return { ends: counters.ends(), extra: counters.extra() };
  }

  sync(): SyncReport {
    return this.#parts.sync?.report() ?? NO_SYNC;
  }

  syncDaemon(request: SyncDaemonRequest): SyncReport {
    this.#mayChange();
    const { sync } = this.#parts;
    if (!sync) throw new SluiceError('ERR_SYNC_NOT_RUNNING', 'there is no connection sync here');
    if (request.action === 'start') sync.startDaemon(request);
    else sync.stopDaemon(request.role);
    this.#running.keep(true);
    return sync.report();
  }

  history() {
    return this.#running.history();
  }

  async diff(file: string | undefined, discardEdits: boolean) {
    const { loaded } = this.#running;
    const next = await loadAside(file ?? loaded.file, loaded.model);
    return this.#running.diff(next, discardEdits ? 'discard' : 'keep');
  }

  /** Parse, plan, publish; or throw and leave everything as it is. One after the other. */
  reload(request: ReloadRequest): Promise<ReloadReport> {
    const reloaded = this.#reloading.then(() => this.#reload(request));
    this.#reloading = reloaded.then(
      () => {},
      () => {},
    );
    return reloaded;
  }

  #reloading: Promise<void> = Promise.resolve();

  async #reload({ file = this.#running.loaded.file, edits, cause }: ReloadRequest) {
    try {
      this.#mayChange();
      const next = await loadAside(file, this.#running.loaded.model);
      // Much may have happened meanwhile.
      this.#mayChange();
      if (this.#parts.isStopping()) {
        throw new SluiceError('ERR_NOT_RUNNING', 'the director has stopped meanwhile');
      }
      const adopt = this.#parts.prepare?.(next);
      const report = this.#running.load(next, edits, `${cause} of ${file}`);
      adopt?.();
      this.#note(true, report.summary);
      this.#log.info(`reloaded ${file}: ${report.summary}`);
      for (const warning of report.warnings) this.#log.warn(warning);
      this.#tellEdits();
      return report;
    } catch (error) {
      this.#note(false, error instanceof Error ? error.message : String(error));
      this.#refused('reload', error);
      throw error;
    }
  }

  edit({ edits, cause, together }: EditRequest): EditReport {
    this.#mayChange();
    const report = this.#running.edit(edits, cause, together);
    this.#log.info(`${cause}: ${report.summary}`, { generation: report.generation });
    return report;
  }

  /** Has another process take over from this one. */
  upgrade({ file = this.#running.loaded.file, ...request }: UpgradeRequest) {
    const { upgrade } = this.#parts;
    if (!upgrade) throw new SluiceError('ERR_UPGRADE_FAILED', 'this is no process of its own');
    this.#log.info(`upgrade: another process takes over, with ${file}`);
    return upgrade({ ...request, file });
  }

  #mayChange(): void {
    if (!this.#parts.isFrozen?.()) return;
    const message = 'another process is taking over: ask that one, in a moment';
    throw new SluiceError('ERR_UPGRADE_RUNNING', message);
  }

  rollback({ generation }: RollbackRequest, cause = 'rollback'): ReloadReport {
    this.#mayChange();
    const report = this.#running.rollback(generation, cause);
    this.#log.info(`rolled back: ${report.summary}`, { generation: report.generation });
    for (const warning of report.warnings) this.#log.warn(warning);
    this.#tellEdits();
    return report;
  }

  zero({ service }: Parameters<Handlers['zero']>[0]): void {
    this.#mayChange();
    this.#running.zero(service);
  }

  status(): StatusReport {
    const { engine, counters, cpus, source, alerts } = this.#parts;
    const { model, planned, loaded } = this.#running;
    const lag = engine.workerLag();
    const active = counters.reader('servers', 'active');
    const inactive = counters.reader('servers', 'inactive');
    let connections = 0;
    for (const { slot } of planned.slots.servers.values()) {
      connections += active(slot) + inactive(slot);
    }
    const { tcpMs, tcpFinMs, udpMs } = model.timeouts;
    const seconds = (ms: number) => Math.round(ms / 1_000);
    return {
      status: this.#parts.isStopping() ? 'stopping' : 'ready',
      name: model.director.name,
      version: VERSION,
      dpdk: native().versions().dpdk,
      pid: process.pid,
      uptimeSeconds: Math.round((Date.now() - this.#past.startedAt) / 1000),
      controlRestarts: this.#past.restarts,
      config: loaded.file,
      socket: model.director.socket,
      generation: planned.snapshot.generation,
      edits: this.#running.editLines(),
      timeouts: { tcp: seconds(tcpMs), tcpFin: seconds(tcpFinMs), udp: seconds(udpMs) },
      counters: source,
      totals: totals(model, planned, this.#parts.rates),
      maxConnections: model.director.maxConnections * cpus.length,
      connections,
      workers: cpus.map((cpu, index) => ({
        cpu,
        lagUs: Math.round(lag[index] ?? 0),
        load: Math.round(alerts?.loads[index] ?? 0),
      })),
      alerts: alerts?.raised ?? [],
      lastReload: this.#lastReload.get('lastReload') ?? null,
    };
  }

  trace(query: TraceQuery, signal: AbortSignal): AsyncIterable<TraceLine> {
    return this.#watches.trace(query, signal);
  }

  capture(query: CaptureQuery, signal: AbortSignal): AsyncIterable<CaptureLine> {
    return this.#watches.capture(query, signal);
  }

  async *connections(query: ConnectionQuery): AsyncGenerator<ConnectionReport> {
    const { engine, cpus } = this.#parts;
    const names = serviceNames(this.#running.model, this.#running.planned);
    const filter = {
      client: query.client,
      services: query.service === undefined ? undefined : this.#serviceSlots(query.service),
    };
    const read = engine.connections.bind(engine);
    let count = 0;
    for await (const connection of listConnections(read, cpus.length, filter)) {
      yield { ...connection, service: names.get(connection.serviceSlot) ?? null };
      count++;
      if (query.limit > 0 && count >= query.limit) return;
    }
  }

  async *clients({ service }: { service?: string | undefined }): AsyncGenerator<ClientReport> {
    const { model } = this.#running;
    yield* clientReports(model, service === undefined ? model.services : this.#matching(service));
  }

  #matching(wanted: string): ServiceModel[] {
    const matches = this.#running.model.services.filter((one) =>
      [one.name, formatEnd(one.protocol, one.listen), serviceKey(one)].includes(wanted),
    );
    if (matches.length > 0) return matches;
    throw new SluiceError('ERR_API', `no service is called or listens on ${wanted}`);
  }

  #serviceSlots(wanted: string): Set<number> {
    const { services } = this.#running.planned.slots;
    const matches = this.#matching(wanted);
    return new Set(
      matches.flatMap((one) => {
        const entry = services.get(serviceKey(one));
        return entry ? [entry.slot] : [];
      }),
    );
  }

  #tellEdits(): void {
    const count = this.#running.editLines().length;
    if (count === 0) return;
    const places = count === 1 ? 'one place' : `${count} places`;
    this.#log.warn(`the running state differs from its file in ${places}: sluice diff`);
  }

  #refused(what: string, error: unknown): void {
    this.#log.error(`${what} refused, the running state is untouched`, { code: codeOf(error) });
    if (!(error instanceof ConfigError)) {
      this.#log.error(describe(error));
      return;
    }
    for (const problem of error.problems) {
      const { severity, code } = problem;
      this.#log[severity === 'error' ? 'error' : 'warn'](formatProblem(problem), { code });
    }
  }

  #note(ok: boolean, summary: string): void {
    this.#lastReload.set('lastReload', { at: new Date().toISOString(), ok, summary });
  }
}
