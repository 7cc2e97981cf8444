/** Reads a running director's figures once a second, and logs what begins and what ends. */
import type { Logger } from '../log.js';
import type { Engine } from '../native.js';
import type { CounterView } from '../stats/counters.js';
import { type Alert, Alerts, type AlertThresholds, loads, type Reading } from './alerts.js';

/** Ends of packets that a full ring or queue has cost. */
const RINGS = ['hand_off_full', 'punt_full', 'transmit_full'];
const PROTOCOLS: Record<number, string> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

export class AlertWatch {
  readonly #alerts = new Alerts();
  readonly #log: Logger;
  readonly #engine: Pick<Engine, 'gauges'>;
  readonly #counters: CounterView;
  readonly #settings: () => { thresholds: AlertThresholds; maxConnections: number };
  #last: Reading | undefined;
  #loads: number[] = [];

  constructor(
    log: Logger,
    engine: Pick<Engine, 'gauges'>,
    counters: CounterView,
    settings: () => { thresholds: AlertThresholds; maxConnections: number },
  ) {
    this.#log = log;
    this.#engine = engine;
    this.#counters = counters;
    this.#settings = settings;
  }

  get raised(): Alert[] {
    return this.#alerts.raised;
  }

  /** Percent of each worker's time, of the last second. */
  get loads(): number[] {
    return this.#loads;
  }

  /** To be called every second. */
  look(): void {
    const { thresholds, maxConnections } = this.#settings();
    const reading = this.#read(maxConnections);
    this.#loads = loads(reading, this.#last);
    this.#last = reading;
    for (const { alert, begins } of this.#alerts.take(reading, thresholds)) {
      const { code, message } = alert;
      if (begins) this.#log.warn(message, { code });
      else this.#log.info(`no more: ${message}`, { code });
    }
  }

  #read(maxConnections: number): Reading {
    const { mbufs, mbufsInUse, localPorts } = this.#engine.gauges();
    const connections = this.#counters.byWorker('connections');
    const received = this.#counters.byWorker('received');
    const cycles = this.#counters.byWorker('cycles');
    const busy = this.#counters.byWorker('busy_cycles');
    const ends = new Map(this.#counters.ends().map(({ name, count }) => [name, count]));
    return {
      at: performance.now(),
      maxConnections,
      mbufs,
      mbufsInUse,
      lost: Object.fromEntries(RINGS.map((name) => [name, ends.get(name) ?? 0])),
      workers: localPorts.map(({ used, ports, local, server, serverPort, protocol }, index) => ({
        connections: connections[index] ?? 0,
        received: received[index] ?? 0,
        cycles: cycles[index] ?? 0,
        busyCycles: busy[index] ?? 0,
        ports: {
          set: `${local.join('.')} towards ${PROTOCOLS[protocol] ?? ''} ${server.join('.')}:${serverPort}`,
          used,
          all: ports,
        },
      })),
    };
  }
}
