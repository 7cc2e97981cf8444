/**
 * A director with many services is read by its control socket: what is asked for is all that is
 * looked at, what is long comes as it is read and no faster, and who leaves has ended it.
 */
import { once } from 'node:events';
import { type IncomingMessage, request, type Server } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ControlClient } from '../../src/api/client.js';
import type { Handlers } from '../../src/api/handlers.js';
import { serve } from '../../src/api/server.js';
import { takesGzip } from '../../src/api/streaming.js';
import type { ServiceReport } from '../../src/api/types.js';
import { asked } from '../../src/cli/top-screen.js';
import { metrics } from '../../src/stats/metrics.js';
import { Folder } from '../cli/support.js';
import { handlers } from '../support/api.js';
import { RunningReplay } from '../support/running.js';

const SERVICES = 300;
const SERVERS = 4;

const service = (at: number) => `\
  - name: s${at}
    listen: 203.0.113.${1 + (at % 250)}:${80 + Math.floor(at / 250)}
    mode: nat
    servers: [${Array.from({ length: SERVERS }, (_, one) => `{ address: 198.51.${at % 250}.${1 + one}:${8080 + Math.floor(at / 250)} }`).join(', ')}]
`;
const CONFIG = `\
director: { name: big }
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.254.1/16] }
services:
${Array.from({ length: SERVICES }, (_, at) => service(at)).join('')}`;

let running: RunningReplay;
let folder: Folder;
/** Figures that were read, by what they are of. */
const read = { services: 0, servers: 0 };

test.before(async () => {
  folder = new Folder();
  running = await new RunningReplay(CONFIG).open();
  const { counters } = running;
  for (const [kind, name] of [
    ['services', 'service'],
    ['servers', 'server'],
  ] as const) {
    const plain = counters[name].bind(counters) as (slot: number) => never;
    counters[name] = (slot: number) => {
      read[kind]++;
      return plain(slot);
    };
  }
});
test.before.each(() => {
  read.services = 0;
  read.servers = 0;
});
test.after(() => {
  running.close();
  folder.remove();
});

interface Whole {
  headers: IncomingMessage['headers'];
  body: Buffer;
}

async function get(
  path: string,
  headers: Record<string, string> = {},
  { method = 'GET', socketPath = running.socket } = {},
): Promise<Whole> {
  const sent = request({ socketPath, path, headers, method }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { headers: response.headers, body: Buffer.concat(chunks) };
}

test('top reads a screen’s worth, and its totals are of all', async () => {
  const { client } = running;
  const screen = { columns: 80, rows: 24, order: 'packets' } as const;
  const some = await client.services(asked(screen));
  assert.is(some.length, 5);
  assert.is(some.flatMap(({ servers }) => servers).length, 24 - 5);
  assert.equal(read, { services: 5, servers: 19 });
  const folded = await client.services(asked({ ...screen, folded: true }));
  assert.equal([folded.length, folded.flatMap(({ servers }) => servers).length], [24, 0]);
  assert.equal(read, { services: 29, servers: 19 });
  const { totals } = await client.status();
  const { services, servers, serversUp, servicesDown } = totals;
  assert.equal([services, servers, serversUp, servicesDown], [300, 1_200, 1_200, 0]);
  assert.equal(read, { services: 29, servers: 19 });
});

test('all of it is all of it, in the file’s order, the same as parts put together', async () => {
  const all = await running.client.services();
  assert.equal(
    all.map(({ name }) => name),
    Array.from({ length: SERVICES }, (_, at) => `s${at}`),
  );
  assert.ok(all.every(({ servers }) => servers.length === SERVERS));
  const parts: ServiceReport[] = [];
  for (let offset = 0; offset < SERVICES; offset += 70) {
    parts.push(...(await running.client.services({ offset, limit: 70 })));
  }
  assert.equal(parts, all);
  const none = await running.client.services({ match: 'nothing has this' });
  assert.equal(none, []);
});

test('a service says how its servers are, also those that are not listed', async () => {
  const listen = { address: '203.0.113.8', port: 80 };
  const id = { protocol: 'tcp', listen } as const;
  await running.client.edit({
    cause: 'test',
    edits: [
      { edit: 'drainServer', service: id, server: { address: '198.51.7.1', port: 8080 } },
      { edit: 'setWeight', service: id, server: { address: '198.51.7.2', port: 8080 }, weight: 0 },
    ],
  });
  const [one] = await running.client.services({ match: '203.0.113.8:80', servers: 1 });
  assert.is(one?.servers.length, 1);
  assert.equal(one?.serverCounts, { all: 4, up: 4, taking: 2, drained: 1 });
  const { totals } = await running.client.status();
  assert.is(totals.serversDrained, 1);
  const [wanted] = await running.client.services({ match: '198.51.7.3', servers: 2 });
  assert.equal(
    wanted?.servers.map(({ address }) => address),
    ['198.51.7.3', '198.51.7.1'],
  );
  await running.client.rollback();
});

test('metrics are what the listing says, and hold no report of it', async () => {
  const { control, client } = running;
  const text = (await get('/metrics')).body.toString();
  assert.equal(read, { services: 0, servers: 0 });
  const sources = {
    services: await client.services(),
    ports: control.ports(),
    drops: control.drops(),
    vrrp: control.vrrp(),
    sync: control.sync(),
    status: control.status(),
  };
  const passing = /^sluice_(uptime_seconds|worker_lag_seconds).*\n/gm;
  assert.is(text.replace(passing, ''), [...metrics(sources)].join('').replace(passing, ''));
  assert.is(text.match(/^node_ipvs_backend_weight\{/gm)?.length, SERVICES * SERVERS);
});

test('who takes gzip gets it, and finds the same in it', async () => {
  const plain = await get('/v1/services');
  assert.is(plain.headers['content-encoding'], undefined);
  assert.is(plain.headers.vary, 'accept-encoding');
  const zipped = await get('/v1/services', { 'accept-encoding': 'deflate, gzip;q=0.5' });
  assert.is(zipped.headers['content-encoding'], 'gzip');
  assert.ok(zipped.body.length < plain.body.length / 5);
  assert.equal(gunzipSync(zipped.body), plain.body);
  const accepted = { gzip: true, 'br, GZIP': true, 'gzip;q=0': false, 'gzip; q=0.0': false };
  for (const [header, takes] of Object.entries({ ...accepted, 'gzip;q=0.01': true, br: false })) {
    assert.is(takesGzip(header), takes, header);
  }
  assert.is(takesGzip(undefined), false);
  const head = await get('/metrics', {}, { method: 'HEAD' });
  assert.is(head.body.length, 0);
  assert.match(head.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/);
});

const PIECE = 'x'.repeat(65_536);

/** Pieces that are counted as they are made; `ended` when nobody wants more. */
class Source {
  made = 0;
  readonly ended: Promise<void>;
  #end: () => void = () => {};

  constructor() {
    this.ended = new Promise((end) => {
      this.#end = end;
    });
  }

  *pieces(most: number): Generator<string> {
    try {
      for (; this.made < most; this.made++) yield PIECE;
    } finally {
      this.#end();
    }
  }
}

async function serving(
  more: Partial<Handlers>,
  action: (socketPath: string) => Promise<void>,
): Promise<void> {
  const path = folder.file(`s${Math.random()}.sock`);
  const errors: unknown[] = [];
  const server: Server = await serve(path, handlers(more), (error) => errors.push(error));
  try {
    await action(path);
  } finally {
    server.closeAllConnections();
    server.close();
  }
  assert.equal(errors, []);
}

for (const coding of ['identity', 'gzip']) {
  test(`no more is made than is read, and who leaves ends it: ${coding}`, async () => {
    const source = new Source();
    await serving({ metrics: () => source.pieces(1_000_000) }, async (socketPath) => {
      const headers = { 'accept-encoding': coding };
      const sent = request({ socketPath, path: '/metrics', headers }).end();
      sent.on('error', () => {});
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      // Nobody reads: buffers fill, and then nothing is made any more.
      let last = -1;
      while (last !== source.made) {
        last = source.made;
        await new Promise((done) => setTimeout(done, 200));
      }
      assert.ok(last < 100_000, `${last} pieces are made for who reads none`);
      response.destroy();
      await source.ended;
      assert.ok(source.made < 1_000_000);
    });
  });
}

test('a listing that cannot be made is refused with its reason, not broken off', async () => {
  const services = () => {
    throw new Error('out of luck');
  };
  const errors: unknown[] = [];
  const path = folder.file('luck.sock');
  const server = await serve(path, handlers({ services }), (error) => errors.push(error));
  try {
    await new ControlClient(path).services();
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /out of luck/);
  } finally {
    server.close();
  }
  assert.is(errors.length, 1);
});

test.run();
