/**
 * A running director's control plane: the composition root, the only file that knows every feature.
 * It runs in a thread of its own (src/supervisor/), which may fail at any moment: what has to
 * survive that is in the engine or in `host.memory`, and the next one goes on from there.
 */

import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { AlertWatch } from './alerts/watchdog.js';
import { serve, serveMetrics } from './api/server.js';
import { TcpApi } from './api/tcp.js';
import { type Beginning, begin, resume, succeed } from './beginning.js';
import { formatEndpoint } from './config/address.js';
import { Control } from './control.js';
import { limits } from './engine-options.js';
import { describe } from './errors.js';
import { HealthMonitor } from './health/monitor.js';
import type { MonitorState } from './health/state.js';
import type { Host } from './host.js';
import { KernelState } from './kernel/feature.js';
import { Ledger } from './ledger.js';
import { type Logger, RateLimit } from './log.js';
import { type Engine, type EngineEvent, native } from './native.js';
import { CounterView } from './stats/counters.js';
import { counterSource } from './stats/live.js';
import { ProcFiles } from './stats/procfs.js';
import { RateView, SAMPLE_MS } from './stats/rates.js';
import { serviceNames } from './stats/report.js';
import type { Totals } from './stats/totals.js';
import { rememberDaemons, Sync } from './sync/feature.js';
import { countsOf, Transactions } from './transaction.js';
import type { Frozen } from './upgrade/departure.js';
import { inherited, listener } from './upgrade/listeners.js';
import { Accepted } from './vrrp/accepted.js';
import { Vrrp } from './vrrp/vrrp.js';

/** A worker that has not come round for so long is worth a line in the log. */
const STALL_US = 1_000_000;
const WATCH_MS = 1_000;
/** How old the figures under `proc` may get. */
const PROC_MS = 5_000;
/** Requests that are under way when another process takes over get so long. */
const ANSWERS_MS = 1_000;
/** Notification scripts of a stop get so long. */
const FAREWELL_MS = 5_000;

/** Health is written down when it changes, but for no more than this part of the time. */
const HEALTH_SHARE = 0.05;

export class Director {
  readonly #host: Host;
  readonly #log: Logger;
  readonly #cpus: number[];
  readonly #engine: Engine;
  readonly #counters: CounterView;
  readonly #rates: RateView;
  readonly #health: HealthMonitor;
  readonly #vrrp: Vrrp;
  readonly #kernel: KernelState;
  readonly #running: Transactions;
  readonly #control: Control;
  readonly #sync: Sync;
  readonly #alerts: AlertWatch;
  #server: Server | undefined;
  readonly #timers: NodeJS.Timeout[] = [];
  #metrics: Server | undefined;
  #api: TcpApi | undefined;
  #proc: ProcFiles | undefined;
  readonly #procTrouble = new RateLimit(60_000);
  #stopped = false;
  #frozen = false;
  #syncPauses = false;
  /** Another process has taken over: what is left in the file system is its own. */
  #left = false;

  /**
   * Reads the file, has the engine started, publishes and opens the control socket; or throws. An
   * engine that runs already is attached to, and what was in force goes on, whatever the file says
   * by now.
   */
  static async start(config: string, host: Host): Promise<Director> {
    const ledger = new Ledger(host.memory);
    const past = ledger.past();
    const { succession } = host;
    const beginning = succession
      ? succeed(config, past, ledger, host)
      : past
        ? resume(past, ledger, host)
        : begin(config, ledger, host);
    const director = new Director(await beginning, host);
    try {
      await director.#open();
    } catch (error) {
      director.#close();
      throw error;
    }
    return director;
  }

  private constructor({ loaded, cpus, ledger, past, kept, initial }: Beginning, host: Host) {
    const { log, memory } = host;
    this.#host = host;
    this.#log = log;
    this.#cpus = cpus;
    const { model } = loaded;
    const engine = native().attachEngine(this.#eventHandler());
    this.#engine = engine;
    const source = counterSource(engine);
    const layout = native().counterLayout(cpus.length, model.ports.length, limits(model));
    const counters = new CounterView(layout, source.read, memory);
    this.#counters = counters;
    this.#rates = new RateView(counters);
    const known = memory.of<MonitorState>('health');
    const health = new HealthMonitor(
      log,
      () => this.#guard('health', () => this.#replan()),
      undefined,
      known.get('state'),
    );
    this.#health = health;
    const vrrp = new Vrrp({
      log,
      engine,
      openHerald: (onNews) => native().openHerald(onNews),
      changed: () => this.#replan(),
      mayPreempt: () => this.#sync.isCaughtUp,
      foresee: (role) => this.#running.foresee(role),
      wasMaster: (instance) => host.succession?.masters.includes(instance) ?? false,
      guard: (what, action) => this.#guard(what, action),
    });
    this.#vrrp = vrrp;
    const kernel = new KernelState({ log, memory });
    this.#kernel = kernel;
    const accepted = new Accepted(log, (...has) => native().acceptAddresses(...has));
    this.#running = new Transactions(
      loaded,
      {
        publish: (snapshot) => {
          const twins = engine.ports().map(({ twin }) => twin);
          accepted.around(vrrp.role(), twins, () => engine.publish(snapshot));
          vrrp.published();
          kernel.follow(vrrp.masters);
        },
        counters,
        rates: this.#rates,
        health: () => health.apart(),
        role: () => vrrp.role(),
        adopt: (next) => {
          vrrp.update(next);
          kernel.adopt(next);
          health.update(next);
        },
        ledger,
        ...(kept && { keep: (...change) => kept.keep(...change, this.#sync.edited()) }),
        others: { edits: () => this.#sync.edits(), discard: () => this.#sync.discard() },
      },
      past,
      initial,
    );
    if (initial?.daemons) rememberDaemons(memory, initial.daemons);
    this.#sync = new Sync(engine, log, memory);
    this.#alerts = new AlertWatch(log, engine, counters, () => {
      const { alerts, maxConnections } = this.#running.model.director;
      return { thresholds: alerts, maxConnections };
    });
    this.#control = new Control({
      sync: this.#sync,
      running: this.#running,
      counters,
      rates: this.#rates,
      engine,
      checksOf: (key) => health.checksOf(key),
      vrrp: () => vrrp.report(),
      source: source.kind,
      cpus,
      log,
      isStopping: () => this.#stopped,
      alerts: this.#alerts,
      past: host,
      isFrozen: () => this.#frozen,
      upgrade: host.upgrade,
      prepare: (next) => this.#api?.prepare(next) ?? (() => {}),
    });
  }

  async #open(): Promise<void> {
    const { succession } = this.#host;
    this.#running.start(succession === undefined);
    await succession?.prepared();
    this.#vrrp.start();
    if (succession) {
      this.#counters.goOnFrom(await succession.switched(), this.#running.planned.slots);
      // Not before: the old process might have gone on, and its edits were kept.
      this.#running.keep();
    }
    const { model, planned } = this.#running;
    const { socket, socketGroup, name } = model.director;
    const report = (error: unknown) => this.#report('control', error);
    const there = (what: string, at: string) => inherited(succession?.listeners, what, at);
    this.#server = await serve(
      socket,
      this.#control,
      report,
      socketGroup,
      there('control', socket),
    );
    this.#sync.open(model.sync);
    await this.#serveFigures();
    this.#api = await TcpApi.open(this.#running.loaded, {
      handlers: this.#control,
      log: this.#log,
      onError: (error) => this.#report('api', error),
      memory: this.#host.memory,
      listener: (at) => there('api', at),
    });
    // Not before: a start that fails leaves the kernel as it was.
    this.#kernel.open();
    this.#every(WATCH_MS, 'watch', () => this.#checkWorkers());
    this.#every(WATCH_MS, 'alerts', () => this.#alerts.look());
    this.#every(SAMPLE_MS, 'rates', () => this.#rates.sample());
    this.#every(WATCH_MS, 'passive', () => this.#observe());
    if (this.#host.restarts > 0) return;
    for (const warning of planned.warnings) this.#log.warn(warning);
    this.#log.info(
      `director ${name} forwards on CPU ${this.#cpus.join(', ')}; control socket ${socket}; ${countsOf(model)}`,
    );
  }

  /** For programs that collect figures: Prometheus by TCP, readers of /proc/net/ip_vs by files. */
  async #serveFigures(): Promise<void> {
    const { metrics, proc } = this.#running.model.director;
    const report = (error: unknown) => this.#report('metrics', error);
    if (metrics) {
      const fd = inherited(this.#host.succession?.listeners, 'metrics', formatEndpoint(metrics));
      this.#metrics = await serveMetrics(metrics, this.#control, report, fd);
    }
    if (proc === undefined) return;
    const files = new ProcFiles(proc);
    this.#proc = files;
    const write = () => {
      const size = this.#running.model.director.maxConnections * this.#cpus.length;
      files.write(this.#control.eachService(), size).catch((error: unknown) => {
        this.#procTrouble.run('proc', () => this.#report('proc', error));
      });
    };
    write();
    this.#every(PROC_MS, 'proc', write);
  }

  #every(ms: number, what: string, action: () => void | Promise<void>): void {
    const attempt = async () => action();
    const run = () => void attempt().catch((error: unknown) => this.#report(what, error));
    this.#timers.push(setInterval(run, ms).unref());
  }

  /** What SIGHUP asks for: the file's changes, and run-time edits stay where it has none. */
  async reload(): Promise<void> {
    await this.#control.reload({ edits: 'keep', cause: 'SIGHUP' });
  }

  /** Passive checks. */
  #observe(): void {
    const { servers } = this.#running.planned.slots;
    this.#health.observe((key) => {
      const entry = servers.get(key);
      return entry && this.#counters.handshakes(entry.slot);
    });
  }

  /** After a change of health. */
  #replan(): void {
    this.#rememberHealth();
    const before = new Set(this.#running.planned.warnings);
    const { warnings } = this.#running.replan();
    for (const warning of warnings) if (!before.has(warning)) this.#log.warn(warning);
  }

  /** One line on how things are, for those who start and watch the process. */
  get summary(): string {
    return `forwarding; ${countsOf(this.#running.model)}, generation ${this.generation}`;
  }

  #healthTimer: NodeJS.Timeout | undefined;

  /** All of it at once: many changes come together. */
  #rememberHealth(): void {
    if (this.#healthTimer) return;
    const begun = performance.now();
    this.#host.memory.of('health').set('state', this.#health.state());
    const took = performance.now() - begun;
    this.#healthTimer = setTimeout(() => {
      this.#healthTimer = undefined;
      this.#guard('health', () =>
        this.#host.memory.of('health').set('state', this.#health.state()),
      );
    }, took / HEALTH_SHARE).unref();
  }

  get generation(): number {
    return this.#running.planned.snapshot.generation;
  }

  /** Nothing is changed from now on but what health and roles change: another process takes over. */
  freeze(): Frozen {
    this.#frozen = true;
    const { director } = this.#running.model;
    const listeners = {
      ...listener('control', this.#server, director.socket),
      ...listener('metrics', this.#metrics, director.metrics && formatEndpoint(director.metrics)),
      ...listener('api', this.#api?.server, director.api && formatEndpoint(director.api.listen)),
    };
    const { instances } = this.#vrrp.report();
    const masters = instances.filter(({ state }) => state === 'MASTER').map(({ name }) => name);
    return { listeners, masters, edits: this.#running.edits().length };
  }

  thaw(): void {
    this.#frozen = false;
    if (this.#syncPauses) this.#sync.open(this.#running.model.sync);
    this.#syncPauses = false;
  }

  /** This process forwards no more, and will have told its connections. */
  countForHeir(): Totals {
    this.#syncPauses = this.#sync.report().running;
    this.#sync.stop();
    return this.#counters.totals(this.#running.planned.slots);
  }

  /** Another process forwards and answers: nothing is said, nothing is removed. */
  async leave(): Promise<void> {
    this.#left = true;
    const late = new Promise((done) => setTimeout(done, ANSWERS_MS).unref());
    // Requests that are being answered are answered.
    const ended = new Promise((done) => this.#server?.close(done));
    this.#server?.closeIdleConnections();
    await Promise.race([ended, late]);
    this.#close();
  }

  /** Says what is to be said at the end (omega), and removes the socket. Forwarding goes on. */
  async stop(): Promise<void> {
    const late = new Promise((done) => setTimeout(done, FAREWELL_MS).unref());
    const farewells = [this.#vrrp.stop(), this.#health.stop(), this.#kernel.stop()];
    await Promise.race([Promise.all(farewells), late]);
    this.#close();
    await this.#proc?.remove();
  }

  #close(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const server of [this.#server, this.#metrics]) {
      server?.close();
      server?.closeAllConnections();
    }
    this.#api?.close();
    if (this.#server && !this.#left) {
      rmSync(this.#running.model.director.socket, { force: true });
    }
  }

  /** Runs `action`; what it throws is logged and goes no further. */
  #guard(what: string, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#report(what, error);
    }
  }

  #report(what: string, error: unknown): void {
    this.#log.error(`${what}: ${describe(error)}; forwarding goes on`);
  }

  #eventHandler(): (event: EngineEvent) => void {
    const limit = new RateLimit(1_000);
    return (event) =>
      this.#guard('event', () => {
        const { type, level, message, code, count, serviceSlot } = event;
        limit.run(`${type} ${code ?? message} ${serviceSlot}`, (suppressed) => {
          this.#log.log(level, message, {
            code,
            count,
            service: this.#serviceName(serviceSlot),
            suppressed: suppressed || undefined,
          });
        });
      });
  }

  #serviceName(slot: number | undefined): string | undefined {
    return slot === undefined
      ? undefined
      : serviceNames(this.#running.model, this.#running.planned).get(slot);
  }

  readonly #stalls = new RateLimit(60_000);

  #checkWorkers(): void {
    this.#engine.workerLag().forEach((us, worker) => {
      if (us < STALL_US) return;
      this.#stalls.run(`worker ${worker}`, () => {
        const seconds = (us / 1e6).toFixed(1);
        this.#log.warn(`worker ${worker} has not finished a loop for ${seconds} s`);
      });
    });
  }
}
