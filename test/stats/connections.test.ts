/** Connection listings: records decoded, pages followed, filters applied. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { toBytes } from '../../src/config/address.js';
import { ConnectionView, listConnections } from '../../src/connections.js';
import { CONNECTION_RECORD_BYTES } from '../../src/native.js';

function record(client: string, serviceSlot: number): Uint8Array {
  const bytes = new Uint8Array(CONNECTION_RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(toBytes(client), 0);
  bytes.set(toBytes('203.0.113.10'), 16);
  bytes.set(toBytes('198.51.100.200'), 32);
  bytes.set(toBytes('198.51.100.11'), 48);
  [40000, 80, 50000, 8080].forEach((port, index) => {
    view.setUint16(64 + index * 2, port, true);
  });
  bytes.set([6, 3, 1, 4], 72);
  [serviceSlot, 7, 1500, 900_000].forEach((value, index) => {
    view.setUint32(76 + index * 4, value, true);
  });
  return bytes;
}

test('a record has all its fields', () => {
  // At an odd offset of a larger buffer: a view must not assume where its bytes begin.
  const buffer = new Uint8Array(1 + CONNECTION_RECORD_BYTES);
  buffer.set(record('192.0.2.7', 3), 1);
  const view = new ConnectionView(buffer.subarray(1), 2);
  const [one, ...others] = view;
  assert.is(others.length, 0);
  assert.equal(one, {
    worker: 2,
    protocol: 'tcp',
    client: '192.0.2.7',
    clientPort: 40000,
    virtual: '203.0.113.10',
    virtualPort: 80,
    local: '198.51.100.200',
    localPort: 50000,
    server: '198.51.100.11',
    serverPort: 8080,
    mode: 'fullnat',
    state: 'ESTABLISHED',
    serviceSlot: 3,
    serverSlot: 7,
    idleMs: 1500,
    timeoutMs: 900_000,
    engine: null,
    engineData: '',
  });
});

test('no local address is an empty string', () => {
  const bytes = record('192.0.2.7', 3);
  bytes.fill(0, 32, 48);
  assert.is([...new ConnectionView(bytes, 0)][0]?.local, '');
});

test('what an engine knows follows its record', () => {
  const id = 'c'.repeat(CONNECTION_RECORD_BYTES + 1);
  const bytes = new Uint8Array(4 * CONNECTION_RECORD_BYTES);
  bytes.set(record('192.0.2.7', 3));
  bytes[92] = 1;
  bytes[93] = id.length;
  bytes.set(Buffer.from(id), CONNECTION_RECORD_BYTES);
  bytes.set(record('192.0.2.8', 3), 3 * CONNECTION_RECORD_BYTES);
  assert.equal(
    [...new ConnectionView(bytes, 0)].map((one) => [one.client, one.engine, one.engineData]),
    [
      ['192.0.2.7', 'sip', id],
      ['192.0.2.8', null, ''],
    ],
  );
});

const pages = (worker: number, cursor: number) => {
  const page = (next: number, ...records: Uint8Array[]) => ({
    cursor: next,
    records: new Uint8Array(Buffer.concat(records)),
  });
  if (worker === 1) return page(0, record('192.0.2.8', 1));
  return cursor === 0
    ? page(17, record('192.0.2.7', 1), record('192.0.2.8', 2))
    : page(0, record('192.0.2.9', 1));
};

async function clients(filter: Parameters<typeof listConnections>[2]): Promise<string[]> {
  const found: string[] = [];
  for await (const { worker, client } of listConnections(pages, 2, filter)) {
    found.push(`${worker} ${client}`);
  }
  return found;
}

test('pages of all workers are followed to their end', async () => {
  assert.equal(await clients({}), ['0 192.0.2.7', '0 192.0.2.8', '0 192.0.2.9', '1 192.0.2.8']);
});

test('filters', async () => {
  assert.equal(await clients({ client: '192.0.2.8' }), ['0 192.0.2.8', '1 192.0.2.8']);
  assert.equal(await clients({ services: new Set([2]) }), ['0 192.0.2.8']);
  assert.equal(await clients({ services: new Set([1]), client: '192.0.2.9' }), ['0 192.0.2.9']);
});

test.run();
