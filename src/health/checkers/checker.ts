/** What a file in this folder exports: one probe of one server, and what came of it. */
import type { Endpoint } from '../../config/address.js';
import type { Tunnel } from '../../config/tunnel.js';
import type { Mode } from '../../native.js';
import { visible } from '../../visible.js';

export interface Target {
  /** The real server, with the port that the service's packets reach it at. */
  server: Endpoint;
  /** The virtual service. */
  service: Endpoint;
  mode: Mode;
  /** Of mode tun; absent: IPIP. */
  tunnel?: Tunnel | undefined;
}

export interface Outcome {
  ok: boolean;
  /** What was seen, in a few words, for the log. */
  detail: string;
  /** What a dynamic check adds to the server's configured weight, or puts in its place. */
  weight?: { add: number } | { set: number };
  /** We lacked something (files, memory, local ports): nothing is known of the server. */
  notTried?: true;
}

/**
 * Resolves once, in bounded time, and never rejects but for a bug of ours. `step` counts through
 * the parts of a check that has several. An abort ends it early; its outcome is then not used.
 */
export type Probe<Check> = (
  check: Check,
  target: Target,
  step: number,
  signal: AbortSignal,
) => Promise<Outcome>;

export function failure(detail: string): Outcome {
  return { ok: false, detail: visible(detail) };
}

export function notTried(detail: string): Outcome {
  return { ok: false, detail, notTried: true };
}

/** An error before anything was asked: the server's, or a lack of ours. */
export function failureOf(error: unknown): Outcome {
  const words = wordsOf(error);
  return LACKS.has((error as NodeJS.ErrnoException).code ?? '') ? notTried(words) : failure(words);
}

const LACKS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAGAIN']);

/**
 * A time limit's action, done after the events that are already waiting: a busy event loop runs its
 * timers before it reads its sockets, and its own lateness must not take servers out.
 */
export function afterPending(action: () => void): () => void {
  return () => void setImmediate(action);
}

/** An error of a socket in a few words: `connection refused`, not `connect ECONNREFUSED …`. */
export function wordsOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && WORDS[code]) || code || message || String(error);
}

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  EPIPE: 'connection closed',
  ETIMEDOUT: 'timed out',
  EADDRINUSE: 'local address in use',
  EADDRNOTAVAIL: 'local address not available',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in the system',
  EAGAIN: 'no local port is free',
  ECANCELED: 'given up',
};
