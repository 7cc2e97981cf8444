/** The engine's worker under a virtual clock, frame by frame: what went in, what became of it. */

import { type Connection, ConnectionView } from '../../src/connections.js';
import {
  type CounterLayout,
  type Distribution,
  type Limits,
  MODES,
  type Mode,
  native,
  type Replay,
  type SyncFigures,
  type SyncSettings,
  VERDICT_KINDS,
  VERDICT_WORDS,
  type VerdictKind,
} from '../../src/native.js';
import { encodeSnapshot, type Snapshot } from '../../src/snapshot.js';
import { concat, mac } from './bytes.js';
import type { ModelPort } from './model/fib.js';
import type { Output } from './model/verdicts.js';
import type { World } from './world.js';

/** The virtual clock starts here: 2026-01-01T00:00:00Z. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

export interface Arriving {
  port: number;
  frame: Uint8Array;
}

export interface Step {
  kind: VerdictKind;
  end: string;
  mode?: Mode;
  service?: number;
  server?: number;
  outPort?: number;
  outputs: Output[];
}

export interface BenchOptions {
  burst?: number;
  seed?: number;
  workers?: number;
  distribution?: Distribution;
  limits?: Partial<Limits>;
  portHalf?: 0 | 1;
}

export class Bench {
  readonly limits: Limits;
  readonly layout: CounterLayout;
  private readonly replay: Replay;
  private readonly workers: number;
  /** What left for no packet's sake, as when a timer has run out; whoever expects it takes it out. */
  readonly unasked: Output[] = [];

  constructor(world: World, options: BenchOptions = {}) {
    this.limits = { maxConnections: 16384, maxServices: 64, maxServers: 256, ...options.limits };
    this.workers = options.workers ?? 1;
    this.replay = native().createReplay({
      ports: world.ports.map((port, index) => portOptions(port, index)),
      limits: this.limits,
      seed: options.seed ?? 1,
      burst: options.burst ?? 1,
      ...(this.workers > 1 ? { workers: this.workers } : {}),
      ...(options.distribution ? { distribution: options.distribution } : {}),
      ...(options.portHalf !== undefined ? { portHalf: options.portHalf } : {}),
    });
    this.layout = native().counterLayout(this.workers, world.ports.length, this.limits);
    this.publish(world.snapshot);
  }

  publish(snapshot: Snapshot): void {
    this.replay.publish(encodeSnapshot(snapshot));
  }

  /** Gives all frames to the worker at one time; a step for each. */
  run(arriving: Arriving[], atMs: number): Step[] {
    const offsets = new Uint32Array(arriving.length + 1);
    arriving.forEach(({ frame }, index) => {
      offsets[index + 1] = (offsets[index] as number) + frame.length;
    });
    const result = this.replay.run({
      bytes: concat(...arriving.map(({ frame }) => frame)),
      offsets,
      times: new BigUint64Array(arriving.length).fill(toNs(atMs)),
      ports: Uint8Array.from(arriving, ({ port }) => port),
    });
    const steps: Step[] = arriving.map(() => ({ kind: 'dropped', end: '', outputs: [] }));
    for (let at = 0; at < result.verdicts.length; at += VERDICT_WORDS) {
      const [input, kind, end, mode, service, server, outPort] = result.verdicts.subarray(
        at,
        at + 8,
      );
      const step = steps[input as number];
      if (step?.end !== '') throw new Error(`verdict for frame ${input}, twice or unasked`);
      step.kind = VERDICT_KINDS[kind as number] as VerdictKind;
      step.end = this.layout.ends.names[end as number] as string;
      if ((mode as number) >= 0) step.mode = MODES[mode as number];
      if ((service as number) >= 0) step.service = service;
      if ((server as number) >= 0) step.server = server;
      if ((outPort as number) >= 0) step.outPort = outPort;
    }
    const missing = steps.findIndex((step) => step.end === '');
    if (missing >= 0) throw new Error(`no verdict for frame ${missing}`);
    result.sources.forEach((source, index) => {
      const port = result.ports[index] as number;
      const outputs = source < 0 ? this.unasked : steps[source]?.outputs;
      outputs?.push({
        port: port & 0x7f,
        tap: (port & 0x80) !== 0,
        bytes: result.bytes.slice(result.offsets[index], result.offsets[index + 1]),
      });
    });
    return steps;
  }

  advance(atMs: number): void {
    this.replay.advance(toNs(atMs));
  }

  /** Counters by name, workers summed: ends.<name>, extra.<name>, services[slot].<name> … */
  counters(): {
    ends: Record<string, number>;
    extra: Record<string, number>;
    ports: Record<string, number>[];
    services: Record<string, number>[];
    servers: Record<string, number>[];
    handshakes: Record<string, number>[];
  } {
    const words = this.replay.counters();
    const group = (which: 'ends' | 'extra' | 'ports' | 'services' | 'servers' | 'handshakes') => {
      const { offset, stride, count, names } = this.layout[which];
      return Array.from({ length: count }, (_, record) => {
        const values: Record<string, number> = {};
        names.forEach((name, word) => {
          if (name === '') return;
          let sum = 0;
          for (let worker = 0; worker < this.workers; worker++) {
            sum += Number(words[worker * this.layout.words + offset + record * stride + word]);
          }
          values[name] = sum;
        });
        return values;
      });
    };
    return {
      ends: group('ends')[0] as Record<string, number>,
      extra: group('extra')[0] as Record<string, number>,
      ports: group('ports'),
      services: group('services'),
      servers: group('servers'),
      handshakes: group('handshakes'),
    };
  }

  connections(): Connection[] {
    const all: Connection[] = [];
    for (let worker = 0; worker < this.workers; worker++) {
      let cursor = 0;
      do {
        const page = this.replay.connections(worker, cursor, 1024);
        all.push(...new ConnectionView(page.records, worker));
        cursor = page.cursor;
      } while (cursor !== 0);
    }
    return all;
  }

  startSync(settings: SyncSettings): void {
    this.replay.startSync(settings);
  }

  syncSend(): Uint8Array[] {
    return this.replay.syncSend();
  }

  syncReceive(datagram: Uint8Array): void {
    this.replay.syncReceive(datagram);
  }

  sync(): SyncFigures {
    const figures = this.replay.sync();
    if (!figures) throw new Error('connection sync has not been started');
    return figures;
  }

  mbufsInUse(): number {
    return this.replay.mbufsInUse();
  }

  /** What must hold after any traffic, a line for each thing that does not. */
  invariants(): string[] {
    const { ends, extra, ports } = this.counters();
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    const ended = sum(Object.values(ends));
    const arrived = sum(ports.map((port) => port.rxPackets ?? 0));
    const complaints: string[] = [];
    if (ended !== extra.received) complaints.push(`${extra.received} received, ${ended} ended`);
    if (arrived !== extra.received)
      complaints.push(`${extra.received} received, ports: ${arrived}`);
    if (this.unasked.length > 0) complaints.push(`${this.unasked.length} frames without a cause`);
    if (this.mbufsInUse() !== 0) complaints.push(`${this.mbufsInUse()} mbufs still in use`);
    return complaints;
  }

  close(): void {
    this.replay.close();
  }
}

function toNs(ms: number): bigint {
  return BigInt(Math.round((EPOCH_MS + ms) * 1000)) * 1000n;
}

function portOptions(port: ModelPort, index: number) {
  return {
    name: index === 0 ? 'front' : index === 1 ? 'back' : `port${index}`,
    mac: mac(port.mac),
    mtu: port.mtu,
    ...(port.partialChecksums ? { partialChecksums: true } : {}),
  };
}
