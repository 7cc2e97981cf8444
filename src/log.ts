/**
 * The log: winston to stderr, as lines for people or as JSON for machines. stdout belongs to
 * what a command was asked for.
 */
import { Writable } from 'node:stream';
import winston from 'winston';

export const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

export interface LogOptions {
  level?: Level;
  json?: boolean;
  /** Where lines go instead of stderr: for tests. */
  stream?: NodeJS.WritableStream;
  /** Takes entries instead, unformatted: a thread's are written by another. */
  relay?: (entry: LogEntry) => void;
}

/** What was logged, as plain data. */
export interface LogEntry {
  level: Level;
  message: string;
  [field: string]: unknown;
}

export type Logger = winston.Logger;

const text = winston.format.printf((info) => {
  const { level, message, timestamp, code, ...rest } = info;
  const more = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  const label = level === 'info' ? '' : `${level}: `;
  return `${timestamp} ${label}${message}${code ? ` [${code}]` : ''}${more}`;
});

export function createLogger(options: LogOptions = {}): Logger {
  const { combine, timestamp, json } = winston.format;
  return winston.createLogger({
    level: options.level ?? 'info',
    format: combine(timestamp(), options.json ? json() : text),
    // A log that cannot be written must never take the process with it.
    exitOnError: false,
    transports: [new winston.transports.Stream({ stream: streamOf(options) })],
  });
}

function streamOf({ relay, stream }: LogOptions): NodeJS.WritableStream {
  if (!relay) return stream ?? process.stderr;
  return new Writable({
    objectMode: true,
    write({ timestamp: _, ...entry }: LogEntry, _encoding, done) {
      // As JSON has it: what cannot cross to another thread is not for a log either.
      relay(JSON.parse(JSON.stringify(entry)) as LogEntry);
      done();
    },
  });
}

/**
 * Lets at most one line a key through in `everyMs`, and says with the next one how many were kept
 * back. `write` gets that count (0 for none).
 */
export class RateLimit {
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #keys = new Map<string, { since: number; suppressed: number }>();

  constructor(everyMs: number, now: () => number = () => performance.now()) {
    this.#everyMs = everyMs;
    this.#now = now;
  }

  run(key: string, write: (suppressed: number) => void): void {
    const now = this.#now();
    const entry = this.#keys.get(key);
    if (entry && now - entry.since < this.#everyMs) {
      entry.suppressed++;
      return;
    }
    this.#keys.set(key, { since: now, suppressed: 0 });
    write(entry?.suppressed ?? 0);
  }
}
