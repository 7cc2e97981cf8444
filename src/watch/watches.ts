/**
 * Traces and captures of a running director: each is a watch in the workers, read as long as
 * somebody listens and its time lasts.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { CaptureLine, CaptureQuery, TraceLine, TraceQuery } from '../api/watch.js';
import { toBytes } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import type { Model } from '../config/model.js';
import { codeOf, SluiceError } from '../errors.js';
import type { CounterLayout, WatchedFlow, Watching, WatchOptions, WatchPage } from '../native.js';
import type { Planned } from '../plan.js';
import { type Names, namesOf } from './context.js';
import {
  type FrameRecord,
  HANDED_OFF,
  readCounts,
  readRecords,
  type TraceRecord,
  type WatchCounts,
} from './records.js';
import { tell } from './story.js';

/** How often spools are emptied. */
const POLL_MS = 50;
const TELL_MS = 500;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, sctp: 132 } as const;
const NO_COUNTS: WatchCounts = { seen: 0, matched: 0, taken: 0, overRate: 0, noRoom: 0 };

export interface Running {
  readonly model: Model;
  readonly planned: Planned;
  readonly loaded: Loaded;
}

export class Watches {
  readonly #engine: Watching;
  readonly #layout: CounterLayout;
  readonly #running: Running;
  #known: { planned: Planned; loaded: Loaded; names: Names } | undefined;

  constructor(engine: Watching, layout: CounterLayout, running: Running) {
    this.#engine = engine;
    this.#layout = layout;
    this.#running = running;
  }

  async *trace(query: TraceQuery, signal: AbortSignal): AsyncGenerator<TraceLine> {
    const { seconds, rate, count } = query;
    const options = { flow: flowOf(query), rate, seconds, ...(count ? { count } : {}) };
    let left = count ?? Number.POSITIVE_INFINITY;
    let counts: WatchCounts[] = [];
    let began = false;
    const told = new Told();
    for await (const page of pages(this.#engine, options, signal)) {
      if (!began) yield { watching: { workers: this.#layout.workers, seconds } };
      began = true;
      counts = readCounts(page.counts);
      const records = [...readRecords(page.records)] as TraceRecord[];
      const names = records.length > 0 && this.#names();
      for (const record of inOrder(records)) {
        if (left-- <= 0 || !names) break;
        yield { packet: tell(record, names) };
      }
      if (left <= 0) break;
      if (told.isDue(counts)) yield { counts: counts.reduce(sum, NO_COUNTS) };
    }
    yield { counts: counts.reduce(sum, NO_COUNTS) };
  }

  async *capture(query: CaptureQuery, signal: AbortSignal): AsyncGenerator<CaptureLine> {
    const { direction, filter, snaplen, rate, seconds, count } = query;
    const names = this.#running.model.ports.map(({ name }) => name);
    const options = {
      filter,
      ports: portsMask(query.port, names),
      in: direction !== 'out',
      out: direction !== 'in',
      snaplen,
      rate,
      seconds,
      ...(count ? { count } : {}),
    };
    const byPort = () =>
      counts
        .map((one, index) => ({ port: names[index] ?? '', ...one }))
        .filter(({ port }) => wanted.includes(port));
    const wanted = names.filter((_, index) => (options.ports & (1 << index)) !== 0);
    let left = count ?? Number.POSITIVE_INFINITY;
    let counts: WatchCounts[] = [];
    let began = false;
    const told = new Told();
    for await (const page of pages(this.#engine, options, signal)) {
      if (!began) {
        yield { watching: { ports: wanted, snaplen, seconds, machineCode: page.machineCode } };
      }
      began = true;
      counts = readCounts(page.counts);
      for (const record of inOrder([...readRecords(page.records)] as FrameRecord[])) {
        if (left-- <= 0) break;
        yield { frame: this.#frame(record, names) };
      }
      if (left <= 0) break;
      if (told.isDue(counts)) yield { counts: byPort() };
    }
    yield { counts: byPort() };
  }

  /** As long as nothing is published they are the same. */
  #names(): Names {
    const { model, planned, loaded } = this.#running;
    if (this.#known?.planned !== planned || this.#known.loaded !== loaded) {
      const names = namesOf(this.#layout, { model, planned, loaded });
      this.#known = { planned, loaded, names };
    }
    return this.#known.names;
  }

  #frame({ time, port, direction, end, wireBytes, bytes }: FrameRecord, names: string[]) {
    return {
      time: `${time}`,
      port: names[port] ?? '',
      direction,
      verdict: this.#verdict(end),
      wireBytes,
      bytes: Buffer.from(bytes).toString('base64'),
    };
  }

  #verdict(end: number): string {
    if (end === HANDED_OFF) return 'handed_off';
    return this.#layout.ends.names[end] ?? '';
  }
}

/** Whoever breaks off wants to know what was counted until then. */
class Told {
  #at = performance.now();
  #last = '';

  isDue(counts: WatchCounts[]): boolean {
    const now = performance.now();
    if (now - this.#at < TELL_MS) return false;
    const text = JSON.stringify(counts);
    if (text === this.#last) return false;
    this.#at = now;
    this.#last = text;
    return true;
  }
}

/** The first page comes at once. */
async function* pages(
  engine: Watching,
  options: WatchOptions,
  signal: AbortSignal,
): AsyncGenerator<WatchPage> {
  const watch = engine.watchStart(options);
  try {
    for (;;) {
      const page = engine.watchRead(watch);
      yield page;
      if (page.ended || signal.aborted) return;
      await pause(POLL_MS);
    }
  } finally {
    stop(engine, watch);
  }
}

function stop(engine: Watching, watch: number): void {
  try {
    engine.watchStop(watch);
  } catch (error) {
    // The engine has gone, and its watches with it.
    if (codeOf(error) !== 'ERR_NATIVE_STOPPED') throw error;
  }
}

/** Each worker has its own spool: by time, as far as one reading goes. */
function inOrder<T extends { time: bigint }>(records: T[]): T[] {
  return records.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

function flowOf({ from, to, protocol }: TraceQuery): WatchedFlow {
  return {
    ...(from ? { client: toBytes(from.address) } : {}),
    ...(from && from.port > 0 ? { clientPort: from.port } : {}),
    ...(to ? { service: toBytes(to.address) } : {}),
    ...(to && to.port > 0 ? { servicePort: to.port } : {}),
    ...(protocol ? { protocol: PROTOCOLS[protocol] } : {}),
  };
}

function portsMask(wanted: string, names: string[]): number {
  if (wanted === 'all') return 2 ** names.length - 1;
  const index = names.indexOf(wanted);
  if (index >= 0) return 1 << index;
  const message = `no port is called ${wanted}, expected all or one of ${names.join(', ')}`;
  throw new SluiceError('ERR_API', message);
}

function sum(a: WatchCounts, b: WatchCounts): WatchCounts {
  return {
    seen: a.seen + b.seen,
    matched: a.matched + b.matched,
    taken: a.taken + b.taken,
    overRate: a.overRate + b.overRate,
    noRoom: a.noRoom + b.noRoom,
  };
}
