/**
 * The control API by TCP, for people and programs elsewhere: TLS unless it listens on loopback, a
 * token with every request that shows or changes something, and little patience with the rest.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import { type Endpoint, formatEndpoint } from '../config/address.js';
import type { Loaded } from '../config/load.js';
import { codeOf, SluiceError } from '../errors.js';
import { type Logger, RateLimit } from '../log.js';
import type { Memory } from '../supervisor/memory.js';
import type { Caller } from './callers.js';
import { type ApiFiles, certificateWarning, createContext, readApiFiles } from './files.js';
import type { Handlers } from './handlers.js';
import { answer, type Front } from './respond.js';
import { callerOf, Failures, TooMany } from './tokens.js';

/** Requests of people are small; a table of ten thousand services goes by the control socket. */
const LARGEST_BODY = 1 << 20;

/** Milliseconds. Whoever says nothing, or says it byte by byte, is not waited for. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 15_000,
  connectionsCheckingInterval: 2_000,
  /** Bytes. */
  maxHeaderSize: 16 << 10,
};
const OLDEST = 'TLSv1.2';
const HANDSHAKE_MS = 10_000;
/** Without a byte in either direction, also in the middle of an answer that nobody reads. */
const IDLE_MS = 60_000;
const MOST_CONNECTIONS = 512;
/** Of one address: a page takes six. */
const MOST_OF_ONE = 64;

export interface Surroundings {
  handlers: Handlers;
  log: Logger;
  onError(error: unknown): void;
  /** What outlives a control plane. */
  memory?: Memory;
  /** A socket that listens on an address and port already. */
  listener?: (at: string) => number | undefined;
}

const store = ({ memory }: Surroundings) => memory?.of<ApiFiles>('api');

export class TcpApi {
  readonly #server: Server | HttpsServer;
  readonly #failures = new Failures();
  readonly #around: Surroundings;
  readonly #tellFailures = new RateLimit(10_000);
  readonly #open = new Map<string, number>();
  #files: ApiFiles;

  /** Listens, or throws; undefined where the configuration asks for none. */
  static async open(
    loaded: Loaded,
    around: Surroundings,
    limits: Partial<typeof LIMITS> = {},
  ): Promise<TcpApi | undefined> {
    const listen = loaded.model.director.api?.listen;
    // An earlier control plane's are in force, whatever is in the files by now.
    const files = store(around)?.get('files') ?? readApiFiles(loaded);
    if (!listen || !files) return undefined;
    const api = new TcpApi(files, around, { ...LIMITS, ...limits });
    await api.#listen(listen);
    api.#server.on('error', around.onError);
    api.#adopted();
    return api;
  }

  private constructor(files: ApiFiles, around: Surroundings, limits: typeof LIMITS) {
    this.#files = files;
    this.#around = around;
    const front: Front = {
      handlers: around.handlers,
      largestBody: LARGEST_BODY,
      callerOf: (request) => this.#callerOf(request),
      onError: around.onError,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) => {
      answer(request, response, front);
    };
    const { tls } = files;
    this.#server = tls
      ? createHttpsServer(
          { ...limits, ...createContext(tls), minVersion: OLDEST, handshakeTimeout: HANDSHAKE_MS },
          listener,
        )
      : createHttpServer(limits, listener);
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.setTimeout(IDLE_MS);
    this.#server.on('connection', (socket) => this.#count(socket));
  }

  get server(): Server {
    return this.#server;
  }

  /** Where it really listens. */
  get address(): Endpoint {
    const { address, port } = this.#server.address() as Endpoint;
    return { address, port };
  }

  /** Reads the files of the next configuration, or throws; the returned function adopts them. */
  prepare(next: Loaded): () => void {
    const files = readApiFiles(next);
    return () => {
      if (!files) return;
      this.#files = files;
      const { tls } = files;
      if (tls)
        (this.#server as HttpsServer).setSecureContext({
          ...createContext(tls),
          minVersion: OLDEST,
        });
      this.#adopted();
    };
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #adopted(): void {
    store(this.#around)?.set('files', this.#files);
    const warning = certificateWarning(this.#files);
    if (warning) this.#around.log.warn(warning);
  }

  async #listen(listen: Endpoint): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: Error) => {
        const message = `cannot serve the API on ${formatEndpoint(listen)}: ${error.message}`;
        reject(new SluiceError('ERR_SOCKET', message, { cause: error }));
      };
      this.#server.once('error', refuse);
      const fd = this.#around.listener?.(formatEndpoint(listen));
      const to = fd === undefined ? { host: listen.address, port: listen.port } : { fd };
      this.#server.listen(to, () => {
        this.#server.off('error', refuse);
        resolve();
      });
    });
  }

  #count(socket: Socket): void {
    const from = socket.remoteAddress ?? '';
    const open = (this.#open.get(from) ?? 0) + 1;
    if (open > MOST_OF_ONE) {
      socket.destroy();
      return;
    }
    this.#open.set(from, open);
    socket.once('close', () => {
      const left = (this.#open.get(from) ?? 1) - 1;
      if (left === 0) this.#open.delete(from);
      else this.#open.set(from, left);
    });
  }

  /** Throws for whoever has no token, or has tried too many. */
  #callerOf({ headers, socket }: IncomingMessage): Caller {
    const from = socket.remoteAddress ?? '';
    const seconds = this.#failures.wait(from);
    if (seconds > 0) throw new TooMany(seconds);
    try {
      return callerOf(headers.authorization, this.#files.tokens);
    } catch (error) {
      // Asking without one is how a page finds out that it needs one.
      if (codeOf(error) === 'ERR_API_TOKEN' && headers.authorization !== undefined) {
        this.#failures.note(from);
        this.#tellFailures.run('token', (suppressed) => {
          const more = suppressed > 0 ? ` (and ${suppressed} times before)` : '';
          this.#around.log.warn(`API: a wrong token from ${from}${more}`, {
            code: 'ERR_API_TOKEN',
          });
        });
      }
      throw error;
    }
  }
}
