/**
 * What is about to run out, before it does. Each measure is compared with its threshold; an alert
 * begins above it and ends a tenth below, so that a measure that wavers is told once. Pure: the
 * caller reads the figures and writes the log.
 */

export const ALERT_CODES = {
  WARN_TABLE_NEARLY_FULL: 'A worker’s connection table is nearly full: raise maxConnections.',
  WARN_LOCAL_PORTS_NEARLY_USED: 'Local ports towards a server are nearly used up: add addresses.',
  WARN_MBUFS_NEARLY_USED: 'Packet buffers are nearly used up: raise director.mbufs.',
  WARN_RING_OVERFLOW: 'A ring between threads, or a transmit queue, overflows: packets are lost.',
  WARN_QUEUE_SKEW: 'A worker gets far more packets than its share.',
  WARN_WORKER_LOAD: 'A worker is busy nearly all the time: packets are about to be lost.',
} as const;
export type AlertCode = keyof typeof ALERT_CODES;

/** Percent; 0: never. `skew`: times what the other workers get on average. */
export interface AlertThresholds {
  table: number;
  localPorts: number;
  mbufs: number;
  load: number;
  skew: number;
  /** Packets lost in rings, a second. */
  rings: number;
}

export const DEFAULT_THRESHOLDS: AlertThresholds = {
  table: 90,
  localPorts: 90,
  mbufs: 90,
  load: 95,
  skew: 4,
  rings: 1,
};

/** Figures of one moment; what is counted is since the start. */
export interface Reading {
  /** Milliseconds of a monotonic clock. */
  at: number;
  maxConnections: number;
  workers: WorkerReading[];
  mbufs: number;
  mbufsInUse: number;
  /** Packets lost so far, by the end that they were counted under. */
  lost: Record<string, number>;
}

export interface WorkerReading {
  connections: number;
  received: number;
  cycles: number;
  busyCycles: number;
  /** Its fullest set of local ports: `LIP → server, protocol`. */
  ports: { set: string; used: number; all: number };
}

export interface Alert {
  code: AlertCode;
  /** Which one: `worker 1`, a ring’s name; '' where there is only one. */
  of: string;
  value: number;
  threshold: number;
  message: string;
  /** ISO 8601. */
  since: string;
}

export interface Change {
  alert: Alert;
  begins: boolean;
}

interface Measure {
  code: AlertCode;
  of: string;
  value: number;
  threshold: number;
  message: string;
}

const END_BELOW = 0.9;
/** Fewer packets a second tell nothing of how NICs spread them. */
const LEAST_PPS = 10_000;

export class Alerts {
  #before: Reading | undefined;
  readonly #raised = new Map<string, Alert>();

  get raised(): Alert[] {
    return [...this.#raised.values()];
  }

  /** What has begun or ended since the last reading. */
  take(reading: Reading, thresholds: AlertThresholds, now = new Date()): Change[] {
    const measures = measuresOf(reading, this.#before, thresholds);
    this.#before = reading;
    const changes: Change[] = [];
    const seen = new Set<string>();
    for (const { code, of, value, threshold, message } of measures) {
      const key = `${code} ${of}`;
      seen.add(key);
      const raised = this.#raised.get(key);
      const over = threshold > 0 && value >= threshold * (raised ? END_BELOW : 1);
      if (over) {
        const since = raised?.since ?? now.toISOString();
        const alert = { code, of, value, threshold, message, since };
        this.#raised.set(key, alert);
        if (!raised) changes.push({ alert, begins: true });
      } else if (raised) {
        this.#raised.delete(key);
        changes.push({ alert: { ...raised, value, message }, begins: false });
      }
    }
    for (const [key, alert] of this.#raised) {
      if (seen.has(key)) continue;
      this.#raised.delete(key);
      changes.push({ alert, begins: false });
    }
    return changes;
  }
}

/** Part of its time that each worker had packets, percent, between two readings. */
export function loads(now: Reading, before: Reading | undefined): number[] {
  return now.workers.map((worker, index) => {
    const earlier = before?.workers[index];
    const cycles = worker.cycles - (earlier?.cycles ?? 0);
    const busy = worker.busyCycles - (earlier?.busyCycles ?? 0);
    return cycles > 0 ? Math.min(100, Math.max(0, (100 * busy) / cycles)) : 0;
  });
}

function* measuresOf(
  now: Reading,
  before: Reading | undefined,
  thresholds: AlertThresholds,
): Generator<Measure> {
  const percent = (part: number, of: number) => (of > 0 ? (100 * part) / of : 0);
  const told = (value: number) => `${Math.floor(value)} %`;
  for (const [index, { connections, ports }] of now.workers.entries()) {
    const of = `worker ${index}`;
    const table = percent(connections, now.maxConnections);
    yield {
      code: 'WARN_TABLE_NEARLY_FULL',
      of,
      value: table,
      threshold: thresholds.table,
      message: `the connection table of ${of} is ${told(table)} full: ${connections} of ${now.maxConnections}`,
    };
    const used = percent(ports.used, ports.all);
    yield {
      code: 'WARN_LOCAL_PORTS_NEARLY_USED',
      of,
      value: used,
      threshold: thresholds.localPorts,
      message: `local ports of ${of} are ${told(used)} used: ${ports.used} of ${ports.all}, ${ports.set}`,
    };
  }
  const mbufs = percent(now.mbufsInUse, now.mbufs);
  yield {
    code: 'WARN_MBUFS_NEARLY_USED',
    of: '',
    value: mbufs,
    threshold: thresholds.mbufs,
    message: `packet buffers are ${told(mbufs)} used: ${now.mbufsInUse} of ${now.mbufs}`,
  };
  const seconds = before ? (now.at - before.at) / 1_000 : 0;
  if (!before || seconds <= 0) return;
  for (const [ring, count] of Object.entries(now.lost)) {
    const rate = (count - (before.lost[ring] ?? 0)) / seconds;
    yield {
      code: 'WARN_RING_OVERFLOW',
      of: ring,
      value: rate,
      threshold: thresholds.rings,
      message: `${ring}: ${rate.toFixed(1)} packets a second are lost`,
    };
  }
  for (const [index, load] of loads(now, before).entries()) {
    const of = `worker ${index}`;
    yield {
      code: 'WARN_WORKER_LOAD',
      of,
      value: load,
      threshold: thresholds.load,
      message: `${of} is busy ${told(load)} of the time`,
    };
  }
  yield* skews(now, before, seconds, thresholds.skew);
}

/** A worker alone has nothing to share. */
function* skews(
  now: Reading,
  before: Reading,
  seconds: number,
  threshold: number,
): Generator<Measure> {
  if (now.workers.length < 2) return;
  const rates = now.workers.map(
    ({ received }, index) => (received - (before.workers[index]?.received ?? 0)) / seconds,
  );
  const total = rates.reduce((a, b) => a + b, 0);
  const others = (index: number) => (total - (rates[index] as number)) / (rates.length - 1);
  for (const [index, rate] of rates.entries()) {
    const times = total < LEAST_PPS ? 0 : rate / Math.max(others(index), 1);
    const of = `worker ${index}`;
    yield {
      code: 'WARN_QUEUE_SKEW',
      of,
      value: times,
      threshold,
      message: `${of} gets ${times.toFixed(1)} times the packets of the others: ${Math.round(rate)} a second`,
    };
  }
}
