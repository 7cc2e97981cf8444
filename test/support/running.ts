/**
 * A director whose workers are a replay: the real transactions, control socket and ipvsadm, with
 * packets by hand and without a device. The clock stands still unless `run` or `advance` move it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ControlClient } from '../../src/api/client.js';
import { serve } from '../../src/api/server.js';
import { loadConfig } from '../../src/config/load.js';
import { Control, type ControlParts } from '../../src/control.js';
import { limits, replayPorts } from '../../src/engine-options.js';
import { SluiceError } from '../../src/errors.js';
import { Names } from '../../src/ipvsadm/names.js';
import { ipvsadm } from '../../src/ipvsadm/run.js';
import { createLogger } from '../../src/log.js';
import { native, type PortStatus, type Replay } from '../../src/native.js';
import { CounterView } from '../../src/stats/counters.js';
import { RateView } from '../../src/stats/rates.js';
import { Sync } from '../../src/sync/feature.js';
import { Transactions } from '../../src/transaction.js';

export interface Ran {
  status: number;
  out: string;
  error: string;
}

/** A driver's figures, made up: a replay has no devices. */
const portStatus = (name: string): PortStatus => ({
  name,
  device: 'replay',
  mac: '02:00:00:00:01:01',
  mtu: 1500,
  up: true,
  twin: '',
  rxPackets: 0,
  txPackets: 0,
  rxBytes: 0,
  txBytes: 0,
  rxMissed: 0,
  txErrors: 0,
  rxNoMbuf: 0,
});

/** Those of the User-Mode-Linux guest. */
const SYNC_INTERFACES = ['lo', 'vec0', 'vec1'];

const STEP_NS = 1_000_000n;

export class RunningReplay {
  readonly folder = mkdtempSync(join(tmpdir(), 'sluice-running-'));
  readonly file = join(this.folder, 'director.yaml');
  readonly socket = join(this.folder, 'sluice.sock');
  readonly replay: Replay;
  readonly running: Transactions;
  readonly control: Control;
  readonly sync: Sync;
  readonly counters: CounterView;
  readonly rates: RateView;
  readonly client = new ControlClient(this.socket);
  /** What a publication throws. */
  failure: Error | undefined;
  /** What a reload does besides. */
  prepare: ControlParts['prepare'];
  /** Another process takes over; what was asked for. */
  readonly upgrades: Parameters<NonNullable<ControlParts['upgrade']>>[0][] = [];
  readonly #names: Names;
  readonly #ports: string[];
  #server: Server | undefined;
  #now = 1_000_000_000_000n;
  /** A copy that holds until the next packet. */
  #counted: BigUint64Array | undefined;

  constructor(text: string, names: Names = new Names('', '')) {
    this.#names = names;
    writeFileSync(this.file, text);
    const loaded = loadConfig(this.file);
    const { model } = loaded;
    this.#ports = model.ports.map(({ name }) => name);
    const ports = replayPorts(model, (index) => loaded.locate(['ports', index]));
    this.replay = native().createReplay({ ports, limits: limits(model), seed: 1, burst: 1 });
    this.replay.advance(this.#now);
    const layout = native().counterLayout(1, ports.length, limits(model));
    this.counters = new CounterView(layout, () => {
      this.#counted ??= this.replay.counters();
      return this.#counted;
    });
    this.rates = new RateView(this.counters);
    this.running = new Transactions(loaded, {
      publish: (snapshot) => {
        if (this.failure) throw this.failure;
        this.replay.publish(snapshot);
      },
      counters: this.counters,
      rates: this.rates,
      others: { edits: () => this.sync.edits(), discard: () => this.sync.discard() },
    });
    const log = createLogger({ level: 'error' });
    log.silent = true;
    this.sync = new Sync(this.#syncEngine(), log);
    this.control = new Control({
      sync: this.sync,
      running: this.running,
      counters: this.counters,
      rates: this.rates,
      engine: {
        connections: async (worker, cursor, limit) =>
          this.replay.connections(worker, cursor, limit),
        ports: () => this.#ports.map(portStatus),
        workerLag: () => new Float64Array(1),
        watchStart: (options) => this.replay.watchStart(options),
        watchRead: (watch) => this.replay.watchRead(watch),
        watchStop: (watch) => this.replay.watchStop(watch),
      },
      vrrp: () => ({ instances: [], groups: [] }),
      source: 'copy',
      cpus: [0],
      log,
      isStopping: () => false,
      prepare: (next) => this.prepare?.(next) ?? (() => {}),
      upgrade: async (request) => {
        this.upgrades.push(request);
        throw new SluiceError('ERR_UPGRADE_FAILED', 'there is no other process');
      },
    });
    this.running.start();
  }

  /** A sync thread without a socket, on a machine that has the interfaces of SYNC_INTERFACES. */
  #syncEngine(): ConstructorParameters<typeof Sync>[0] {
    let on = false;
    return {
      startSync: ({ interface: name }) => {
        if (!SYNC_INTERFACES.includes(name)) {
          const message = `there is no interface ${name}`;
          throw Object.assign(new Error(message), { code: 'ERR_SYNC_INTERFACE' });
        }
        on = true;
      },
      stopSync: () => {
        on = false;
      },
      sync: () => (on ? {} : null),
    };
  }

  async open(): Promise<this> {
    this.#server = await serve(this.socket, this.control, (error) => {
      throw error;
    });
    return this;
  }

  write(text: string): void {
    writeFileSync(this.file, text);
  }

  async ipvsadm(words: readonly string[], input = ''): Promise<Ran> {
    const ran: Ran = { status: 0, out: '', error: '' };
    ran.status = await ipvsadm(words, {
      client: this.client,
      names: this.#names,
      out: (text) => {
        ran.out += text;
      },
      error: (text) => {
        ran.error += text;
      },
      input: async () => input,
    });
    return ran;
  }

  /** One frame into a port; how many left, anywhere. */
  send(port: string, bytes: Uint8Array): number {
    this.#now += STEP_NS;
    this.#counted = undefined;
    const result = this.replay.run({
      bytes,
      offsets: Uint32Array.of(0, bytes.length),
      times: BigUint64Array.of(this.#now),
      ports: Uint8Array.of(this.#ports.indexOf(port)),
    });
    return result.ports.length;
  }

  /** Seconds pass. */
  advance(seconds: number): void {
    this.#now += BigInt(seconds) * 1_000_000_000n;
    this.#counted = undefined;
    this.replay.advance(this.#now);
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.replay.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
