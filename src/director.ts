/**
 * A running director: the composition root, the only file that knows every feature. Once it runs,
 * nothing that goes wrong in JavaScript stops the workers from forwarding.
 */
import { readFileSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { resolve } from 'node:path';
import { type ConnectionQuery, claimSocket, type Handlers, serve } from './api/server.js';
import type { ConnectionReport, ReloadReport, ServiceReport, StatusReport } from './api/types.js';
import { formatEndpoint, parseIPv4 } from './config/address.js';
import { type Loaded, loadConfig } from './config/load.js';
import type { Model } from './config/model.js';
import { listConnections } from './connections.js';
import { engineOptions, limits, parseCpuList, workerCpus } from './engine-options.js';
import { ConfigError, codeOf, describe, formatProblem, SluiceError } from './errors.js';
import { HealthMonitor } from './health/monitor.js';
import { type Logger, RateLimit } from './log.js';
import { type Engine, type EngineEvent, native } from './native.js';
import { type Planned, plan } from './plan.js';
import { refuseRestartSettings } from './reload.js';
import { encodeSnapshot } from './snapshot.js';
import { diffSnapshots, formatDiff } from './snapshot-diff.js';
import { CounterView } from './stats/counters.js';
import { type CounterSource, counterSource } from './stats/live.js';
import { portReports, serviceNames, serviceReports } from './stats/report.js';
import { VERSION } from './version.js';

/** A worker that has not come round for so long is worth a line in the log. */
const STALL_US = 1_000_000;
const WATCH_MS = 1_000;
/** Notification scripts of a stop get so long. */
const FAREWELL_MS = 5_000;

export class Director {
  readonly #log: Logger;
  readonly #cpus: number[];
  readonly #engine: Engine;
  readonly #source: CounterSource;
  readonly #counters: CounterView;
  readonly #health: HealthMonitor;
  readonly #started = Date.now();
  #loaded: Loaded;
  #planned: Planned;
  #lastReload: StatusReport['lastReload'] = null;
  #server: Server | undefined;
  #watch: NodeJS.Timeout | undefined;
  #stopped = false;

  /** Reads the file, starts the engine, publishes and opens the control socket; or throws. */
  static async start(config: string, log: Logger): Promise<Director> {
    const loaded = loadConfig(resolve(config));
    for (const warning of loaded.warnings) log.warn(formatProblem(warning));
    requireDevices(loaded);
    const cpus = workerCpus(loaded.model.director.workers, allowedCpus());
    const planned = plan(loaded.model);
    requireHugepages(loaded);
    await claimSocket(loaded.model.director.socket);
    const director = new Director(loaded, planned, cpus, log);
    try {
      await director.#open();
    } catch (error) {
      director.#close();
      throw error;
    }
    return director;
  }

  private constructor(loaded: Loaded, planned: Planned, cpus: number[], log: Logger) {
    this.#log = log;
    this.#cpus = cpus;
    this.#loaded = loaded;
    this.#planned = planned;
    const { model } = loaded;
    const events = this.#eventHandler();
    this.#engine = native().startEngine(engineOptions(model, cpus), events);
    this.#source = counterSource(this.#engine);
    const layout = native().counterLayout(cpus.length, model.ports.length, limits(model));
    this.#counters = new CounterView(layout, this.#source.read);
    this.#health = new HealthMonitor(log, () => this.#guard('health', () => this.#replan()));
  }

  async #open(): Promise<void> {
    const { model } = this.#loaded;
    this.#health.update(model);
    this.#planned = plan(model, this.#health.health());
    this.#engine.publish(encodeSnapshot(this.#planned.snapshot));
    const { socket, name } = this.#loaded.model.director;
    this.#server = await serve(socket, this.#handlers(), (error) => this.#report('control', error));
    this.#watch = setInterval(() => this.#guard('watch', () => this.#checkWorkers()), WATCH_MS);
    this.#watch.unref();
    for (const warning of this.#planned.warnings) this.#log.warn(warning);
    const summary = formatDiff(diffSnapshots(undefined, this.#planned.snapshot));
    this.#log.info(
      `director ${name} forwards on CPU ${this.#cpus.join(', ')}; control socket ${socket}; ${summary}`,
    );
  }

  /** Parse, plan, publish; or throw and leave everything as it is. */
  reload(): ReloadReport {
    try {
      const report = this.#apply(loadConfig(this.#loaded.file));
      this.#note(true, report.summary);
      this.#log.info(`reloaded ${this.#loaded.file}: ${report.summary}`);
      for (const warning of report.warnings) this.#log.warn(warning);
      return report;
    } catch (error) {
      this.#note(false, error instanceof Error ? error.message : String(error));
      this.#log.error('reload refused, the running state is untouched', { code: codeOf(error) });
      if (error instanceof ConfigError) {
        for (const problem of error.problems) {
          this.#log[problem.severity === 'error' ? 'error' : 'warn'](formatProblem(problem), {
            code: problem.code,
          });
        }
      } else {
        this.#log.error(describe(error));
      }
      throw error;
    }
  }

  #apply(next: Loaded): ReloadReport {
    refuseRestartSettings(this.#loaded.model, next);
    const { snapshot } = this.#planned;
    this.#health.update(next.model);
    let planned: Planned;
    try {
      planned = this.#publish(next.model);
    } catch (error) {
      this.#health.update(this.#loaded.model);
      throw error;
    }
    this.#loaded = next;
    return {
      generation: planned.snapshot.generation,
      summary: formatDiff(diffSnapshots(snapshot, planned.snapshot)),
      warnings: [...next.warnings.map(formatProblem), ...planned.warnings],
    };
  }

  /** Plans what runs with what health says now, and hands it to the workers. */
  #publish(model: Model): Planned {
    const { slots } = this.#planned;
    const removed = [...slots.servers.values()].filter(({ live }) => !live);
    const busy = this.#counters.busyServers(removed.map(({ slot }) => slot));
    const planned = plan(model, this.#health.health(), undefined, slots, busy);
    // A slot with a new owner has no connection, so its counters stand still until the publication.
    this.#counters.rebase(planned.taken);
    this.#engine.publish(encodeSnapshot(planned.snapshot));
    this.#planned = planned;
    return planned;
  }

  /** After a change of health. */
  #replan(): void {
    const before = new Set(this.#planned.warnings);
    const { warnings } = this.#publish(this.#loaded.model);
    for (const warning of warnings) if (!before.has(warning)) this.#log.warn(warning);
  }

  /** Says what is to be said at the end (omega), then ends forwarding and removes the socket. */
  async stop(): Promise<void> {
    const late = new Promise((done) => setTimeout(done, FAREWELL_MS).unref());
    await Promise.race([this.#health.stop(), late]);
    this.#close();
  }

  #close(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#watch);
    if (this.#server) {
      this.#server.close();
      this.#server.closeAllConnections();
      rmSync(this.#loaded.model.director.socket, { force: true });
    }
    this.#engine.stop();
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
      : serviceNames(this.#loaded.model, this.#planned).get(slot);
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

  #note(ok: boolean, summary: string): void {
    this.#lastReload = { at: new Date().toISOString(), ok, summary };
  }

  #handlers(): Handlers {
    return {
      services: () => this.#services(),
      ports: () => portReports(this.#loaded.model, this.#engine.ports(), this.#counters),
      drops: () => ({ ends: this.#counters.ends(), extra: this.#counters.extra() }),
      status: () => this.#status(),
      reload: () => this.reload(),
      connections: (query) => this.#connections(query),
    };
  }

  #services(): ServiceReport[] {
    const checks = this.#health.checksOf.bind(this.#health);
    return serviceReports(this.#loaded.model, this.#planned, this.#counters, checks);
  }

  #status(): StatusReport {
    const { model, file } = this.#loaded;
    const lag = this.#engine.workerLag();
    const connections = [...this.#planned.slots.servers.values()].reduce((sum, { slot }) => {
      const { active, inactive } = this.#counters.server(slot);
      return sum + active + inactive;
    }, 0);
    return {
      status: this.#stopped ? 'stopping' : 'ready',
      name: model.director.name,
      version: VERSION,
      dpdk: native().versions().dpdk,
      pid: process.pid,
      uptimeSeconds: Math.round((Date.now() - this.#started) / 1000),
      config: file,
      socket: model.director.socket,
      generation: this.#planned.snapshot.generation,
      counters: this.#source.kind,
      maxConnections: model.director.maxConnections * this.#cpus.length,
      connections,
      workers: this.#cpus.map((cpu, index) => ({ cpu, lagUs: Math.round(lag[index] ?? 0) })),
      lastReload: this.#lastReload,
    };
  }

  async *#connections(query: ConnectionQuery): AsyncGenerator<ConnectionReport> {
    const names = serviceNames(this.#loaded.model, this.#planned);
    const filter = {
      client: query.client === undefined ? undefined : clientAddress(query.client),
      services: query.service === undefined ? undefined : this.#serviceSlots(query.service),
    };
    const read = this.#engine.connections.bind(this.#engine);
    let count = 0;
    for await (const connection of listConnections(read, this.#cpus.length, filter)) {
      yield { ...connection, service: names.get(connection.serviceSlot) ?? null };
      count++;
      if (query.limit > 0 && count >= query.limit) return;
    }
  }

  #serviceSlots(wanted: string): Set<number> {
    const { services } = this.#planned.slots;
    const matches = this.#loaded.model.services.filter(({ name, listen, protocol }) =>
      [name, formatEndpoint(listen), `${protocol} ${formatEndpoint(listen)}`].includes(wanted),
    );
    if (matches.length === 0) {
      throw new SluiceError('ERR_API', `no service is called or listens on ${wanted}`);
    }
    return new Set(
      matches.flatMap(({ protocol, listen }) => {
        const entry = services.get(`${protocol} ${formatEndpoint(listen)}`);
        return entry ? [entry.slot] : [];
      }),
    );
  }
}

function clientAddress(text: string): string {
  const parsed = parseIPv4(text);
  if ('value' in parsed) return parsed.value;
  throw new SluiceError('ERR_API', `client ${text} is not an IPv4 address`);
}

function requireDevices(loaded: Loaded): void {
  const problems = loaded.model.ports.flatMap(({ device, name }, index) =>
    device
      ? []
      : [
          {
            severity: 'error' as const,
            code: 'ERR_CONFIG_MISSING',
            place: loaded.locate(['ports', index]),
            path: `ports[${index}].device`,
            message: `missing: port ${name} of a running director needs one, expected such as net_af_packet0,iface=eth1`,
          },
        ],
  );
  if (problems.length > 0) throw new ConfigError(loaded.file, problems);
}

function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCpuList(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0');
}

/** EAL's own message about missing hugepages says neither how many nor what to do. */
function requireHugepages({ model, locate }: Loaded): void {
  if (!model.director.hugepages) return;
  const meminfo = readFileSync('/proc/meminfo', 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(meminfo)?.[1]);
  const free = (field('HugePages_Free') * field('Hugepagesize')) / 1024;
  if (Number.isNaN(free) || free >= model.director.memory) return;
  const pages = Math.ceil((model.director.memory * 1024) / field('Hugepagesize'));
  throw new SluiceError(
    'ERR_HUGEPAGES',
    `director.memory is ${model.director.memory} MiB, but ${free} MiB of hugepages are free: ` +
      `reserve them (sysctl vm.nr_hugepages=${pages}) or set director.hugepages: false`,
    { place: locate(['director', 'memory']) },
  );
}
