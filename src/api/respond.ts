/**
 * Answers one request by the table of routes. A handler that throws answers with a coded error and
 * an HTTP status, and never takes more with it than its own request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { codeOf, type ErrorCode, SluiceError } from '../errors.js';
import type { Caller } from './callers.js';
import type { Handlers } from './handlers.js';
import { API } from './openapi.js';
import { SAFE_HEADERS, sendPage } from './pages.js';
import type { Route } from './routes.js';
import { sendJson, sendLines, sendText } from './streaming.js';
import { TooMany } from './tokens.js';

/** HTTP statuses of codes; what is understood and cannot be done is 422, what has no code 500. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  ERR_API: 400,
  ERR_API_TOKEN: 401,
  ERR_API_FORBIDDEN: 403,
  ERR_API_NOT_FOUND: 404,
  ERR_API_METHOD: 405,
  ERR_API_TOO_LARGE: 413,
  ERR_API_TOO_MANY: 429,
  ERR_NATIVE_WATCH_BUSY: 429,
  ERR_NO_SUCH_SERVICE: 404,
  ERR_NO_SUCH_SERVER: 404,
  ERR_NO_SUCH_LOCAL_ADDRESS: 404,
  ERR_NO_SUCH_CLIENT: 404,
  ERR_NO_GENERATION: 404,
  ERR_SERVICE_NOT_DEFINED: 404,
  ERR_NOT_DRAINED: 409,
  ERR_SERVICE_EXISTS: 409,
  ERR_SERVER_EXISTS: 409,
  ERR_LOCAL_ADDRESS_EXISTS: 409,
  ERR_CLIENT_EXISTS: 409,
  ERR_SYNC_RUNNING: 409,
  ERR_SYNC_NOT_RUNNING: 409,
  ERR_RUNTIME_EDITS: 409,
  ERR_RESTART_NEEDED: 409,
  ERR_UPGRADE_RUNNING: 409,
};

function statusOf(error: unknown): number {
  const code = codeOf(error);
  return code === undefined ? 500 : (STATUSES[code as ErrorCode] ?? 422);
}

/** What listens: the control socket, or a TCP port. */
export interface Front {
  handlers: Handlers;
  /** Bytes of a body. */
  largestBody: number;
  /** Throws for whoever may not ask. */
  callerOf(request: IncomingMessage): Caller;
  /** Told of bugs. */
  onError(error: unknown): void;
}

/** Answers, whatever happens. */
export function answer(request: IncomingMessage, response: ServerResponse, front: Front): void {
  respond(request, response, front).catch((error: unknown) => {
    // What a request asks for may be impossible; only an error without a code is our own.
    if (statusOf(error) === 500 || response.headersSent) front.onError(error);
    // The rest of a body that nobody will read.
    if (!request.complete) response.shouldKeepAlive = false;
    fail(response, error);
  });
}

/** Of paths that anyone may take. */
const NOBODY: Caller = { role: 'read', token: '' };

/** The route of a request; throws where there is none. */
function routeOf(method: string | undefined, path: string): Route {
  const here = API.filter((route) => route.path === path);
  const found = here.find((route) => route.method === (method === 'HEAD' ? 'GET' : method));
  if (found) return found;
  if (here.length === 0) {
    const message = `${path} is not part of the control API; /openapi.json is its description`;
    throw new SluiceError('ERR_API_NOT_FOUND', message);
  }
  const allowed = here.map((route) => route.method).join(', ');
  throw new SluiceError('ERR_API_METHOD', `${path} takes ${allowed}, not ${method}`);
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { handlers, largestBody, callerOf }: Front,
): Promise<void> {
  for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
  const url = urlOf(request);
  if (sendPage(request, response, url.pathname)) return;
  // Without a token nobody learns even which paths there are.
  const open = API.some(({ role, path }) => role === 'anyone' && path === url.pathname);
  const caller = open ? NOBODY : callerOf(request);
  const route = routeOf(request.method, url.pathname);
  if (route.role === 'write' && caller.role !== 'write') {
    const message = `token ${caller.token} may read only: ${url.pathname} changes something`;
    throw new SluiceError('ERR_API_FORBIDDEN', message);
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const asked = {
    query: route.query ? checked(route.query, queryOf(url)) : {},
    body: route.body ? checked(route.body, await jsonBody(request, largestBody)) : undefined,
    caller,
    signal: gone.signal,
  };
  const value = await route.run(handlers, asked);
  switch (route.answer.kind) {
    case 'json':
      return json(response, 200, value);
    case 'list':
      return sendJson(request, response, value);
    case 'lines':
      return sendLines(response, value as AsyncIterable<object>);
    case 'text':
      return sendText(request, response, route.answer.type, value as Iterable<string>);
  }
}

function urlOf({ url }: IncomingMessage): URL {
  try {
    return new URL(url ?? '/', 'http://sluice');
  } catch (cause) {
    throw new SluiceError('ERR_API', 'the request has no path that makes sense', { cause });
  }
}

function queryOf({ searchParams }: URL): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [key, value] of searchParams) {
    if (key in query) throw new SluiceError('ERR_API', `${key} is given twice`);
    query[key] = value;
  }
  return query;
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message } = { path: [], message: 'is wrong' }] = parsed.error.issues;
  const glue = message.startsWith('is ') ? ' ' : ': ';
  throw new SluiceError('ERR_API', `${path.join('.') || 'the request'}${glue}${message}`);
}

/** An empty body counts as `{}`. */
async function jsonBody(request: IncomingMessage, most: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > most) {
      throw new SluiceError('ERR_API_TOO_LARGE', `a request of more than ${most >> 20} MiB`);
    }
    chunks.push(chunk as Buffer);
  }
  const body = Buffer.concat(chunks).toString('utf8');
  try {
    return body === '' ? {} : JSON.parse(body);
  } catch (cause) {
    throw new SluiceError('ERR_API', 'the request is not JSON', { cause });
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    'cache-control': 'no-store',
  });
  response.end(bytes);
}

/** What was begun already can only be broken off. */
export function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  if (codeOf(error) === 'ERR_API_TOKEN') {
    response.setHeader('www-authenticate', 'Bearer realm="sluice"');
  }
  if (error instanceof TooMany) response.setHeader('retry-after', error.seconds);
  json(response, statusOf(error), { error: { code: codeOf(error) ?? 'ERR_API', message } });
}
