/**
 * What metrics say of services and servers, each figure read when its line is written: a scrape of
 * a hundred thousand servers holds none of them, and two at once take no more memory than one.
 */
import type { ServerReport, ServiceReport } from '../api/types.js';
import type { Model, ServerModel, ServiceModel } from '../config/model.js';
import type { Planned } from '../plan.js';
import type { CounterView } from './counters.js';
import { inEffect, partAt } from './effect.js';

type Traffic = 'conns' | 'inPkts' | 'outPkts' | 'inBytes' | 'outBytes';
type Ends = 'active' | 'inactive';

export type MeasuredServer = Readonly<
  Pick<ServerReport, 'address' | 'port' | 'mode' | 'weight' | 'up' | Traffic | Ends>
>;
export type MeasuredService = Readonly<
  Pick<ServiceReport, 'name' | 'protocol' | 'address' | 'port' | Traffic>
> & { readonly servers: Iterable<MeasuredServer> };

type Readers<Name extends string> = Readonly<Record<Name, (slot: number) => number>>;

function readers(counters: CounterView, kind: 'services' | 'servers'): Readers<Traffic> {
  return {
    conns: counters.reader(kind, 'conns'),
    inPkts: counters.reader(kind, 'inPkts'),
    outPkts: counters.reader(kind, 'outPkts'),
    inBytes: counters.reader(kind, 'inBytes'),
    outBytes: counters.reader(kind, 'outBytes'),
  };
}

class Counted<Name extends string> {
  protected readonly slot: number;
  protected readonly read: Readers<Traffic | Name>;

  constructor(slot: number, read: Readers<Traffic | Name>) {
    this.slot = slot;
    this.read = read;
  }

  get conns(): number {
    return this.read.conns(this.slot);
  }

  get inPkts(): number {
    return this.read.inPkts(this.slot);
  }

  get outPkts(): number {
    return this.read.outPkts(this.slot);
  }

  get inBytes(): number {
    return this.read.inBytes(this.slot);
  }

  get outBytes(): number {
    return this.read.outBytes(this.slot);
  }
}

class Server extends Counted<Ends> implements MeasuredServer {
  readonly address: string;
  readonly port: number;
  readonly mode: MeasuredServer['mode'];
  readonly weight: number;
  readonly up: boolean;

  constructor(
    { address, mode, weight }: ServerModel,
    slot: number,
    now: { up: boolean; weight: number } | undefined,
    read: Readers<Traffic | Ends>,
  ) {
    super(slot, read);
    this.address = address.address;
    this.port = address.port;
    this.mode = mode;
    this.weight = now?.weight ?? weight;
    this.up = now?.up ?? true;
  }

  get active(): number {
    return this.read.active(this.slot);
  }

  get inactive(): number {
    return this.read.inactive(this.slot);
  }
}

class Service extends Counted<never> implements MeasuredService {
  readonly name: string;
  readonly protocol: MeasuredService['protocol'];
  readonly address: string;
  readonly port: number;
  readonly servers: Iterable<MeasuredServer>;

  constructor(
    { name, protocol, listen }: ServiceModel,
    slot: number,
    read: Readers<Traffic>,
    servers: Iterable<MeasuredServer>,
  ) {
    super(slot, read);
    this.name = name;
    this.protocol = protocol;
    this.address = listen.address;
    this.port = listen.port;
    this.servers = servers;
  }
}

/** To be gone through any number of times. What is published meanwhile does not change it. */
export function measured(
  { services }: Model,
  planned: Planned,
  counters: CounterView,
): Iterable<MeasuredService> {
  const ofService = readers(counters, 'services');
  const ofServer: Readers<Traffic | Ends> = {
    ...readers(counters, 'servers'),
    active: counters.reader('servers', 'active'),
    inactive: counters.reader('servers', 'inactive'),
  };
  return again(function* () {
    for (const [index, service] of services.entries()) {
      const part = partAt(planned, index);
      const now = inEffect(part);
      const servers = again(function* () {
        for (const [at, server] of service.servers.entries()) {
          yield new Server(server, part.servers[at]?.slot as number, now(at), ofServer);
        }
      });
      yield new Service(service, part.service.slot, ofService, servers);
    }
  });
}

const again = <T>(each: () => Iterator<T>): Iterable<T> => ({ [Symbol.iterator]: each });
