/** The API over TCP: who gets in, who may change something, and who is not waited for. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions as HttpOptions, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attach } from '../../src/api/attach.js';
import { remoteOf } from '../../src/api/target.js';
import { TcpApi } from '../../src/api/tcp.js';
import { Failures } from '../../src/api/tokens.js';
import { createLogger } from '../../src/log.js';
import { Memory, type MemoryContents } from '../../src/supervisor/memory.js';
import { Folder } from '../cli/support.js';
import { RunningReplay } from '../support/running.js';

/** A loopback address that no other run has. */
const HOST = `127.83.${(process.pid >> 8) & 255}.${process.pid & 255}`;
const WRITE = randomBytes(16).toString('hex');
const READ = randomBytes(16).toString('hex');

const folder = mkdtempSync(join(tmpdir(), 'sluice-tcp-'));
const path = (name: string) => join(folder, name);
test.after(() => rmSync(folder, { recursive: true, force: true }));

function certificate(name: string): void {
  const ran = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', path(`${name}.key`), '-out', path(`${name}.pem`), '-days', '2'],
    ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${HOST}`],
  ]);
  assert.is(ran.status, 0, String(ran.stderr));
  chmodSync(path(`${name}.key`), 0o600);
}
certificate('first');
certificate('second');
mkdirSync(path('tokens'));
const token = (name: string, value: string, mode = 0o600) => {
  writeFileSync(path(`tokens/${name}`), `${value}\n`);
  chmodSync(path(`tokens/${name}`), mode);
};
token('ops', WRITE);

const TOKENS = `[
      { name: ops, role: write, file: ${path('tokens/ops')} },
      { name: graphs, role: read, sha256: ${createHash('sha256').update(READ).digest('hex')} }]`;
const TLS = `tls: { certificate: ${path('first.pem')}, key: ${path('first.key')} }`;
const file = (port: number, tls = TLS, tokens = TOKENS) => `\
director:
  api:
    listen: ${HOST}:${port}
    ${tls}
    tokens: ${tokens}
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers: [{ address: 192.0.2.11:8080, weight: 3 }]
`;

interface Scene {
  director: RunningReplay;
  api: TcpApi;
  port: number;
  log: () => string;
}

let ports = 8_443;

async function scene(
  use: (scene: Scene) => Promise<void>,
  { tls = TLS, limits = {} }: { tls?: string; limits?: Parameters<typeof TcpApi.open>[2] } = {},
): Promise<void> {
  const port = ports++;
  const director = await new RunningReplay(file(port, tls)).open();
  const stream = new PassThrough();
  let log = '';
  stream.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const logger = createLogger({ stream });
  const errors: unknown[] = [];
  const api = await TcpApi.open(
    director.running.loaded,
    { handlers: director.control, log: logger, onError: (error) => errors.push(error) },
    limits,
  );
  try {
    director.prepare = (next) => (api as TcpApi).prepare(next);
    await use({ director, api: api as TcpApi, port, log: () => log });
    assert.equal(errors, []);
    for (const secret of [WRITE, READ]) assert.not.match(log, secret);
  } finally {
    api?.close();
    director.close();
  }
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

function ask(
  port: number,
  method: string,
  target: string,
  {
    bearer,
    body,
    ...more
  }: { bearer?: string | undefined; body?: string } & HttpOptions & {
      ca?: Buffer;
    } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    const ca = readFileSync(path('first.pem'));
    const options = { host: HOST, port, method, path: target, headers, agent: false, ca, ...more };
    const send = more.protocol === 'http:' ? httpRequest : httpsRequest;
    const sent = send(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const code = ({ status, body }: Answer) =>
  `${status} ${(JSON.parse(body) as { error: { code: string } }).error.code}`;
const DRAIN = JSON.stringify({
  cause: 'a test',
  edits: [
    {
      edit: 'drainServer',
      service: { protocol: 'tcp', listen: { address: '203.0.113.10', port: 80 } },
      server: { address: '192.0.2.11', port: 8080 },
    },
  ],
});

test('a token says who asks and what that allows', () =>
  scene(async ({ director, port }) => {
    assert.is(code(await ask(port, 'GET', '/v1/services')), '401 ERR_API_TOKEN');
    assert.is(code(await ask(port, 'GET', '/v1/nothing')), '401 ERR_API_TOKEN');
    assert.is(code(await ask(port, 'GET', '/metrics')), '401 ERR_API_TOKEN');
    const wrong = await ask(port, 'GET', '/v1/services', { bearer: 'wrong' });
    assert.is(code(wrong), '401 ERR_API_TOKEN');
    assert.is(wrong.headers['www-authenticate'], 'Bearer realm="sluice"');

    const session = async (bearer: string) =>
      JSON.parse((await ask(port, 'GET', '/v1/session', { bearer })).body);
    assert.equal(await session(READ), { token: 'graphs', role: 'read' });
    assert.equal(await session(WRITE), { token: 'ops', role: 'write' });

    assert.is((await ask(port, 'GET', '/v1/services', { bearer: READ })).status, 200);
    for (const target of ['/v1/edits', '/v1/reload', '/v1/rollback', '/v1/zero']) {
      const refused = await ask(port, 'POST', target, { bearer: READ, body: DRAIN });
      assert.is(code(refused), '403 ERR_API_FORBIDDEN', target);
    }
    assert.is((await director.client.services())[0]?.servers[0]?.weight, 3);
    assert.is((await ask(port, 'POST', '/v1/edits', { bearer: WRITE, body: DRAIN })).status, 200);
    assert.is((await director.client.services())[0]?.servers[0]?.weight, 0);
    assert.is((await director.client.history()).at(-1)?.cause, 'a test (token ops)');
  }));

test('from another machine: attach(), sluice and ipvsadm, by URL, token and CA', () =>
  scene(async ({ director, port }) => {
    const url = `https://${HOST}:${port}`;
    const ca = readFileSync(path('first.pem'), 'utf8');
    const ops = await attach(url, { token: WRITE, ca });
    assert.is((await ops.services)[0]?.name, 'web');
    await ops.weight('web', '192.0.2.11', 9);
    assert.is(director.running.model.services[0]?.servers[0]?.weight, 9);
    assert.match(inspect(ops), new RegExp(`director sluice on ${url}`));
    const counted = [];
    for await (const one of ops.eachConnection()) counted.push(one);
    assert.equal(counted, []);

    const files = ['--token-file', path('tokens/ops'), '--ca', path('first.pem')];
    const cli = new Folder();
    try {
      const status = await cli.run('--director', url, ...files, 'show', 'status', '--json');
      assert.is(JSON.parse(status.stdout).name, 'sluice', status.stderr);
      const shown = await cli.run('show', 'services', '--director', url, ...files);
      assert.match(shown.stdout, /192\.0\.2\.11:8080 +Masq +9 /, shown.stderr);
      const listed = await cli.run(`--director=${url}`, ...files, 'ipvsadm', '-Sn');
      assert.match(listed.stdout, /^-a -t 203\.0\.113\.10:80 -r 192\.0\.2\.11:8080 -m -w 9$/m);
      const diff = await cli.run(
        'diff',
        '-c',
        cli.write('x.yaml', file(1)),
        '--director',
        url,
        ...files,
      );
      assert.match(diff.stderr, /taken on the control socket only/);
      assert.is(diff.status, 1);
    } finally {
      cli.remove();
    }
  }));

test('from another machine: whoever is not trusted, not let in, not there', () =>
  scene(async ({ port }) => {
    const url = `https://${HOST}:${port}`;
    const ca = readFileSync(path('first.pem'), 'utf8');
    const refused = async (where: string, secrets: Parameters<typeof attach>[1], words: RegExp) => {
      try {
        await attach(where, secrets);
      } catch (error) {
        const { code, message } = error as { code: string; message: string };
        assert.match(`${code} ${message}`, words);
        assert.not.match(message, WRITE);
        return;
      }
      throw new Error(`${where} let us in`);
    };
    await refused(url, { token: WRITE }, /ERR_NOT_RUNNING .*https.*--ca FILE/);
    const other = readFileSync(path('second.pem'), 'utf8');
    await refused(url, { token: WRITE, ca: other }, /^ERR_NOT_RUNNING /);
    await refused(url, { ca }, /^ERR_API_TOKEN /);
    await refused(url, { token: 'wrong', ca }, /^ERR_API_TOKEN /);
    await refused(`https://${HOST}:1`, { token: WRITE }, /ERR_NOT_RUNNING .*nobody listens there/);
    await refused('http://192.0.2.1:80', { token: WRITE }, /ERR_USAGE .*not sent in the clear/);
    await refused('https://user@192.0.2.1', {}, /ERR_USAGE .*nothing more/);
    for (const [name, mode, words] of [
      ['open', 0o604, /chmod 600/],
      ['empty', 0o600, /holds no token/],
    ] as const) {
      token(name, name === 'open' ? WRITE : '', mode);
      assert.throws(
        () => remoteOf({ director: url, tokenFile: path(`tokens/${name}`) }),
        (error: Error) => words.test(error.message),
      );
    }
  }));

test('a file is named on the control socket only: errors would show what is in it', () =>
  scene(async ({ port }) => {
    const of = (bearer: string) => ask(port, 'GET', '/v1/diff?file=/etc/passwd', { bearer });
    assert.is(code(await of(READ)), '403 ERR_API_FORBIDDEN');
    assert.is(code(await of(WRITE)), '403 ERR_API_FORBIDDEN');
    const body = JSON.stringify({ file: '/etc/passwd' });
    const answer = await ask(port, 'POST', '/v1/reload', { bearer: WRITE, body });
    assert.is(code(answer), '403 ERR_API_FORBIDDEN');
  }));

test('no secret is in anything that is shown', () =>
  scene(async ({ director, port }) => {
    const hash = createHash('sha256').update(READ).digest('hex');
    const shown = [JSON.stringify(director.running.model)];
    for (const target of ['/v1/status', '/v1/diff', '/v1/history', '/openapi.json']) {
      shown.push((await ask(port, 'GET', target, { bearer: WRITE })).body);
    }
    director.write(file(port, TLS, TOKENS.replace('graphs', 'plots')));
    shown.push(JSON.stringify(await director.client.diff()));
    assert.match(shown.join(), /plots/);
    for (const secret of [WRITE, READ, hash]) assert.not.match(shown.join(), secret);
  }));

test('tokens, certificate and key are read again at a reload, all or none', () =>
  scene(async ({ director, port }) => {
    const works = async (bearer: string) =>
      (await ask(port, 'GET', '/v1/session', { bearer, rejectUnauthorized: false } as HttpOptions))
        .status === 200;
    const next = randomBytes(16).toString('hex');
    token('ops', next, 0o644);
    const second = TLS.replaceAll('first', 'second');
    director.write(file(port, second));
    await rejects(director.client.reload(), /tokens\/ops has mode 0644: others may open it/);
    assert.ok(await works(WRITE));
    token('ops', next, 0o640);
    await director.client.reload();
    assert.not.ok(await works(WRITE));
    assert.ok(await works(next));
    const ca = readFileSync(path('second.pem'));
    assert.is((await ask(port, 'GET', '/v1/session', { bearer: next, ca })).status, 200);
    director.write(file(port, TLS.replace('first.key', 'second.key')));
    await rejects(director.client.reload(), /certificate and key do not make a pair/);
    // Where it listens is another matter.
    director.write(file(port + 1, second));
    await rejects(director.client.reload(), /director\.api: changed .* only at a restart/);
    assert.ok(await works(next));
    token('ops', WRITE);
    await director.client.rollback().catch(() => {});
    assert.ok(await works(next), 'a rollback brings no old token back');
  }));

test('what was in force outlives a control plane, whatever the files say by then', () =>
  scene(async ({ director, api, port }) => {
    api.close();
    const { loaded } = director.running;
    const around = {
      handlers: director.control,
      log: createLogger({ stream: new PassThrough() }),
      onError: () => {},
    };
    const contents: MemoryContents = new Map();
    const first = await TcpApi.open(loaded, { ...around, memory: new Memory(contents) });
    first?.close();
    token('ops', randomBytes(16).toString('hex'));
    const memory = new Memory(structuredClone(contents));
    const second = await TcpApi.open(loaded, { ...around, memory });
    assert.is((await ask(port, 'GET', '/v1/session', { bearer: WRITE })).status, 200);
    assert.is((await ask(port, 'GET', '/v1/session', { bearer: READ })).status, 200);
    second?.close();
    token('ops', WRITE);
  }));

test('wrong tokens are counted, and then nobody at that address is listened to', () =>
  scene(async ({ port, log }) => {
    const statuses: number[] = [];
    for (let count = 0; count < 12; count++) {
      statuses.push((await ask(port, 'GET', '/v1/status', { bearer: `guess${count}` })).status);
    }
    assert.equal(statuses, [...Array(10).fill(401), 429, 429]);
    const late = await ask(port, 'GET', '/v1/status', { bearer: WRITE });
    assert.is(code(late), '429 ERR_API_TOO_MANY');
    assert.ok(Number(late.headers['retry-after']) > 0);
    assert.is(log().match(/a wrong token from 127/g)?.length, 1);
    assert.not.match(log(), /guess/);
  }));

test('an address waits for a minute at most, and many addresses take no memory', () => {
  let now = 0;
  const failures = new Failures(() => now);
  for (let count = 0; count < 9; count++) failures.note('192.0.2.7');
  assert.is(failures.wait('192.0.2.7'), 0);
  failures.note('192.0.2.7');
  assert.is(failures.wait('192.0.2.7'), 60);
  assert.is(failures.wait('192.0.2.8'), 0);
  now = 59_500;
  assert.is(failures.wait('192.0.2.7'), 1);
  now = 60_000;
  assert.is(failures.wait('192.0.2.7'), 0);
  for (let count = 0; count < 10; count++) failures.note('192.0.2.7');
  for (let host = 0; host < 4_096; host++) failures.note(`198.18.${host >> 8}.${host & 255}`);
  assert.is(failures.wait('192.0.2.7'), 0);
});

test('large bodies, large headers and slow ones', () =>
  scene(
    async ({ port }) => {
      const body = `"${'x'.repeat(2 << 20)}"`;
      const large = await ask(port, 'POST', '/v1/edits', { bearer: WRITE, body }).catch(() => null);
      if (large) assert.is(code(large), '413 ERR_API_TOO_LARGE');
      const header = await ask(port, 'GET', `/${'x'.repeat(20_000)}`, { bearer: WRITE });
      assert.is(header.status, 431);
    },
    { limits: {} },
  ));

test('who dribbles is cut off, in the header as in the body', () =>
  scene(
    async ({ port }) => {
      const slow = async (text: string) => {
        const socket = connect(port, HOST);
        socket.on('error', () => {});
        socket.write(text);
        const dribble = setInterval(() => socket.write('x'), 50);
        const said = await closed(socket);
        clearInterval(dribble);
        return said;
      };
      assert.match(await slow('GET / HTTP/1.1\r\nHost: a\r\nX: '), /^HTTP\/1\.1 408 |^$/);
      const post = `POST /v1/edits HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${WRITE}\r\n`;
      assert.match(await slow(`${post}Content-Length: 99999\r\n\r\n`), /^HTTP\/1\.1 408 |^$/);
      const good = await ask(port, 'GET', '/v1/status', { bearer: READ, protocol: 'http:' });
      assert.is(good.status, 200);
    },
    {
      tls: '',
      limits: { headersTimeout: 200, requestTimeout: 400, connectionsCheckingInterval: 50 },
    },
  ));

test('one address gets so many connections', () =>
  scene(
    async ({ port }) => {
      const sockets = Array.from({ length: 80 }, () => connect(port, HOST));
      for (const socket of sockets) socket.on('error', () => {});
      const cut = sockets.filter((socket) => socket.on('close', () => {}));
      const deadline = Date.now() + 20_000;
      while (cut.filter(({ destroyed }) => destroyed).length < 16 && Date.now() < deadline) {
        for (const socket of sockets) socket.resume();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.is(sockets.filter(({ destroyed }) => destroyed).length, 16);
      for (const socket of sockets) socket.destroy();
    },
    { tls: '' },
  ));

test('the page needs no token, and nothing but it runs in it', () =>
  scene(async ({ port }) => {
    const { status, headers, body } = await ask(port, 'GET', '/');
    assert.is(status, 200);
    assert.match(headers['content-type'] as string, /^text\/html/);
    assert.match(headers['content-security-policy'] as string, /^default-src 'none'; script-src/);
    assert.not.match(headers['content-security-policy'] as string, /unsafe/);
    assert.is(headers['x-content-type-options'], 'nosniff');
    assert.not.match(body, /<script(?![^>]*\bsrc=)|<style|\son\w+=|javascript:|https?:\/\//i);
    const again = await ask(port, 'GET', '/', {
      headers: { 'if-none-match': headers.etag as string },
    });
    assert.is(again.status, 304);
    assert.is((await ask(port, 'GET', '/dashboard/../errors.js')).status, 401);
    assert.is((await ask(port, 'GET', '/openapi.json')).status, 200);
  }));

test('the control socket, forwarded to a port, takes no requests of foreign pages', () =>
  scene(async ({ director }) => {
    const from = async (headers: Record<string, string>, method = 'POST', target = '/v1/zero') => {
      const options = { socketPath: director.socket, headers, protocol: 'http:' };
      return (await ask(0, method, target, options as HttpOptions)).status;
    };
    assert.is(await from({}), 200);
    assert.is(await from({ host: 'localhost:8080', origin: 'http://localhost:8080' }), 200);
    assert.is(await from({ host: '127.0.0.1:8080', 'sec-fetch-site': 'same-origin' }), 200);
    assert.is(await from({ host: 'localhost:8080', origin: 'http://evil.example' }), 403);
    assert.is(await from({ host: 'localhost:8080', origin: 'null' }), 403);
    assert.is(await from({ host: 'localhost:8080', 'sec-fetch-site': 'cross-site' }), 403);
    assert.is(await from({ host: 'localhost:8080', 'sec-fetch-site': 'same-site' }), 403);
    assert.is(await from({ host: 'evil.example:8080' }, 'GET', '/v1/services'), 403);
  }));

async function rejects(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: Error) => reason,
  );
  assert.match(error?.message ?? 'nothing', message);
}

function closed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text));
  });
}

test.run();
