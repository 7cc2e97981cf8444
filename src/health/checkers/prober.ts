/**
 * Probes by the native prober: TCP connections and plain HTTP questions of which only the status
 * counts. What is begun in one turn of the event loop is handed over together.
 */
import { getSystemErrorName } from 'node:util';
import { toBytes } from '../../config/address.js';
import {
  type NativeProber,
  native,
  PROBE_ENDS,
  type ProbeEnd,
  RESULT_WORDS,
} from '../../native.js';
import type { Connecting } from '../model.js';
import { failure, notTried, type Outcome, type Target, wordsOf } from './checker.js';
import { destination, PATIENCE, passageOf } from './connection.js';

/** How a probe has ended; `detail` as PROBE_ENDS says. */
interface End {
  kind: ProbeEnd;
  detail: number;
}

class Prober {
  #native: NativeProber | undefined;
  /** By id. */
  readonly #waiting: ((end: End) => void)[] = [];
  readonly #spare: number[] = [];
  #underWay = 0;
  #orders: number[] = [];
  #texts: Buffer[] = [];
  #cancelled: number[] = [];
  #gathering = false;

  /** CPU time of its thread so far, ns; 0 before the first probe. */
  get cpuNs(): number {
    return this.#native?.cpuNs() ?? 0;
  }

  /** Calls `done` once; cancel() makes that soon. Gives the probe's id, which is used again then. */
  start(check: Connecting, target: Target, question: string, done: (end: End) => void): number {
    const id = this.#spare.pop() ?? this.#waiting.length;
    this.#waiting[id] = done;
    if (this.#underWay++ === 0) this.#prober.hold(true);
    const { bindInterface } = check;
    this.#orders.push(id);
    for (const word of orderOf(check, target)) this.#orders.push(word);
    this.#orders.push(question === '' ? 0 : Buffer.byteLength(question));
    if (bindInterface !== undefined) this.#texts.push(Buffer.from(bindInterface));
    if (question !== '') this.#texts.push(Buffer.from(question));
    this.#gather();
    return id;
  }

  cancel(id: number): void {
    this.#cancelled.push(id);
    this.#gather();
  }

  get #prober(): NativeProber {
    this.#native ??= native().createProber((results) => this.#take(results));
    return this.#native;
  }

  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      const [orders, texts, cancelled] = [this.#orders, this.#texts, this.#cancelled];
      this.#orders = [];
      this.#texts = [];
      this.#cancelled = [];
      if (orders.length > 0) this.#prober.start(Uint32Array.from(orders), Buffer.concat(texts));
      if (cancelled.length > 0) this.#prober.cancel(Uint32Array.from(cancelled));
    });
  }

  #take(results: Uint32Array): void {
    for (let at = 0; at < results.length; at += RESULT_WORDS) {
      const id = results[at] as number;
      const done = this.#waiting[id] as (end: End) => void;
      this.#spare.push(id);
      if (--this.#underWay === 0) this.#prober.hold(false);
      done({
        kind: PROBE_ENDS[results[at + 1] as number] as ProbeEnd,
        detail: results[at + 2] as number,
      });
    }
  }
}

/** One for all checks: its thread is made with the first probe. */
export const prober = new Prober();

/** What of an order is the same each time: of a target, by its check. */
const orders = new WeakMap<Target, Map<Connecting, number[]>>();

function orderOf(check: Connecting, target: Target): readonly number[] {
  const known = orders.get(target)?.get(check);
  if (known) return known;
  const { address, port } = destination(check, target);
  const passage = passageOf(check, target);
  const { bindTo, bindPort = 0, bindInterface = '', fwmark, connectTimeoutMs } = check;
  const words = [
    ...addressWords(address),
    ...(bindTo === undefined ? [0, 0, 0, 0] : addressWords(bindTo)),
    (swapped(port) | (swapped(bindPort) << 16)) >>> 0,
    fwmark,
    passage ? (addressWords(passage.vip)[3] as number) : 0,
    passage?.tunnel ?? 0,
    connectTimeoutMs,
    PATIENCE * connectTimeoutMs,
    Buffer.byteLength(bindInterface),
  ];
  const mine = orders.get(target) ?? new Map<Connecting, number[]>();
  orders.set(target, mine.set(check, words));
  return words;
}

/** An address as numbers whose bytes lie in memory as they go over the wire. */
function addressWords(address: string): number[] {
  const bytes = Buffer.from(toBytes(address));
  return [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at));
}

function swapped(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}

/** Asks `question` of the server ('': only connects); `judge` is given the status of its answer. */
export function ask(
  check: Connecting,
  target: Target,
  signal: AbortSignal,
  question: string,
  judge: (status: number) => Outcome,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const current = probeOf(signal);
    const id = prober.start(check, target, question, (end) => {
      current.id = undefined;
      resolve(outcomeOf(end, judge));
    });
    if (signal.aborted) prober.cancel(id);
    else current.id = id;
  });
}

/**
 * Under way for whoever holds the signal, who waits for its end before the next one. One listener a
 * signal: a listener for each of ten thousand probes a second costs more than the probes.
 */
const current = new WeakMap<AbortSignal, { id: number | undefined }>();

function probeOf(signal: AbortSignal): { id: number | undefined } {
  const known = current.get(signal);
  if (known) return known;
  const fresh: { id: number | undefined } = { id: undefined };
  current.set(signal, fresh);
  const cancel = () => {
    if (fresh.id !== undefined) prober.cancel(fresh.id);
  };
  signal.addEventListener('abort', cancel, { once: true });
  return fresh;
}

const CONNECTED: Outcome = { ok: true, detail: 'connected' };
const TIMED_OUT = failure('timed out');

function outcomeOf({ kind, detail }: End, judge: (status: number) => Outcome): Outcome {
  switch (kind) {
    case 'connected':
      return CONNECTED;
    case 'answered':
      return judge(detail);
    case 'timed_out':
      return TIMED_OUT;
    case 'closed':
      return failure('connection closed');
    case 'not_http':
      return failure('answer is not HTTP');
    default: {
      const words = wordsOf({ code: getSystemErrorName(-detail) });
      return kind === 'failed' ? failure(words) : notTried(words);
    }
  }
}
