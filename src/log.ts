/**
 * The log: winston to stderr, as lines for people or as JSON for machines. stdout belongs to
 * what a command was asked for.
 */
import { Writable } from 'node:stream';
import winston from 'winston';
import { visibleLines } from './visible.js';

export const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

/** `journal`: systemd's, which has the time itself and takes the level as a number before a line. */
export const LOG_FORMATS = ['text', 'json', 'journal'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  level?: Level;
  format?: LogFormat;
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

/** sd-daemon(3)'s numbers. */
const PRIORITIES: Record<string, number> = { error: 3, warn: 4, info: 6, debug: 7 };

const text = winston.format.printf(
  (info) => `${info.timestamp} ${info.level === 'info' ? '' : `${info.level}: `}${line(info)}`,
);

const journal = winston.format.printf((info) => {
  const prefix = `<${PRIORITIES[info.level] ?? PRIORITIES.info}>`;
  return line(info).replaceAll(/^/gm, prefix);
});

function line(info: winston.Logform.TransformableInfo): string {
  const { level: _level, message, timestamp: _timestamp, code, ...rest } = info;
  const more = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return visibleLines(`${message}${code ? ` [${code}]` : ''}${more}`);
}

export function createLogger(options: LogOptions = {}): Logger {
  const { combine, timestamp, json } = winston.format;
  const level = options.level ?? 'info';
  const least = LEVELS.indexOf(level);
  // Winston would make a line of what it then throws away.
  const wanted = winston.format((info) =>
    LEVELS.indexOf(info.level as Level) <= least ? info : false,
  );
  return winston.createLogger({
    level,
    format: combine(
      wanted(),
      timestamp(),
      { text, json: json(), journal }[options.format ?? 'text'],
    ),
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
