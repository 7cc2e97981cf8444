/**
 * Long answers: made as they are sent, in slices, and no faster than they are read. Whoever leaves
 * ends them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { constants, createGzip } from 'node:zlib';
import { pacer } from '../slices.js';

/** Characters of a piece: a fraction of a millisecond's work. */
const PIECE = 65_536;

/** One JSON object a line. */
export async function sendLines(
  response: ServerResponse,
  values: AsyncIterable<object>,
): Promise<void> {
  const iterator = values[Symbol.asyncIterator]();
  // The first step finds what is wrong with the request while the status can still say so.
  let next = await iterator.next();
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  while (!next.done && !response.destroyed) {
    if (!response.write(`${JSON.stringify(next.value)}\n`)) await drained(response, response);
    next = await iterator.next();
  }
  // A reader that left does not keep the listing open.
  if (!next.done) await iterator.return?.();
  response.end();
}

/** Text, compressed for those who take that: a listing of many servers is the same words again and again. */
export async function sendText(
  request: Pick<IncomingMessage, 'method' | 'headers'>,
  response: ServerResponse,
  type: string,
  pieces: Iterable<string>,
): Promise<void> {
  const zipped = takesGzip(request.headers['accept-encoding']);
  const iterator = pieces[Symbol.iterator]();
  // What cannot be told at all shows at the first step, while the status can still say so.
  const first = iterator.next();
  response.writeHead(200, {
    'content-type': type,
    vary: 'accept-encoding',
    ...(zipped && { 'content-encoding': 'gzip' }),
  });
  if (request.method === 'HEAD') {
    iterator.return?.();
    response.end();
    return;
  }
  if (!zipped) return send(response, response, iterator, first);
  // Compression has a thread of its own; the least of it makes a tenth of such text already.
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  response.once('close', () => gzip.destroy());
  gzip.pipe(response);
  return send(response, gzip, iterator, first);
}

/** `value` as JSON, lists in it that are iterables included. */
export function sendJson(
  request: Pick<IncomingMessage, 'method' | 'headers'>,
  response: ServerResponse,
  value: unknown,
): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  const pieces = jsonPieces(Array.isArray(value) ? value.values() : value);
  return sendText(request, response, 'application/json', gathered(pieces));
}

async function send(
  response: ServerResponse,
  to: Writable,
  pieces: Iterator<string>,
  first: IteratorResult<string>,
): Promise<void> {
  const rest = pacer();
  for (let next = first; !next.done; next = pieces.next()) {
    if (!to.write(next.value)) await drained(response, to);
    const pause = rest();
    if (pause) await pause;
    if (response.destroyed) {
      pieces.return?.();
      return;
    }
  }
  to.end();
}

/** `gzip;q=0` refuses it (RFC 9110, section 12.5.3). */
export function takesGzip(accepted: string | string[] | undefined): boolean {
  return String(accepted ?? '')
    .split(',')
    .some((one) => {
      const [coding = '', ...parameters] = one.split(';').map((part) => part.trim().toLowerCase());
      return coding === 'gzip' && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
    });
}

function* jsonPieces(value: unknown): Generator<string> {
  if (isList(value)) {
    let glue = '[';
    for (const member of value) {
      yield glue;
      yield* jsonPieces(member);
      glue = ',';
    }
    yield glue === '[' ? '[]' : ']';
  } else if (isObject(value) && Object.values(value).some(isList)) {
    let glue = '{';
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue;
      yield `${glue}${JSON.stringify(key)}:`;
      yield* jsonPieces(member);
      glue = ',';
    }
    yield '}';
  } else yield JSON.stringify(value);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
/** An array is short. */
const isList = (value: unknown): value is Iterable<unknown> =>
  isObject(value) && !Array.isArray(value) && Symbol.iterator in value;

/** Fewer and longer, and a newline at the end. */
function* gathered(pieces: Iterable<string>): Generator<string> {
  let text = '';
  for (const piece of pieces) {
    text += piece;
    if (text.length < PIECE) continue;
    yield text;
    text = '';
  }
  yield `${text}\n`;
}

/** Until `to` takes more, or nobody reads any more. */
function drained(response: ServerResponse, to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      to.off('drain', done);
      response.off('close', done);
      resolve();
    };
    to.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}
