/** The files that the API over TCP needs: certificate, key and tokens, read at start and reload. */
import { createHash, X509Certificate } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Loaded } from '../config/load.js';
import { formatPath, type Path } from '../config/source.js';
import { ConfigError, codeOf, type Problem } from '../errors.js';
import type { Role } from './callers.js';

/** A token is found by the SHA-256 of its text; the text itself is not kept. */
export interface Token {
  name: string;
  role: Role;
  hash: Uint8Array;
}

/** Survives structuredClone. */
export interface ApiFiles {
  tls: { cert: Uint8Array; key: Uint8Array } | undefined;
  tokens: Token[];
}

/** 96 bits in base64: fewer can be tried out. */
const SHORTEST_TOKEN = 16;
const LONGEST_FILE = 1 << 20;
/** A key or token is its owner's; a group may read it, so that a director without root can. */
const OTHERS = 0o027;

/** Throws ConfigError with every file that cannot be used. */
export function readApiFiles(loaded: Loaded): ApiFiles | undefined {
  const { api } = loaded.model.director;
  if (!api) return undefined;
  const problems: Problem[] = [];
  const attempt = <Value>(path: Path, action: () => Value): Value | undefined => {
    const at = ['director', 'api', ...path];
    try {
      return action();
    } catch (error) {
      problems.push({
        severity: 'error',
        code: 'ERR_API_FILE',
        place: loaded.locate(at),
        path: formatPath(at),
        message: (error as Error).message,
      });
      return undefined;
    }
  };
  const cert = attempt(['tls', 'certificate'], () => api.tls && read(api.tls.certificate, false));
  const key = attempt(['tls', 'key'], () => api.tls && read(api.tls.key, true));
  const tls = cert && key && { cert, key };
  if (tls) attempt(['tls', 'certificate'], () => createContext(tls));
  const tokens = api.tokens.flatMap(({ name, role, file }, index): Token[] => {
    const known = loaded.tokenHashes?.get(name);
    const hash = known
      ? Buffer.from(known, 'hex')
      : attempt(['tokens', index, 'file'], () => hashOf(tokenIn(file ?? '')));
    return hash ? [{ name, role, hash }] : [];
  });
  if (problems.length > 0) throw new ConfigError(loaded.file, problems);
  return { tls, tokens };
}

export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

/** The first line; neither the token nor any part of it is in a message. */
function tokenIn(file: string): string {
  const token = read(file, true).toString('utf8').split('\n')[0]?.trim() ?? '';
  if (token.length >= SHORTEST_TOKEN && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new Error(
    `the first line of ${file} is no token: expected at least ${SHORTEST_TOKEN} printable ` +
      'characters without spaces, such as of openssl rand -hex 32',
  );
}

function read(file: string, secret: boolean): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    throw new Error(`cannot read ${file}: ${reason(error)}`);
  }
  try {
    // Of what has been opened, not of what has the name by now.
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new Error(`${file} is not an ordinary file`);
    if (stat.size > LONGEST_FILE) throw new Error(`${file} is larger than 1 MiB`);
    if (secret && (stat.mode & OTHERS) !== 0) {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
      throw new Error(`${file} has mode ${mode}: others may open it (chmod 640, or less)`);
    }
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

export function createContext(tls: NonNullable<ApiFiles['tls']>) {
  const [cert, key] = [Buffer.from(tls.cert), Buffer.from(tls.key)];
  try {
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    throw new Error(`certificate and key do not make a pair: ${(error as Error).message}`);
  }
}

/** What a certificate says that somebody should know of, or undefined. */
export function certificateWarning({ tls }: ApiFiles, now = new Date()): string | undefined {
  if (!tls) return undefined;
  const { validFrom, validTo } = new X509Certificate(tls.cert);
  if (new Date(validTo) < now) return `the API's certificate has expired (${validTo})`;
  return new Date(validFrom) > now ? `the API's certificate begins on ${validFrom}` : undefined;
}

function reason(error: unknown): string {
  const code = codeOf(error);
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  return (error as Error).message;
}
