/**
 * The native prober: thousands of conversations at once, each with exactly one end, and the ends
 * that a server can bring about.
 */
import { createServer, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from '../../src/health/checkers/index.js';
import { ask, prober } from '../../src/health/checkers/prober.js';
import { native, PROBE_WORDS } from '../../src/native.js';
import { COMMON } from '../health/support.js';
import { inside, ip, run } from './support/inside.js';

const SERVER = '198.51.100.11';
const SILENT = '198.51.100.12';
const [OPEN, CLOSED, FIRST] = [7000, 7001, 7002];

const never = new AbortController().signal;
const probe = (
  port: number,
  more: { address?: string; question?: string; signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<Outcome> => {
  const { address = SERVER, question = '', signal = never, timeoutMs = 5_000 } = more;
  const check = { ...COMMON, connectTimeoutMs: timeoutMs };
  const server = { address, port };
  return ask(check, { server, service: server, mode: 'nat' }, signal, question, (status) => ({
    ok: true,
    detail: `status ${status}`,
  }));
};

/** What a server says to whoever has asked, and what comes of it. */
const ANSWERS: [it: string, say: (socket: Socket) => void, detail: string][] = [
  ['a head and a body', (s) => s.write('HTTP/1.1 204 No Content\r\na: b\r\n\r\n'), 'status 204'],
  ['without a reason', (s) => s.write('HTTP/1.0 200\r\n\r\n'), 'status 200'],
  ['lines that end in LF', (s) => s.write('HTTP/1.1 302 x\nlocation: /\n\n'), 'status 302'],
  [
    'an interim answer before the final one',
    (s) => s.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 busy\r\n\r\n'),
    'status 503',
  ],
  ['SSH', (s) => s.write('SSH-2.0-x\r\n'), 'answer is not HTTP'],
  ['a status that is no number', (s) => s.write('HTTP/1.1 2x0 OK\r\n\r\n'), 'answer is not HTTP'],
  ['a status below 100', (s) => s.write('HTTP/1.1 099 OK\r\n\r\n'), 'answer is not HTTP'],
  ['an end before the head is complete', (s) => s.end('HTTP/1.1 200 OK\r\n'), 'connection closed'],
  ['a reset', (s) => s.resetAndDestroy(), 'connection reset'],
  [
    'a head without end',
    (s) => s.write(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(20_000)}`),
    'answer is not HTTP',
  ],
];

if (inside(import.meta.url, 'the native prober')) {
  let accepted = 0;
  test.before(() => {
    ip('link set lo up', `addr add ${SERVER}/32 dev lo`, `addr add ${SILENT}/32 dev lo`);
    run(
      'nft',
      `add table ip t; add chain ip t in { type filter hook input priority 0; };
      add rule ip t in ip daddr ${SILENT} drop`,
    );
    const serve = (port: number, say: (socket: Socket) => void) =>
      createServer((socket) => {
        accepted++;
        socket.on('error', () => {});
        say(socket);
      })
        .listen(port, SERVER, 4096)
        .unref();
    serve(OPEN, () => {});
    ANSWERS.forEach(([, say], i) => {
      serve(FIRST + i, (socket) => socket.once('data', () => say(socket)));
    });
  });

  ANSWERS.forEach(([it, , detail], i) => {
    test(`answer: ${it}`, async () => {
      assert.is((await probe(FIRST + i, { question: 'GET / HTTP/1.1\r\n\r\n' })).detail, detail);
    });
  });

  test('an answer in parts is one answer', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      const parts = ['HT', 'TP/1.1 20', '1 Created\r', '\n\r', '\n'];
      const next = () => {
        const part = parts.shift();
        if (part === undefined) return;
        socket.write(part);
        setTimeout(next, 20);
      };
      socket.once('data', next);
    });
    server.listen(FIRST + 100, SERVER).unref();
    assert.is((await probe(FIRST + 100, { question: 'x' })).detail, 'status 201');
  });

  test('five thousand at once: each ends once, good and bad side by side', async () => {
    accepted = 0;
    const outcomes = await Promise.all(
      Array.from({ length: 5_000 }, (_, i) => {
        if (i % 5 === 1) return probe(CLOSED);
        return i % 5 === 2
          ? probe(OPEN, { address: SILENT, timeoutMs: 200 })
          : probe(OPEN, { timeoutMs: 20_000 });
      }),
    );
    const count = (detail: string) => outcomes.filter((one) => one.detail === detail).length;
    assert.equal(
      [count('connected'), count('connection refused'), count('timed out')],
      [3_000, 1_000, 1_000],
    );
    assert.ok(prober.cpuNs > 0);
    assert.ok(accepted > 0);
  });

  test('given up: its outcome comes at once, and the next one is not mistaken for it', async () => {
    const abort = new AbortController();
    const gone = probe(OPEN, { address: SILENT, timeoutMs: 60_000, signal: abort.signal });
    const before = probe(OPEN, { address: SILENT, timeoutMs: 60_000, signal: AbortSignal.abort() });
    setTimeout(() => abort.abort(), 20);
    assert.is((await gone).detail, 'given up');
    assert.is((await before).detail, 'given up');
    assert.is((await probe(OPEN)).detail, 'connected');
  });

  test('no local port left: not tried, and so no failure of the server', async () => {
    run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=40000 40001');
    const silent = { address: SILENT, timeoutMs: 400 };
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => probe(OPEN, silent)));
    run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 65535');
    assert.equal(
      outcomes.map(({ detail, notTried }) => [detail, notTried]),
      [
        ['timed out', undefined],
        ['timed out', undefined],
        ['no local port is free', true],
        ['no local port is free', true],
      ],
    );
  });

  test('wrong orders are refused', () => {
    const one = native().createProber(() => {});
    const coded = (body: () => void) => {
      assert.throws(body, (error: { code?: string }) => error.code === 'ERR_NATIVE_ARGUMENT');
    };
    coded(() => native().createProber(undefined as never));
    coded(() => one.start(new Uint32Array(PROBE_WORDS + 1), new Uint8Array()));
    coded(() => one.start(Uint32Array.of(0, 0, 0, 0, 0, 1, 1, 0, 9), new Uint8Array(8)));
    coded(() => one.start(Uint32Array.of(0, 0, 0, 0, 0, 1, 1, 16, 0), new Uint8Array(16)));
    coded(() => one.start([] as never, new Uint8Array()));
    coded(() => one.cancel([] as never));
    one.close();
    one.close();
    assert.throws(
      () => one.cpuNs(),
      (error: { code?: string }) => error.code === 'ERR_NATIVE_STOPPED',
    );
  });
}

test.run();
