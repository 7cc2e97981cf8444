/** What goes from one process to the next: messages, what is remembered, edits, counters. */
import { PassThrough } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { editModel } from '../../src/model-edit.js';
import type { CounterLayout } from '../../src/native.js';
import { CounterView } from '../../src/stats/counters.js';
import { Channel } from '../../src/upgrade/channel.js';
import { inherited, listener } from '../../src/upgrade/listeners.js';
import { pastOf } from '../../src/upgrade/past.js';
import { inheritable } from '../../src/upgrade/protocol.js';
import { VERSION } from '../../src/version.js';

interface Message {
  type: string;
  value?: unknown;
}

test('messages arrive whole and in order, however the stream cuts them', async () => {
  const wire = new PassThrough();
  const sent = new Channel<Message, Message>(wire);
  const cut = new PassThrough();
  const heard = new Channel<Message, Message>(cut);
  const messages = [
    { type: 'a', value: new Map([['x', { y: 12n, z: new Uint8Array([1, 2]) }]]) },
    { type: 'b', value: 'long '.repeat(1_000) },
    { type: 'c' },
  ];
  const bytes: Buffer[] = [];
  wire.on('data', (part: Buffer) => bytes.push(part));
  for (const message of messages) sent.say(message);
  await new Promise((done) => setImmediate(done));
  for (const byte of Buffer.concat(bytes)) cut.write(Buffer.of(byte));
  for (const message of messages) assert.equal(await heard.next(5_000), message);
  assert.is(await heard.next(1), undefined);
  assert.is(heard.closed, false);
  cut.end();
  assert.is(await heard.next(), undefined);
  assert.is(heard.closed, true);
});

test('another version gets what it can read, and no version what is the process’s own', () => {
  const of = (name: string) => [name, new Map([['k', 1]])] as const;
  const memory = new Map<string, Map<string, unknown>>(
    ['model.parts', 'health', 'cookies', 'api', 'director', 'counters.bases'].map(of),
  );
  assert.equal([...inheritable(memory, VERSION).keys()], ['model.parts', 'health', 'cookies']);
  assert.equal([...inheritable(memory, '99.0.0').keys()], ['health', 'cookies']);
});

test('a socket is taken over for what it is, and where it listens', () => {
  const server = { _handle: { fd: 17 } } as never;
  const listeners = {
    ...listener('api', server, '192.0.2.1:8443'),
    ...listener('x', undefined, 'y'),
  };
  assert.equal(listeners, { api: { fd: 17, at: '192.0.2.1:8443' } });
  assert.equal(listener('api', server, undefined), {});
  assert.is(inherited(listeners, 'api', '192.0.2.1:8443'), 17);
  assert.is(inherited(listeners, 'api', '192.0.2.1:9443'), undefined);
  assert.is(inherited(undefined, 'api', '192.0.2.1:8443'), undefined);
});

const file = (workers: number, weight: number) =>
  parseConfig(
    `director: { workers: ${workers}, maxServers: 64 }
ports: [{ name: front, device: 'net_af_packet0,iface=e0', addresses: [192.0.2.1/24] }]
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers:
      - { address: 192.0.2.11:80, weight: ${weight} }
      - { address: 192.0.2.12:80, weight: 1 }
`,
    'director.yaml',
  );

function edited() {
  const loaded = file(1, 1);
  const listen = { address: '203.0.113.10', port: 80 };
  const service = { protocol: 'tcp' as const, listen };
  const { model } = editModel(loaded.model, [
    { edit: 'setWeight', service, server: { address: '192.0.2.12', port: 80 }, weight: 7 },
  ]);
  const entry = { slot: 3, live: true };
  return {
    loaded,
    model,
    slots: { generation: 5, services: new Map(), servers: new Map([['k', entry]]), parts: [] },
    history: [],
  };
}

test('a new file, settings of a start and run-time edits become one state; or the file alone', () => {
  const past = edited();
  const weights = ({ model }: ReturnType<typeof pastOf>) =>
    model.services[0]?.servers.map(({ weight }) => weight);
  assert.equal(weights(past), [1, 7]);
  const kept = pastOf(past, file(2, 5), { discardEdits: false, version: '0.0.9' });
  assert.equal(weights(kept), [5, 7]);
  assert.is(kept.model.director.workers, 2);
  assert.is(kept.slots, past.slots);
  assert.match(kept.cause ?? '', /upgrade from 0\.0\.9 with director\.yaml/);
  const dropped = pastOf(past, file(2, 5), { discardEdits: true, version: '0.0.9' });
  assert.equal(weights(dropped), [5, 1]);
});

test('slots beyond the new limits are not kept', () => {
  const past = edited();
  past.slots.servers.set('far', { slot: 64, live: false });
  const { slots } = pastOf(past, file(1, 1), { discardEdits: false, version: '1' });
  assert.is(slots.servers.size, 0);
  assert.is(slots.generation, 5);
});

const names = ['conns', 'inPkts', 'active', ''];
const layout = {
  workers: 1,
  words: 64,
  ports: { offset: 48, stride: 1, count: 1, names: ['rx'] },
  services: { offset: 0, stride: 2, count: 2, names: ['conns', 'inPkts'] },
  servers: { offset: 8, stride: 4, count: 4, names },
  handshakes: { offset: 32, stride: 2, count: 4, names: ['answered', 'refused'] },
} as unknown as CounterLayout;

test('counters go on under other slots; what is counted now is not carried', () => {
  const before = new BigUint64Array(64);
  const old = new CounterView(layout, () => before);
  before.set([9n, 90n], 0);
  before.set([4n, 40n, 3n], 8 + 4);
  before.set([2n, 1n], 32 + 2);
  const slots = (service: number, server: number) => ({
    services: new Map([['s', { slot: service, live: true }]]),
    servers: new Map([
      ['s a', { slot: server, live: true }],
      ['s gone', { slot: 0, live: false }],
    ]),
  });
  const totals = old.totals(slots(0, 1));
  assert.equal(Object.keys(totals.servers), ['s a']);

  const after = new BigUint64Array(64);
  const next = new CounterView(layout, () => after);
  next.goOnFrom(totals, slots(1, 3));
  after.set([1n, 10n, 5n], 8 + 12);
  assert.equal(next.service(1), { conns: 9, inPkts: 90 } as never);
  assert.equal(next.server(3), { conns: 5, inPkts: 50, active: 5 } as never);
  assert.equal(next.handshakes(3), { answered: 2, refused: 1 } as never);
});

test.run();
