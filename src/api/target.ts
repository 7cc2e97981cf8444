/**
 * Which running director, and how it is reached: by its control socket, or from afar by the API over
 * TCP, with a token.
 */
import { readFileSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { codeOf, SluiceError } from '../errors.js';

export interface Remote {
  /** `https://192.0.2.1:8443`; `http:` to this machine only, as at the end of a tunnel. */
  url: string;
  /** Needed by every director but one that is reached by its forwarded control socket. */
  token?: string | undefined;
  /** PEM of whoever signed its certificate; the system's authorities unless given. */
  ca?: string | undefined;
}

export type Target = string | Remote;

/** In the words of `sluice`'s options. */
export interface TargetWords {
  director?: string | undefined;
  tokenFile?: string | undefined;
  ca?: string | undefined;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Throws ERR_USAGE for an address that is none. */
function checkedUrl(text: string): URL {
  const wrong = (expected: string) =>
    new SluiceError('ERR_USAGE', `director is ${JSON.stringify(text)}, expected ${expected}`);
  if (!URL.canParse(text)) throw wrong('an address such as https://192.0.2.1:8443');
  const url = new URL(text);
  if (!['https:', 'http:'].includes(url.protocol)) throw wrong('https://HOST:PORT');
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw wrong('https://HOST:PORT and nothing more');
  }
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    throw wrong('https: a token is not sent in the clear to another machine');
  }
  return url;
}

/** Reads the files that options name. Throws ERR_API_FILE, ERR_USAGE. */
export function remoteOf({ director, tokenFile, ca }: TargetWords): Remote | undefined {
  if (director === undefined) return undefined;
  checkedUrl(director);
  return {
    url: director,
    token: tokenFile === undefined ? undefined : readToken(tokenFile),
    ca: ca === undefined ? undefined : read(ca),
  };
}

function readToken(path: string): string {
  const token = read(path).trim();
  if ((statSync(path).mode & 0o007) !== 0) {
    throw new SluiceError('ERR_API_FILE', `${path} is open to everybody: chmod 600 ${path}`);
  }
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new SluiceError('ERR_API_FILE', `${path} holds no token: expected one word`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const message = `cannot read ${path}: ${(cause as Error).message}`;
    throw new SluiceError('ERR_API_FILE', message, { cause });
  }
}

export function targetName(target: Target): string {
  return typeof target === 'string' ? target : target.url;
}

/** One request; rejects with ERR_NOT_RUNNING when nobody is reached. */
export function send(
  target: Target,
  what: Pick<RequestOptions, 'method' | 'path' | 'signal'>,
  body: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = start(target, { ...what, agent: false }, resolve);
    sent.once('error', (error) => reject(unreachable(target, error)));
    sent.end(body);
  });
}

function start(
  target: Target,
  options: RequestOptions,
  answered: (response: IncomingMessage) => void,
) {
  if (typeof target === 'string') {
    return httpRequest({ ...options, socketPath: target }, answered);
  }
  const { token, ca } = target;
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const url = new URL(options.path ?? '/', checkedUrl(target.url));
  return url.protocol === 'http:'
    ? httpRequest(url, { ...options, headers }, answered)
    : httpsRequest(url, { ...options, headers, ...(ca && { ca }) }, answered);
}

const ON_SOCKET: Record<string, string> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens on it',
  EACCES: 'permission denied (the socket is its owner’s alone)',
};
const UNTRUSTED = 'who signed its certificate is not known here: give its CA (--ca FILE)';
const ON_NETWORK: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
};

function unreachable(target: Target, cause: Error): SluiceError {
  const why = typeof target === 'string' ? ON_SOCKET : ON_NETWORK;
  const reason = why[codeOf(cause) ?? ''] ?? cause.message;
  const message = `no running director on ${targetName(target)}: ${reason}`;
  return new SluiceError('ERR_NOT_RUNNING', message, { cause });
}
