/**
 * A running director as live objects, for the REPL and for programs:
 *
 *   import { attach } from 'sluice';
 *   const director = await attach('/run/sluice/d1.sock');
 *   console.log(await director.services);
 *   await director.drain('web', '198.51.100.11');
 *
 * Each property asks the director anew: another process cannot look into its counters' memory. What
 * comes back is plain data that prints as a listing.
 */
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { formatExplanation } from '../cli/explain.js';
import {
  CONNECTION_HEADER,
  connectionLine,
  formatDrops,
  formatPorts,
  formatServices,
  formatStatus,
} from '../cli/format.js';
import { doneText, formatChange, formatDiffReport, formatHistory } from '../cli/format-changes.js';
import { formatHealth } from '../cli/format-health.js';
import { targetOf } from '../cli/options.js';
import { CLIENTS_HEADER, type ClientReport, clientLine } from '../clients.js';
import { parseWideEndpoint } from '../config/address.js';
import type { EditPolicy } from '../edits/policies.js';
import { SluiceError } from '../errors.js';
import type { Explanation, Flow } from '../explain.js';
import type { Edit, ServerSettings } from '../model-edit.js';
import { type ConnectionFilters, ControlClient } from './client.js';
import type { Remote, Target } from './target.js';
import { findService, findTargets, serviceId, targetId } from './targets.js';
import type {
  ConnectionReport,
  DiffReport,
  DropsReport,
  EditReport,
  HistoryReport,
  PortReport,
  ReloadReport,
  ServiceReport,
  StatusReport,
} from './types.js';

const CONNECTIONS_SHOWN = 1_000;

/**
 * By a control socket, or from afar by `https://host:port` and a token. The default is what `sluice`
 * takes, too: $SLUICE_DIRECTOR, $SLUICE_SOCKET, or /run/sluice/sluice.sock.
 */
export async function attach(
  where?: string,
  secrets: Pick<Remote, 'token' | 'ca'> = {},
): Promise<RunningDirector> {
  const isUrl = where !== undefined && /^https?:\/\//.test(where);
  return attachTo(isUrl ? { url: where, ...secrets } : targetOf({ socket: where }));
}

export async function attachTo(target: Target): Promise<RunningDirector> {
  const client = new ControlClient(target);
  const status = await client.status();
  return new RunningDirector(client, status.name);
}

export class RunningDirector {
  readonly #client: ControlClient;
  readonly name: string;

  constructor(client: ControlClient, name: string) {
    this.#client = client;
    this.name = name;
  }

  get services(): Promise<ServiceReport[]> {
    return this.#services((all) => all);
  }

  get health(): Promise<ServiceReport[]> {
    return this.#client.services().then((all) => shown(all, () => formatHealth(all)));
  }

  /** By its name, `address:port` or `udp address:port`. */
  service(name: string): Promise<ServiceReport> {
    return this.#services((all) => [findService(all, name)]).then((found) => {
      const text = inspect(found);
      return shown(found[0] as ServiceReport, () => text);
    });
  }

  get ports(): Promise<PortReport[]> {
    return this.#client.ports().then((ports) => shown(ports, () => formatPorts(ports)));
  }

  /** Where packets ended, and all else that is counted, by name. */
  get counters(): Promise<Record<string, number>> {
    return this.#client.drops().then(({ ends, extra }) => ({
      ...Object.fromEntries(ends.map(({ name, count }) => [name, count])),
      ...extra,
    }));
  }

  get drops(): Promise<DropsReport> {
    return this.#client.drops().then((drops) => shown(drops, () => formatDrops(drops, false)));
  }

  get status(): Promise<StatusReport> {
    return this.#client.status().then((status) => shown(status, () => formatStatus(status)));
  }

  /** Generations to roll back to. */
  get history(): Promise<HistoryReport[]> {
    return this.#client.history().then((all) => shown(all, () => formatHistory(all)));
  }

  /** The first 1000, unless `limit` says otherwise (0: all). */
  async connections(filters: ConnectionFilters = {}): Promise<ConnectionReport[]> {
    const found: ConnectionReport[] = [];
    const limit = filters.limit ?? CONNECTIONS_SHOWN;
    for await (const one of this.#client.connections({ ...filters, limit })) found.push(one);
    const text = () => [CONNECTION_HEADER, ...found.map(connectionLine)].join('\n');
    return shown(found, text);
  }

  /** One at a time: for listings of any size. */
  eachConnection(filters: ConnectionFilters = {}): AsyncGenerator<ConnectionReport> {
    return this.#client.connections(filters);
  }

  /** Whom services allow and deny; of one, by its name or address:port. */
  async clients(service?: string): Promise<ClientReport[]> {
    const found: ClientReport[] = [];
    for await (const one of this.#client.clients(service)) found.push(one);
    return shown(found, () => [CLIENTS_HEADER, ...found.map(clientLine)].join('\n'));
  }

  /** Where a packet would go, and why. Both are `address:port`. */
  async explain(
    from: string,
    to: string,
    protocol: Flow['protocol'] = 'tcp',
  ): Promise<Explanation> {
    const explanation = await this.#client.explain({ from, to, protocol });
    return shown(explanation, () => formatExplanation(explanation));
  }

  /** No new connections; `service` may be 'all'. */
  drain(service: string, server: string): Promise<EditReport> {
    return this.#each(service, server, `drain ${service} ${server}`, (id) => ({
      edit: 'drainServer',
      ...id,
    }));
  }

  undrain(service: string, server: string): Promise<EditReport> {
    return this.#each(service, server, `undrain ${service} ${server}`, (id) => ({
      edit: 'undrainServer',
      ...id,
    }));
  }

  weight(service: string, server: string, weight: number): Promise<EditReport> {
    return this.#each(service, server, `weight ${weight} ${service} ${server}`, (id) => ({
      edit: 'setWeight',
      ...id,
      weight,
    }));
  }

  /** `server` is `address:port`; its mode that of the service's other servers unless given. */
  async addServer(
    service: string,
    server: string,
    settings: Partial<ServerSettings> = {},
  ): Promise<EditReport> {
    const found = findService(await this.#client.services(), service);
    const parsed = parseWideEndpoint(server);
    if ('fault' in parsed) {
      const message = `server is ${JSON.stringify(server)}, expected an address and port`;
      throw new SluiceError('ERR_API', message);
    }
    const mode = settings.mode ?? found.servers[0]?.mode;
    if (!mode) {
      throw new SluiceError(
        'ERR_API',
        `${found.name} has no servers yet: give a mode, { mode: … }`,
      );
    }
    const defaults = { weight: 1, upperThreshold: 0, lowerThreshold: 0 };
    return this.edit(`add server ${server} to ${service}`, {
      edit: 'addServer',
      service: serviceId(found),
      server: parsed.value,
      settings: { ...defaults, ...settings, mode },
    });
  }

  removeServer(service: string, server: string): Promise<EditReport> {
    return this.#each(service, server, `remove server ${server} of ${service}`, (id) => ({
      edit: 'removeServer',
      ...id,
    }));
  }

  /** Any edits of the API, all or none; `cause` shows in the history. */
  async edit(cause: string, ...edits: Edit[]): Promise<EditReport> {
    const report = await this.#client.edit({ edits, cause });
    return shown(report, () =>
      report.changes.length === 0
        ? report.summary
        : `generation ${report.generation}:${doneText(report)}`,
    );
  }

  /** What a file (the running one unless given) would change, and what was edited since. */
  async diff(file?: string): Promise<DiffReport> {
    const report = await this.#client.diff(file && resolve(file));
    return shown(report, () => formatDiffReport(report));
  }

  /** Runs a file from now on. `edits`: what becomes of run-time edits. */
  apply(file: string, edits: EditPolicy = 'refuse'): Promise<ReloadReport> {
    return this.#reload({ file: resolve(file), edits, cause: 'apply' }, 'applied');
  }

  /** Reads the running file again. */
  reload(edits: EditPolicy = 'refuse'): Promise<ReloadReport> {
    return this.#reload({ edits, cause: 'reload' }, 'reloaded');
  }

  /** To a generation of the history; the last one before the present unless given. */
  async rollback(generation?: number): Promise<ReloadReport> {
    const report = await this.#client.rollback(generation);
    return shown(report, () => withWarnings(report, 'rolled back'));
  }

  [inspect.custom](): string {
    return [
      `director ${this.name} on ${this.#client.where}`,
      '  .services  .health  .ports  .counters  .drops  .status  .history',
      "  .service('web')  .connections({ client, service, limit })  .eachConnection({ … })  .clients('web')",
      "  .explain('192.0.2.7:40000', '203.0.113.10:80')",
      "  .drain('web', '198.51.100.11')  .undrain(…)  .weight('web', '198.51.100.11', 5)",
      "  .addServer('web', '198.51.100.13:80', { weight: 2 })  .removeServer(…)  .edit(cause, …)",
      "  .diff('new.yaml')  .apply('new.yaml')  .reload()  .rollback(generation)",
    ].join('\n');
  }

  async #services(choose: (all: ServiceReport[]) => ServiceReport[]): Promise<ServiceReport[]> {
    const [services, status] = await Promise.all([this.#client.services(), this.#client.status()]);
    const chosen = choose(services);
    return shown(chosen, () => formatServices(chosen, status));
  }

  async #each(
    service: string,
    server: string,
    cause: string,
    make: (id: ReturnType<typeof targetId>) => Edit,
  ): Promise<EditReport> {
    const targets = findTargets(await this.#client.services(), service, server);
    return this.edit(cause, ...targets.map((target) => make(targetId(target))));
  }

  async #reload(
    request: { file?: string; edits: EditPolicy; cause: string },
    what: string,
  ): Promise<ReloadReport> {
    const report = await this.#client.reload(request);
    return shown(report, () => withWarnings(report, what));
  }
}

function withWarnings(report: ReloadReport, what: string): string {
  return [...report.warnings, formatChange(report, what)].join('\n');
}

/** The same data, but `console.log` and the REPL print `text`. */
function shown<T extends object>(value: T, text: () => string): T {
  return Object.defineProperty(value, inspect.custom, { value: text, enumerable: false });
}
