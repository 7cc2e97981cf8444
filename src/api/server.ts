/**
 * The control API: JSON over HTTP on a Unix socket that only its owner may open. A handler that
 * throws answers 500 and never more than that.
 */
import { chmodSync, chownSync, linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { groupId } from '../accounts.js';
import type { Endpoint } from '../config/address.js';
import { codeOf, SluiceError } from '../errors.js';
import { CONTENT_TYPE } from '../stats/metrics.js';
import { OWNER } from './callers.js';
import type { Handlers } from './handlers.js';
import { answer, type Front, fail } from './respond.js';
import { sendText } from './streaming.js';

export type { ConnectionQuery, Handlers } from './handlers.js';

/** Ten thousand services with their servers, as edits, are a tenth of it. */
const LARGEST_BODY = 64 << 20;

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
  group?: string,
  inherited?: number,
): Promise<Server> {
  const front: Front = {
    handlers,
    largestBody: LARGEST_BODY,
    callerOf: (request) => {
      refuseForeignPages(request);
      return OWNER;
    },
    onError,
  };
  const server = createServer((request, response) => answer(request, response, front));
  // Its path, owner and mode are as they were.
  if (inherited !== undefined) await listenOn(server, inherited);
  else await listenAt(server, path, group);
  server.on('error', onError);
  return server;
}

function listenOn(server: Server, fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
}

function giveTo(group: string, path: string): void {
  const gid = groupId(group);
  if (gid === undefined) throw new Error(`there is no group ${group}`);
  chownSync(path, -1, gid);
}

/**
 * Makes the socket in a folder that only its owner may enter, and puts it in its place when it has
 * its rights: the umask is the process's, and not for a thread to change.
 */
async function listenAt(server: Server, path: string, group?: string): Promise<void> {
  try {
    const folder = mkdtempSync(join(dirname(path), '.s'));
    try {
      const made = join(folder, 's');
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(made, resolve);
      });
      if (group !== undefined) giveTo(group, made);
      chmodSync(made, group === undefined ? 0o600 : 0o660);
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

/**
 * The socket is its owner's alone, until its owner forwards it to a port (ssh -L 8080:….sock) and
 * opens the dashboard there: then any page in the same browser can send requests to that port. The
 * browser says where such a request comes from, and a name that was made to point to 127.0.0.1 has
 * a dot in it.
 */
function refuseForeignPages({ headers }: IncomingMessage): void {
  const { host = '', origin } = headers;
  const site = headers['sec-fetch-site'] ?? 'none';
  const name = host.replace(/:\d+$/, '');
  const own = origin === undefined || origin === `http://${host}`;
  const here = !name.includes('.') || /^127(\.\d{1,3}){3}$/.test(name);
  if (own && here && (site === 'none' || site === 'same-origin')) return;
  const message = 'the control socket takes no requests of other pages, nor under other names';
  throw new SluiceError('ERR_API_FORBIDDEN', message);
}

/** The metrics alone, over TCP: nothing there can be changed, nor asked for. */
export async function serveMetrics(
  { address, port }: Endpoint,
  handlers: Pick<Handlers, 'metrics'>,
  onError: (error: unknown) => void,
  inherited?: number,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end('GET /metrics is all there is\n');
      return;
    }
    const answer = async () => sendText(request, response, CONTENT_TYPE, handlers.metrics());
    answer().catch((error: unknown) => {
      onError(error);
      fail(response, error);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const message = `cannot serve metrics on ${address}:${port}: ${error.message}`;
      reject(new SluiceError('ERR_SOCKET', message, { cause: error }));
    });
    const to = inherited === undefined ? { host: address, port } : { fd: inherited };
    server.listen(to, () => resolve());
  });
  server.on('error', onError);
  return server;
}
