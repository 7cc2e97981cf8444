/**
 * The OpenAPI document: valid by OpenAPI's own schema, and true: every answer of a director with
 * packets, edits and refusals is what the document says.
 */
import { request } from 'node:http';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openApi } from '../../src/api/openapi.js';
import { Folder } from '../cli/support.js';
import { tcp } from '../support/packet.js';
import { RunningReplay } from '../support/running.js';

interface Operation {
  summary: string;
  operationId: string;
  responses: Record<string, { content: Record<string, { schema: object }> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

const document = openApi() as unknown as Document;

const FILE = `\
ports:
  - { name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }
  - { name: back, mac: 02:00:00:00:01:02, addresses: [198.51.100.1/24] }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe }
  - { address: 198.51.100.11, mac: 02:00:00:00:02:11 }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    clients: { deny: [198.51.100.99, '192.0.2.128/25'] }
    servers: [{ address: 198.51.100.11:8080, weight: 3, health: { checks: [{ type: tcp }] } }]
  - { name: dns, listen: 203.0.113.10:53, protocol: udp, mode: dr }
`;

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
ajv.addKeyword('components');
const validators = new Map<object, ValidateFunction>();

/** The schema of a response, with the document's names resolved. */
function validator(schema: object): ValidateFunction {
  let made = validators.get(schema);
  if (!made) {
    made = ajv.compile({ ...schema, components: document.components });
    validators.set(schema, made);
  }
  return made;
}

interface Answer {
  status: number;
  type: string;
  body: string;
}

function ask(socketPath: string, method: string, path: string, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const type = response.headers['content-type']?.split(';')[0] ?? '';
        resolve({ status: response.statusCode ?? 0, type, body: text });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Throws unless the document has this answer, and says what is wrong with it. */
function conforms(method: string, path: string, { status, type, body }: Answer): void {
  const operation = document.paths[path]?.[method.toLowerCase()];
  const content = operation?.responses[status]?.content[type];
  assert.ok(content, `${method} ${path}: ${status} ${type} is not in the document: ${body}`);
  if (type === 'text/plain') return;
  const validate = validator(content?.schema as object);
  const values = type === 'application/x-ndjson' ? body.trim().split('\n') : [body];
  for (const value of values) {
    if (validate(JSON.parse(value))) continue;
    throw new Error(`${method} ${path}: ${JSON.stringify(validate.errors)} in ${value}`);
  }
}

const web = { protocol: 'tcp', listen: { address: '203.0.113.10', port: 80 } };
const server = { address: '198.51.100.12', port: 8080 };
const settings = { mode: 'nat', weight: 1, upperThreshold: 0, lowerThreshold: 0 };
const adding = { cause: 'a test', edits: [{ edit: 'addServer', service: web, server, settings }] };
const removingService = (protocol: string, address: string, port: number) => ({
  cause: 'a test',
  edits: [{ edit: 'removeService', service: { protocol, listen: { address, port } } }],
});
const removing = { cause: 'a test', edits: [{ edit: 'removeServer', service: web, server }] };

/** What is asked, in this order, and the status that it has to have. */
const ASKED: [string, string, number, object?][] = [
  ['GET', '/openapi.json', 200],
  ['GET', '/v1/session', 200],
  ['GET', '/v1/status', 200],
  ['GET', '/v1/sync', 200],
  ['POST', '/v1/sync/daemon', 200, { action: 'start', role: 'master', interface: 'vec1' }],
  ['POST', '/v1/sync/daemon', 409, { action: 'start', role: 'master', interface: 'vec1' }],
  ['POST', '/v1/sync/daemon', 400, { action: 'start', role: 'master' }],
  ['POST', '/v1/sync/daemon', 422, { action: 'start', role: 'backup', interface: 'vec0' }],
  ['GET', '/v1/sync', 200],
  ['POST', '/v1/sync/daemon', 200, { action: 'stop', role: 'master' }],
  ['POST', '/v1/sync/daemon', 409, { action: 'stop', role: 'master' }],
  ['GET', '/v1/vrrp', 200],
  ['GET', '/v1/services', 200],
  ['GET', '/v1/services?match=dns&offset=0&limit=5', 200],
  ['GET', '/v1/services?limit=many', 400],
  ['GET', '/v1/clients', 200],
  ['GET', '/v1/clients?service=web', 200],
  ['GET', '/v1/clients?service=nope', 400],
  ['GET', '/v1/connections', 200],
  ['GET', '/v1/connections?client=192.0.2.7&service=web&limit=1', 200],
  ['GET', '/v1/connections?client=nobody', 400],
  ['GET', '/v1/connections?limit=-1', 400],
  ['GET', '/v1/connections?limit=1&limit=2', 400],
  ['GET', '/v1/connections?servise=web', 400],
  ['GET', '/v1/connections?service=nope', 400],
  ['GET', '/v1/ports', 200],
  ['GET', '/v1/drops', 200],
  ['GET', '/metrics', 200],
  ['GET', '/v1/explain?from=192.0.2.7:40000&to=203.0.113.10:80', 200],
  ['GET', '/v1/explain?from=192.0.2.8:1&to=203.0.113.10:80&protocol=tcp', 200],
  ['GET', '/v1/explain?from=192.0.2.8:1&to=203.0.113.99:80', 200],
  ['GET', '/v1/explain?from=192.0.2.8:1', 400],
  ['GET', '/v1/explain?from=[2001:db8::8]:1&to=203.0.113.10:80', 400],
  ['GET', '/v1/explain?from=192.0.2.8:1&to=203.0.113.10:80&protocol=sctp', 200],
  ['GET', '/v1/trace?protocol=dccp', 400],
  ['GET', '/v1/capture?filter=tcp%20prot%2080', 422],
  ['GET', '/v1/capture?port=middle', 400],
  ['POST', '/v1/edits', 400, removingService('tcp', '203.0.113.10', 70_000)],
  ['POST', '/v1/edits', 400, removingService('fwmark', '0.0.0.0', 0)],
  ['POST', '/v1/edits', 400, removingService('fwmark', '203.0.113.10', 5)],
  ['POST', '/v1/edits', 404, removingService('fwmark', '::', 5)],
  ['POST', '/v1/edits', 200, adding],
  ['POST', '/v1/edits', 409, adding],
  ['POST', '/v1/edits', 200, { ...adding, together: false }],
  ['GET', '/v1/diff', 200],
  ['GET', '/v1/diff?edits=discard', 200],
  ['GET', '/v1/diff?file=/nowhere/director.yaml', 422],
  ['POST', '/v1/reload', 409],
  ['POST', '/v1/reload', 200, { edits: 'keep' }],
  ['POST', '/v1/reload', 400, { file: 'relative.yaml' }],
  ['POST', '/v1/edits', 200, removing],
  ['POST', '/v1/edits', 404, removing],
  ['POST', '/v1/edits', 400, { cause: 'a test', edits: [{ edit: 'explode' }] }],
  ['GET', '/v1/history', 200],
  ['POST', '/v1/rollback', 200],
  ['POST', '/v1/rollback', 404, { generation: 999 }],
  ['POST', '/v1/upgrade', 422, {}],
  ['POST', '/v1/zero', 200, { service: web }],
  ['POST', '/v1/zero', 404, { service: { ...web, protocol: 'udp' } }],
];

test('the document is valid by OpenAPI’s own schema, and its names are resolved', async () => {
  const text = JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
  const { valid, errors } = await new Validator().validate(text);
  assert.ok(valid, JSON.stringify(errors));
  const names = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)];
  for (const [, name] of names) assert.ok(document.components.schemas[name ?? ''], name);
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const ids = operations.map(({ operationId }) => operationId);
  assert.equal([...new Set(ids)], ids);
  for (const id of ids) assert.match(id, /^[a-z]+[A-Z][A-Za-z]+$/);
  for (const { summary, responses } of operations) {
    assert.ok(summary.length > 0);
    for (const { content } of Object.values(responses)) assert.ok(Object.keys(content).length > 0);
  }
});

test('every answer of a director is what the document says', async () => {
  const director = await new RunningReplay(FILE).open();
  try {
    const frame = { fromMac: '02:00:00:00:00:fe', toMac: '02:00:00:00:01:01' };
    const flow = { from: '192.0.2.7:40000', to: '203.0.113.10:80' };
    assert.is(director.send('front', tcp({ flags: 'S', ...flow, ...frame })), 1);
    const seen = new Set<string>();
    for (const [method, target, status, body] of ASKED) {
      const answer = await ask(director.socket, method, target, body && JSON.stringify(body));
      assert.is(answer.status, status, `${method} ${target}: ${answer.body}`);
      const path = target.split('?')[0] as string;
      conforms(method, path, answer);
      seen.add(`${method.toLowerCase()} ${path}`);
    }
    const all = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    assert.equal([...seen].sort(), all.sort());
  } finally {
    director.close();
  }
});

test('what is no part of the API says so, and what it takes instead', async () => {
  const director = await new RunningReplay(FILE).open();
  try {
    const error = async (method: string, path: string, body?: string) => {
      const answer = await ask(director.socket, method, path, body);
      return [answer.status, (JSON.parse(answer.body) as { error: { code: string } }).error.code];
    };
    assert.equal(await error('GET', '/v2/services'), [404, 'ERR_API_NOT_FOUND']);
    assert.equal(await error('POST', '/v1/services'), [405, 'ERR_API_METHOD']);
    assert.equal(await error('GET', '/v1/edits'), [405, 'ERR_API_METHOD']);
    assert.equal(await error('POST', '/v1/edits', '{'), [400, 'ERR_API']);
    assert.equal(await error('POST', '/v1/edits', `"${'x'.repeat(65 << 20)}"`), [
      413,
      'ERR_API_TOO_LARGE',
    ]);
  } finally {
    director.close();
  }
});

test('a schema that an answer breaks is noticed', () => {
  const answer = { status: 200, type: 'application/json', body: '{"status":"ready"}' };
  assert.throws(() => conforms('GET', '/v1/status', answer), /must have required property/);
});

test('sluice openapi prints the document', async () => {
  const folder = new Folder();
  const { status, stdout } = await folder.run('openapi');
  folder.remove();
  assert.is(status, 0);
  assert.equal(JSON.parse(stdout), JSON.parse(JSON.stringify(document)));
});

test.run();
