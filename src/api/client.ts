/** Asks a running director. */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { ClientReport } from '../clients.js';
import { ERRORS, type ErrorCode, SluiceError } from '../errors.js';
import type { Explanation } from '../explain.js';
import type { ServiceId } from '../model-edit.js';
import type {
  editRequest,
  reloadRequest,
  servicesQuery,
  syncDaemonRequest,
  upgradeRequest,
} from './requests.js';
import { send, type Target, targetName } from './target.js';
import type {
  ConnectionReport,
  DiffReport,
  DropsReport,
  EditReport,
  ErrorReport,
  HistoryReport,
  PortReport,
  ReloadReport,
  ServiceReport,
  StatusReport,
  SyncReport,
  UpgradeReport,
  VrrpReport,
} from './types.js';
import type { CaptureLine, captureQuery, TraceLine, traceQuery } from './watch.js';

export interface ConnectionFilters {
  /** Address of a client. */
  client?: string | undefined;
  /** Name of a service, or its `address:port`. */
  service?: string | undefined;
  /** At most so many; 0 or none: all. */
  limit?: number | undefined;
}

/** A query before it is text. */
type Asked<Schema extends z.ZodType> = {
  [Key in keyof z.input<Schema>]?: string | number | undefined;
};

export class ControlClient {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Its control socket or address, for people. */
  get where(): string {
    return targetName(this.#target);
  }

  /** All, unless asked for less. */
  services(asked: Asked<typeof servicesQuery> = {}): Promise<ServiceReport[]> {
    return this.#json('GET', `/v1/services${queryText(asked)}`);
  }

  ports(): Promise<PortReport[]> {
    return this.#json('GET', '/v1/ports');
  }

  vrrp(): Promise<VrrpReport> {
    return this.#json('GET', '/v1/vrrp');
  }

  drops(): Promise<DropsReport> {
    return this.#json('GET', '/v1/drops');
  }

  sync(): Promise<SyncReport> {
    return this.#json('GET', '/v1/sync');
  }

  /** IPVS' master or backup daemon. */
  syncDaemon(request: z.input<typeof syncDaemonRequest>): Promise<SyncReport> {
    return this.#json('POST', '/v1/sync/daemon', request);
  }

  status(): Promise<StatusReport> {
    return this.#json('GET', '/v1/status');
  }

  explain(flow: { from: string; to: string; protocol: string }): Promise<Explanation> {
    const { from, to, protocol } = flow;
    return this.#json('GET', `/v1/explain?${new URLSearchParams({ from, to, protocol })}`);
  }

  reload(request: z.input<typeof reloadRequest> = {}): Promise<ReloadReport> {
    return this.#json('POST', '/v1/reload', request);
  }

  edit(request: z.input<typeof editRequest>): Promise<EditReport> {
    return this.#json('POST', '/v1/edits', request);
  }

  /** To the last generation before the present one unless told. */
  rollback(generation?: number): Promise<ReloadReport> {
    return this.#json('POST', '/v1/rollback', { generation });
  }

  /** Counters and rates of one service, or of all, start at zero. */
  async zero(service?: ServiceId): Promise<void> {
    await this.#json('POST', '/v1/zero', { service });
  }

  /** Answered when another process has taken over. */
  upgrade(request: z.input<typeof upgradeRequest> = {}): Promise<UpgradeReport> {
    return this.#json('POST', '/v1/upgrade', request);
  }

  history(): Promise<HistoryReport[]> {
    return this.#json('GET', '/v1/history');
  }

  /** What a file (absolute path; the running one unless given) would change. */
  diff(file?: string, discardEdits = false): Promise<DiffReport> {
    const query = new URLSearchParams({ edits: discardEdits ? 'discard' : 'keep' });
    if (file !== undefined) query.set('file', file);
    return this.#json('GET', `/v1/diff?${query}`);
  }

  /** Whoever stops reading ends it. */
  trace(query: Asked<typeof traceQuery>, signal?: AbortSignal): AsyncGenerator<TraceLine> {
    return this.#lines('/v1/trace', query, signal);
  }

  capture(query: Asked<typeof captureQuery>, signal?: AbortSignal): AsyncGenerator<CaptureLine> {
    return this.#lines('/v1/capture', query, signal);
  }

  async *connections(filters: ConnectionFilters = {}): AsyncGenerator<ConnectionReport> {
    yield* this.#lines<ConnectionReport>('/v1/connections', filters);
  }

  /** Of one service (its name, or address:port), or of all. */
  async *clients(service?: string): AsyncGenerator<ClientReport> {
    yield* this.#lines<ClientReport>('/v1/clients', { service });
  }

  async *#lines<T>(path: string, asked: object, signal?: AbortSignal): AsyncGenerator<T> {
    const response = await this.#send('GET', path + queryText(asked), undefined, signal);
    for await (const line of lines(response)) yield JSON.parse(line) as T;
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    return JSON.parse(await text(await this.#send(method, path, body))) as T;
  }

  async #send(
    method: string,
    path: string,
    body?: object,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const what = signal ? { method, path, signal } : { method, path };
    const response = await send(this.#target, what, body && JSON.stringify(body));
    if (response.statusCode === 200) return response;
    throw refusal(await text(response));
  }
}

function queryText(asked: object): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(asked)) {
    if (value !== undefined) query.set(key, String(value));
  }
  return query.size === 0 ? '' : `?${query}`;
}

function refusal(body: string): SluiceError {
  try {
    const { code, message } = (JSON.parse(body) as ErrorReport).error;
    return new SluiceError(code in ERRORS ? (code as ErrorCode) : 'ERR_API', message);
  } catch {
    return new SluiceError('ERR_API', `the director answered: ${body.slice(0, 200)}`);
  }
}

async function* lines(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of response) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  } catch (cause) {
    throw new SluiceError('ERR_API', 'the director broke off in the middle of its answer', {
      cause,
    });
  }
}

async function text(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
