/**
 * The control API: JSON over HTTP on a Unix socket that only its owner may open. A handler that
 * throws answers 500 and never more than that.
 */
import { chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Endpoint } from '../config/address.js';
import { codeOf, SluiceError } from '../errors.js';
import { CONTENT_TYPE } from '../stats/metrics.js';
import {
  body,
  type EditRequest,
  editRequest,
  type ReloadRequest,
  type RollbackRequest,
  reloadRequest,
  rollbackRequest,
  type ZeroRequest,
  zeroRequest,
} from './requests.js';
import type { ConnectionReport } from './types.js';

export interface ConnectionQuery {
  client?: string | undefined;
  /** Name of a service, or `address:port`. */
  service?: string | undefined;
  limit: number;
}

/** What the director answers with; each may throw. */
export interface Handlers {
  services(): unknown;
  /** Of `from`, `to` and `protocol`. */
  explain(query: URLSearchParams): unknown;
  /** Prometheus' text, in pieces. */
  metrics(): Iterable<string>;
  ports(): unknown;
  drops(): unknown;
  status(): unknown;
  reload(request: ReloadRequest): unknown;
  edit(request: EditRequest): unknown;
  rollback(request: RollbackRequest): unknown;
  zero(request: ZeroRequest): unknown;
  history(): unknown;
  /** What a file (the running one unless given) would change. */
  diff(file: string | undefined, discardEdits: boolean): unknown;
  connections(query: ConnectionQuery): AsyncIterable<ConnectionReport>;
}

/** Refuses if a director answers on the path, and clears away the socket of a dead one. */
export async function claimSocket(path: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true });
    if (!lstatSync(path).isSocket()) {
      throw new SluiceError('ERR_SOCKET', `${path} exists and is not a socket`);
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    if (error instanceof SluiceError) throw error;
    const why = (error as Error).message;
    throw new SluiceError('ERR_SOCKET', `cannot use ${path}: ${why}`, { cause: error });
  }
  if (await answers(path)) {
    throw new SluiceError('ERR_ALREADY_RUNNING', `a director is already running on ${path}`);
  }
  rmSync(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else {
        const message = `cannot tell whether a director runs on ${path}: ${error.message}`;
        reject(new SluiceError('ERR_SOCKET', message, { cause: error }));
      }
    });
  });
}

export async function serve(
  path: string,
  handlers: Handlers,
  onError: (error: unknown) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, handlers).catch((error: unknown) => {
      onError(error);
      fail(response, 500, error);
    });
  });
  await listenAt(server, path);
  server.on('error', onError);
  return server;
}

/**
 * Makes the socket in a folder that only its owner may enter, and puts it in its place when it has
 * its rights: the umask is the process's, and not for a thread to change.
 */
async function listenAt(server: Server, path: string): Promise<void> {
  try {
    const folder = mkdtempSync(join(dirname(path), '.s'));
    try {
      const made = join(folder, 's');
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(made, resolve);
      });
      chmodSync(made, 0o600);
      linkSync(made, path);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    server.close();
    throw codeOf(error) === 'EEXIST'
      ? new SluiceError('ERR_ALREADY_RUNNING', `a director is already running on ${path}`)
      : new SluiceError('ERR_SOCKET', `cannot listen on ${path}: ${(error as Error).message}`);
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: Handlers,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://sluice');
  const route = `${request.method} ${url.pathname}`;
  // What a request asks for may be impossible; only an error without a code is the director's own.
  const change = async (action: () => unknown) => {
    try {
      return json(response, 200, (await action()) ?? {});
    } catch (error) {
      return fail(response, codeOf(error) ? 422 : 500, error);
    }
  };
  switch (route) {
    case 'GET /v1/services':
      return json(response, 200, handlers.services());
    case 'GET /v1/explain':
      return change(() => handlers.explain(url.searchParams));
    case 'GET /metrics':
      return await sendMetrics(response, handlers);
    case 'GET /v1/ports':
      return json(response, 200, handlers.ports());
    case 'GET /v1/drops':
      return json(response, 200, handlers.drops());
    case 'GET /v1/status':
      return json(response, 200, handlers.status());
    case 'GET /v1/history':
      return json(response, 200, handlers.history());
    case 'GET /v1/diff':
      return change(() =>
        handlers.diff(
          url.searchParams.get('file') ?? undefined,
          url.searchParams.get('edits') === 'discard',
        ),
      );
    case 'POST /v1/reload':
      return change(async () => handlers.reload(await body(request, reloadRequest)));
    case 'POST /v1/edits':
      return change(async () => handlers.edit(await body(request, editRequest)));
    case 'POST /v1/rollback':
      return change(async () => handlers.rollback(await body(request, rollbackRequest)));
    case 'POST /v1/zero':
      return change(async () => handlers.zero(await body(request, zeroRequest)));
    case 'GET /v1/connections':
      return await connections(response, url, handlers);
    default: {
      const message = `${route} is not part of the control API`;
      return fail(response, 404, new SluiceError('ERR_API', message));
    }
  }
}

/** The metrics alone, over TCP: nothing there can be changed, nor asked for. */
export async function serveMetrics(
  { address, port }: Endpoint,
  handlers: Pick<Handlers, 'metrics'>,
  onError: (error: unknown) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end('GET /metrics is all there is\n');
      return;
    }
    sendMetrics(response, handlers).catch((error: unknown) => {
      onError(error);
      fail(response, 500, error);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `cannot serve metrics on ${address}:${port}: ${error.message}`;
      reject(new SluiceError('ERR_SOCKET', message, { cause: error }));
    });
    server.listen({ host: address, port }, () => resolve());
  });
  server.on('error', onError);
  return server;
}

async function sendMetrics(
  response: ServerResponse,
  handlers: Pick<Handlers, 'metrics'>,
): Promise<void> {
  for (const piece of handlers.metrics()) {
    if (!response.headersSent) response.writeHead(200, { 'content-type': CONTENT_TYPE });
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

/** One connection a line (application/x-ndjson): a listing of millions needs no memory. */
async function connections(response: ServerResponse, url: URL, handlers: Handlers): Promise<void> {
  const limit = Number(url.searchParams.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) {
    return fail(response, 400, new SluiceError('ERR_API', 'limit must be a whole number'));
  }
  const entries = handlers.connections({
    client: url.searchParams.get('client') ?? undefined,
    service: url.searchParams.get('service') ?? undefined,
    limit,
  });
  const iterator = entries[Symbol.asyncIterator]();
  let next: IteratorResult<ConnectionReport>;
  try {
    // The first step finds wrong filters while the status can still say so.
    next = await iterator.next();
  } catch (error) {
    return fail(response, codeOf(error) ? 400 : 500, error);
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  while (!next.done && !response.destroyed) {
    if (!response.write(`${JSON.stringify(next.value)}\n`)) await drained(response);
    next = await iterator.next();
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function fail(response: ServerResponse, status: number, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  json(response, status, { error: { code: codeOf(error) ?? 'ERR_API', message } });
}
