/** The control socket: who may claim it, what it answers, how a client reads it. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { attach } from '../../src/api/attach.js';
import { ControlClient } from '../../src/api/client.js';
import { type ConnectionQuery, claimSocket, type Handlers, serve } from '../../src/api/server.js';
import { SluiceError } from '../../src/errors.js';
import { connection, handlers, service } from '../support/api.js';
import { Folder } from './support.js';

const folder = new Folder();
test.after(() => folder.remove());

const services = [service()];

/** Serves for the time of `use`, and gives the errors that were reported. */
async function served(
  name: string,
  more: Partial<Handlers>,
  use: (socket: string) => Promise<void>,
): Promise<unknown[]> {
  const socket = folder.file(name);
  const errors: unknown[] = [];
  const server = await serve(socket, handlers(more), (error) => errors.push(error));
  try {
    await use(socket);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return errors;
}

test('only its owner may open the socket', async () => {
  await served('mode.sock', {}, async (socket) => {
    assert.is(statSync(socket).mode & 0o777, 0o600);
  });
});

test('a live director on the socket: a second one refuses, the first goes on', async () => {
  await served('live.sock', {}, async (socket) => {
    await rejects(claimSocket(socket), 'ERR_ALREADY_RUNNING');
    assert.is((await new ControlClient(socket).services()).length, 1);
  });
});

test('a dead director’s socket is removed; another file is not', async () => {
  // What kill -9 leaves: a socket file that nobody listens on.
  const socket = folder.file('dead.sock');
  const server = createTcpServer().listen(socket);
  await new Promise((resolve) => server.once('listening', resolve));
  const { linkSync } = await import('node:fs');
  linkSync(socket, folder.file('kept.sock'));
  await new Promise((resolve) => server.close(resolve));
  assert.ok(statSync(folder.file('kept.sock')).isSocket());
  await claimSocket(folder.file('kept.sock'));
  assert.not.ok(existsSync(folder.file('kept.sock')));

  writeFileSync(folder.file('notes.txt'), 'precious');
  await rejects(claimSocket(folder.file('notes.txt')), 'ERR_SOCKET');
  assert.ok(existsSync(folder.file('notes.txt')));
});

test('the folder of the socket is made', async () => {
  await claimSocket(folder.file('run/deep/d1.sock'));
  assert.ok(statSync(folder.file('run/deep')).isDirectory());
});

test('listings come as they are', async () => {
  const errors = await served('list.sock', {}, async (socket) => {
    const client = new ControlClient(socket);
    assert.equal(await client.services(), services);
    assert.equal(await client.drops(), { ends: [], extra: {} });
    const found: string[] = [];
    for await (const one of client.connections({ limit: 3 })) found.push(one.client);
    assert.equal(found, ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
  });
  assert.equal(errors, []);
});

test('filters reach the handler', async () => {
  let seen: ConnectionQuery | undefined;
  const connections = async function* (query: ConnectionQuery) {
    seen = query;
    yield connection('192.0.2.7');
  };
  await served('filter.sock', { connections }, async (socket) => {
    const client = new ControlClient(socket);
    for await (const _ of client.connections({ client: '192.0.2.7', service: 'web' }));
    assert.equal(seen, { client: '192.0.2.7', service: 'web', limit: 0 });
  });
});

test('a wrong filter is the asker’s mistake, with its code', async () => {
  const connections = async function* ({ service }: ConnectionQuery) {
    if (service) throw new SluiceError('ERR_API', `no service is called ${service}`);
    yield connection('192.0.2.7');
  };
  const errors = await served('wrong.sock', { connections }, async (socket) => {
    const client = new ControlClient(socket);
    await rejects(
      client.connections({ service: 'nope' }).next(),
      'ERR_API',
      /no service is called nope/,
    );
  });
  assert.equal(errors, []);
});

test('a refused reload keeps its code and text', async () => {
  const reload = () => {
    throw new SluiceError('ERR_CONFIG', 'director.yaml:3:4: bad');
  };
  const errors = await served('reload.sock', { reload }, async (socket) => {
    await rejects(new ControlClient(socket).reload(), 'ERR_CONFIG', /director.yaml:3:4: bad/);
  });
  assert.equal(errors, []);
});

test('a bug in one handler answers 500, is reported, and the next request is served', async () => {
  const drops = () => {
    throw new TypeError('undefined is not a drop');
  };
  const errors = await served('bug.sock', { drops }, async (socket) => {
    const client = new ControlClient(socket);
    await rejects(client.drops(), 'ERR_API', /undefined is not a drop/);
    assert.equal(await client.services(), services);
  });
  assert.is(errors.length, 1);
});

test('a listing of many connections that nobody reads to the end does no harm', async () => {
  let made = 0;
  const connections = async function* () {
    for (let n = 0; n < 100_000; n++) {
      made++;
      yield connection('192.0.2.7');
    }
  };
  await served('many.sock', { connections }, async (socket) => {
    const client = new ControlClient(socket);
    for await (const _ of client.connections()) break;
    assert.equal(await client.services(), services);
    assert.ok(made < 100_000, 'the whole listing was made for a reader that left');
  });
});

test('a director that dies in the middle of a listing', async () => {
  const connections = async function* () {
    yield connection('192.0.2.7');
    await new Promise((resolve) => setTimeout(resolve, 50));
    throw new Error('out of luck');
  };
  const errors = await served('dies.sock', { connections }, async (socket) => {
    const listing = new ControlClient(socket).connections();
    await listing.next();
    await rejects(listing.next(), 'ERR_API', /broke off in the middle/);
  });
  assert.is(errors.length, 1);
});

test('what the API does not have', async () => {
  await served('none.sock', {}, async (socket) => {
    const { request } = await import('node:http');
    const status = await new Promise((resolve) =>
      request({ socketPath: socket, path: '/v2/services', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end(),
    );
    assert.is(status, 404);
  });
});

test('attach(): live objects that are data and print as listings', async () => {
  await served('attach.sock', {}, async (socket) => {
    const director = await attach(socket);
    assert.is(director.name, 'd1');
    assert.match(inspect(director), /director d1 on .*\n {2}\.services/);
    const found = await director.services;
    assert.is(found[0]?.name, 'web');
    assert.match(inspect(found), /^IP Virtual Server version 1 \(size=10\)\n/);
    assert.equal(JSON.parse(JSON.stringify(found)), services);
    const connections = await director.connections({ limit: 2 });
    assert.is(connections.length, 2);
    assert.match(inspect(connections), /ESTABLISHED 192\.0\.2\.1:40000/);
  });
  await rejects(attach(folder.file('nobody.sock')), 'ERR_NOT_RUNNING');
});

async function rejects(promise: Promise<unknown>, code: string, message = /./): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.is((error as { code?: string }).code, code);
    assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`expected ${code}`);
}

test.run();
