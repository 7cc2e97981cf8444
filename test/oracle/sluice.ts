// Puts one scenario through Sluice: the real worker code, as `sluice replay` runs it.

import { parseConfig } from '../../src/config/load.js';
import type { Model, ServiceModel } from '../../src/config/model.js';
import { ConnectionView } from '../../src/connections.js';
import { limits, replayPorts } from '../../src/engine-options.js';
import {
  type CounterGroup,
  type CounterLayout,
  native,
  type Replay,
  VERDICT_WORDS,
} from '../../src/native.js';
import { NO_SLOTS, plan, type Slots, serverKey, serviceKey } from '../../src/plan.js';
import { encodeSnapshot } from '../../src/snapshot.js';
import {
  isFrame,
  type Listing,
  type Outcome,
  type Sent,
  type Statistics,
  sortedListing,
} from './outcome.js';
import type { Scenario, Scene } from './scene.js';
import { endpoint, endpointOf, type Service } from './services.js';
import { topology, topology6 } from './topology.js';
import type { Frame } from './uml.js';

const PORTS = ['front', 'back'] as const;
const TWIN = 0x80;
/** Virtual time between two frames. */
const STEP_NS = 1_000_000n;

/** JSON is YAML: the same configuration a user would write. */
function configuration(scene: Scene, scenario: Scenario, services: Service[]): string {
  return JSON.stringify({
    director: { name: 'oracle', maxConnections: 4096 },
    ports: PORTS.map((name) => ({
      name,
      mac: topology[name].mac,
      mtu: scenario.mtu?.[name] ?? 1500,
      addresses: [topology[name].address, ...(scenario.six ? [topology6[name]] : [])],
    })),
    routes: [...topology.routes, ...(scenario.six ? topology6.routes : [])],
    neighbours: [...topology.neighbours, ...(scenario.six ? topology6.neighbours : [])],
    services: services.map((service) => ({
      name: `${service.protocol}-${service.port}`,
      listen: endpoint(scene.vip, service.port),
      protocol: service.protocol,
      mode: service.mode,
      tunnel: service.tunnel && { ...service.tunnel, port: service.tunnel.port || undefined },
      scheduler: service.scheduler ?? 'rr',
      schedulePort: service.schedulePort ?? false,
      scheduleFallback: service.scheduleFallback ?? false,
      onePacket: service.onePacket ?? false,
      persistence: service.persistence && {
        ...service.persistence,
        ...(service.six && { netmask: Number(service.persistence.netmask ?? 128) }),
      },
      onServerRemoved: scenario.resetOnServerRemoved ? 'reset' : 'drop',
      servers: service.servers.map((server) => ({
        address: endpointOf(service, server),
        weight: server.weight ?? 1,
      })),
    })),
  });
}

export function runSluice(
  scenario: Scenario,
  scene: Scene,
): { outcomes: Outcome[]; statistics: Statistics } {
  const director = new Director(scenario, scene);
  try {
    return { outcomes: director.run(), statistics: director.statistics() };
  } finally {
    director.close();
  }
}

class Director {
  readonly #scenario: Scenario;
  readonly #scene: Scene;
  #services: Service[] = [];
  #model: Model;
  #slots: Slots = NO_SLOTS;
  #replay: Replay;
  #layout: CounterLayout;
  #now = 1_000_000_000_000n;

  constructor(scenario: Scenario, scene: Scene) {
    this.#scenario = scenario;
    this.#scene = scene;
    this.#model = this.#load(scenario.services);
    const ports = replayPorts(this.#model, () => ({ file: 'oracle.yaml', line: 1, column: 1 }));
    this.#layout = native().counterLayout(1, ports.length, limits(this.#model));
    this.#replay = native().createReplay({ ports, limits: limits(this.#model), seed: 1, burst: 1 });
  }

  run(): Outcome[] {
    this.#publish();
    return this.#scenario.steps(this.#scene).map((step): Outcome => {
      if (isFrame(step)) return { input: step, ...this.#send(step) };
      if (step === 'listing') return { listing: this.#listing() };
      this.#model = this.#load(step.services);
      this.#publish();
      return { services: step.services };
    });
  }

  close(): void {
    this.#replay.close();
  }

  #load(services: Service[]): Model {
    this.#services = services;
    const text = configuration(this.#scene, this.#scenario, services);
    return parseConfig(text, 'oracle.yaml').model;
  }

  #publish(): void {
    const busy = new Set([...this.#connections()].map((connection) => connection.serverSlot));
    const planned = plan(this.#model, undefined, undefined, this.#slots, busy);
    this.#slots = planned.slots;
    this.#replay.publish(encodeSnapshot(planned.snapshot));
  }

  #send(frame: Frame): { sent: Sent[]; end: string } {
    this.#now += STEP_NS;
    const result = this.#replay.run({
      bytes: frame.bytes,
      offsets: Uint32Array.of(0, frame.bytes.length),
      times: BigUint64Array.of(this.#now),
      ports: Uint8Array.of(PORTS.indexOf(frame.port)),
    });
    const sent = Array.from(result.ports, (port, index): Sent => {
      const name = PORTS[port & ~TWIN] ?? 'front';
      return {
        port: port & TWIN ? 'kernel' : name,
        bytes: result.bytes.slice(result.offsets[index], result.offsets[index + 1]),
      };
    });
    const [, , end = -1] = result.verdicts.subarray(0, VERDICT_WORDS);
    return { sent, end: this.#layout.ends.names[end] ?? 'none' };
  }

  *#connections() {
    let cursor = 0;
    do {
      const page = this.#replay.connections(0, cursor, 1024);
      yield* new ConnectionView(page.records, 0);
      cursor = page.cursor;
    } while (cursor !== 0);
  }

  #listing(): Listing {
    const found = [...this.#connections()].map((one): [string, number] => [
      [
        one.protocol.toUpperCase(),
        `${one.client}:${one.clientPort}`,
        `${one.virtual}:${one.virtualPort}`,
        `${one.server}:${one.serverPort}`,
        one.state,
        ...(one.engine ? [one.engine, one.engineData] : []),
      ].join(' '),
      one.timeoutMs / 1000,
    ]);
    const counts: Listing['counts'] = {};
    const read = this.#reader(this.#layout.servers);
    for (const { key, slot } of this.#servers()) {
      counts[key] = [read(slot, 'active'), read(slot, 'inactive')];
    }
    return sortedListing(found, counts);
  }

  statistics(): Statistics {
    const result: Statistics = {};
    const words = ['conns', 'inPkts', 'outPkts', 'inBytes', 'outBytes'];
    const service = this.#reader(this.#layout.services);
    for (const one of this.#model.services) {
      const slot = this.#slots.services.get(serviceKey(one))?.slot ?? 0;
      result[nameOf(one)] = words.map((word) => service(slot, word));
    }
    const server = this.#reader(this.#layout.servers);
    for (const { key, slot } of this.#servers()) {
      result[key] = words.map((word) => server(slot, word));
    }
    return result;
  }

  #servers(): { key: string; slot: number }[] {
    return this.#model.services.flatMap((service) =>
      service.servers.map((server) => ({
        key: `${nameOf(service)} ${server.address.address}:${server.address.port}`,
        slot: this.#slots.servers.get(serverKey(service, server))?.slot ?? 0,
      })),
    );
  }

  #reader({ offset, stride, names }: CounterGroup): (slot: number, name: string) => number {
    const words = this.#replay.counters();
    return (slot, name) => Number(words[offset + slot * stride + names.indexOf(name)]);
  }
}

const nameOf = ({ protocol, listen }: ServiceModel) =>
  `${protocol.toUpperCase()} ${listen.address}:${listen.port}`;
