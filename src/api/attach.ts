/**
 * A running director as live objects, for the REPL and for programs:
 *
 *   import { attach } from 'sluice';
 *   const director = await attach('/run/sluice/d1.sock');
 *   console.log(await director.services);
 *
 * Each property asks the director anew. What comes back is plain data that prints as a listing.
 */
import { inspect } from 'node:util';
import {
  CONNECTION_HEADER,
  connectionLine,
  formatDrops,
  formatPorts,
  formatServices,
  formatStatus,
} from '../cli/format.js';
import { type ConnectionFilters, ControlClient } from './client.js';
import type {
  ConnectionReport,
  DropsReport,
  PortReport,
  ReloadReport,
  ServiceReport,
  StatusReport,
} from './types.js';

const CONNECTIONS_SHOWN = 1_000;

export async function attach(socket: string): Promise<RunningDirector> {
  const client = new ControlClient(socket);
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
    return Promise.all([this.#client.services(), this.#client.status()]).then(
      ([services, status]) => shown(services, () => formatServices(services, status)),
    );
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

  reload(): Promise<ReloadReport> {
    return this.#client.reload();
  }

  [inspect.custom](): string {
    return (
      `director ${this.name} on ${this.#client.socket}\n` +
      '  .services  .ports  .counters  .drops  .status\n' +
      '  .connections({ client, service, limit })  .eachConnection({ … })  .reload()'
    );
  }
}

/** The same data, but `console.log` and the REPL print `text`. */
function shown<T extends object>(value: T, text: () => string): T {
  return Object.defineProperty(value, inspect.custom, { value: text, enumerable: false });
}
