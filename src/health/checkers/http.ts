/**
 * HTTP_GET and SSL_GET: each URL of the check answers with a status code, digest and text as
 * configured. Asked in HTTP/1.1 with `Connection: close`, a connection each.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { createSecureContext, connect as startTls, type TLSSocket } from 'node:tls';
import type { HttpCheck, HttpUrl } from '../model.js';
import { failure, type Outcome, type Probe, type Target, wordsOf } from './checker.js';
import { destination, withConnection } from './connection.js';
import { ask } from './prober.js';

/** A body beyond this is no health page; what the check is about has to come before. */
const LONGEST_BODY = 16 << 20;

export const http: Probe<HttpCheck> = (check, target, step, signal) => {
  const url = check.urls[step % check.urls.length] as HttpUrl;
  const host = url.virtualhost ?? check.virtualhost ?? hostOf(check, target);
  if (!check.tls && url.digest === undefined && url.regex === undefined) {
    return ask(check, target, signal, questionOf(url, host), (status) => {
      const problem = judgeStatus(status, url);
      return problem === undefined ? success(status) : failure(problem);
    });
  }
  return askInFull(check, target, url, host, signal);
};

/** As Node's own client writes it. */
function questionOf({ path }: HttpUrl, host: string): string {
  const fields = Object.entries(fieldsOf(host)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`;
}

const fieldsOf = (host: string) => ({
  host,
  'user-agent': 'Sluice',
  accept: '*/*',
  connection: 'close',
});

/** With TLS, or where the body counts. */
function askInFull(
  check: HttpCheck,
  target: Target,
  url: HttpUrl,
  host: string,
  signal: AbortSignal,
): Promise<Outcome> {
  return withConnection(check, target, signal, (socket, done) => {
    if (!check.tls) {
      converse(socket, url, host, done);
      return;
    }
    let secure: TLSSocket;
    try {
      secure = startTls({
        socket,
        secureContext: contextOf(check),
        servername: check.sni && isIP(host) === 0 ? host : undefined,
        rejectUnauthorized: check.verify,
        // The name to be checked is the one that clients use, whether or not it is sent.
        host,
      });
    } catch (error) {
      done(failure(wordsOf(error)));
      return;
    }
    secure.on('error', (error) => done(failure(`TLS: ${wordsOf(error)}`)));
    secure.once('secureConnect', () => converse(secure, url, host, done));
  });
}

function hostOf(check: HttpCheck, target: Target): string {
  const { address, port } = destination(check, target);
  const literal = address.includes(':') ? `[${address}]` : address;
  return port === (check.tls ? 443 : 80) ? literal : `${literal}:${port}`;
}

const contexts = new WeakMap<HttpCheck, ReturnType<typeof createSecureContext>>();

/** Files are read when the check first runs; a reload makes a new check and reads them again. */
function contextOf(check: HttpCheck) {
  let context = contexts.get(check);
  if (!context) {
    const read = (path: string | undefined) =>
      path === undefined ? undefined : readFileSync(path);
    context = createSecureContext({
      ca: read(check.ca),
      cert: read(check.certificate),
      key: read(check.key),
      passphrase: check.password,
    });
    contexts.set(check, context);
  }
  return context;
}

function converse(
  socket: Socket,
  url: HttpUrl,
  host: string,
  done: (outcome: Outcome) => void,
): void {
  let question: ClientRequest;
  try {
    question = request({
      createConnection: () => socket,
      path: url.path,
      headers: fieldsOf(host),
    });
  } catch (error) {
    done(failure(wordsOf(error)));
    return;
  }
  question.on('error', (error) => done(failure(wordsOf(error))));
  question.on('response', (answer) => {
    const problem = judgeStatus(answer.statusCode as number, url);
    if (problem !== undefined) done(failure(problem));
    else if (url.digest === undefined && url.regex === undefined) done(success(answer.statusCode));
    else readBody(answer, url, done);
  });
  question.end();
}

function success(status: number | undefined): Outcome {
  return { ok: true, detail: `status ${status}` };
}

function readBody(answer: IncomingMessage, url: HttpUrl, done: (outcome: Outcome) => void): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  answer.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > LONGEST_BODY) done(failure(`body longer than ${LONGEST_BODY >> 20} MiB`));
    else parts.push(part);
  });
  answer.on('error', (error) => done(failure(wordsOf(error))));
  answer.on('end', () => {
    const problem = judgeBody(Buffer.concat(parts), url);
    done(problem === undefined ? success(answer.statusCode) : failure(problem));
  });
}

export function judgeStatus(status: number, { statusCodes }: HttpUrl): string | undefined {
  if (statusCodes.some(([low, high]) => low <= status && status <= high)) return undefined;
  return `status ${status}`;
}

export function judgeBody(body: Buffer, url: HttpUrl): string | undefined {
  if (url.digest !== undefined) {
    const digest = createHash('md5').update(body).digest('hex');
    if (digest !== url.digest.toLowerCase()) return `digest ${digest}`;
  }
  if (url.regex === undefined) return undefined;
  return found(body, url) === url.regexNoMatch
    ? `regex ${url.regexNoMatch ? 'matches' : 'does not match'}`
    : undefined;
}

/** Offsets are bytes: latin1 keeps one character a byte, and UTF-8 only where offsets don't matter. */
function found(body: Buffer, url: HttpUrl): boolean {
  const { regex, regexFlags, regexMinOffset, regexMaxOffset } = url;
  const inBytes = regexMinOffset > 0 || regexMaxOffset !== undefined;
  const expression = new RegExp(regex as string, `${regexFlags.replace(/[gy]/g, '')}g`);
  expression.lastIndex = regexMinOffset;
  const match = expression.exec(body.toString(inBytes ? 'latin1' : 'utf8'));
  return match !== null && (regexMaxOffset === undefined || match.index < regexMaxOffset);
}
