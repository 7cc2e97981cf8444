// timeout: 120
// The API over TCP through a port's twin: asked with curl and TLS from the network of the port, while
// the director forwards; what is changed by it counts for the next request.

import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run, until } from '../../src/lab/command.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import { directorFront, natServer, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const TOKEN = randomBytes(16).toString('hex');
const URL_BASE = `https://${directorFront(1)}:8443`;

let lab: Lab;

function ask(path: string, ...more: string[]): { status: number; body: string } {
  const curl = ['curl', '-sS', '-m', '20', '--cacert', lab.path('api.pem'), '-w', '\n%{http_code}'];
  const { stdout, stderr } = lab.ns('router').try([...curl, ...more, `${URL_BASE}${path}`]);
  const lines = stdout.split('\n');
  assert.ok(lines.length > 1, stderr);
  return { status: Number(lines.pop()), body: lines.join('\n') };
}

const bearer = (token: string) => ['-H', `Authorization: Bearer ${token}`];

if (process.getuid?.() !== 0) {
  skip('the API on a live director', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    run([
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...['-nodes', '-keyout', lab.path('api.key'), '-out', lab.path('api.pem'), '-days', '2'],
      ...['-subj', '/CN=director', '-addext', `subjectAltName=IP:${directorFront(1)}`],
    ]);
    chmodSync(lab.path('api.key'), 0o600);
    chmodSync(lab.write('ops.token', `${TOKEN}\n`), 0o600);
    for (const { role } of lab.spaces.realServers) await HttpServer.start(lab, role);
    const socket = lab.path('director1.sock');
    const api = `director:
  api:
    listen: ${directorFront(1)}:8443
    tls: { certificate: ${lab.path('api.pem')}, key: ${lab.path('api.key')} }
    tokens: [{ name: ops, role: write, file: ${lab.path('ops.token')} }]
`;
    const yaml = fiveModesYaml(lab, socket, { modes: ['nat'] }).replace('director:\n', api);
    await lab.director({ yaml, socket }).start(60_000);
    const reached = async () =>
      lab.ns('router').try(['ping', '-c1', '-W1', directorFront(1)]).status === 0;
    assert.ok(await until(reached, 20_000), 'the twin is not reached');
  });
  test.after(() => lab.destroy());

  test('TLS, a page, a token, a listing', () => {
    const page = ask('/');
    assert.is(page.status, 200);
    assert.match(page.body, /<title>Sluice<\/title>/);
    assert.is(ask('/v1/status').status, 401);
    assert.is(ask('/v1/status', ...bearer('wrong')).status, 401);
    const { status, body } = ask('/v1/services', ...bearer(TOKEN));
    assert.is(status, 200);
    assert.is((JSON.parse(body) as { name: string }[])[0]?.name, 'nat-http');
    const plain = lab
      .ns('client')
      .try(['curl', '-sS', '-m', '5', URL_BASE.replace('https', 'http')]);
    assert.is.not(plain.status, 0);
  });

  test('a server drained by it gets no more requests', async () => {
    const edits = JSON.stringify({
      cause: 'a test',
      edits: [
        {
          edit: 'drainServer',
          service: { protocol: 'tcp', listen: { address: VIP.nat, port: 80 } },
          server: { address: natServer(1), port: 8080 },
        },
      ],
    });
    const before = await httpRequests(lab, `http://${VIP.nat}/`, 30);
    assert.is(before.failed, 0, before.trouble);
    assert.is(before.servers.size, lab.spaces.realServers.length);
    assert.is(ask('/v1/edits', ...bearer(TOKEN), '-d', edits).status, 200);
    const after = await httpRequests(lab, `http://${VIP.nat}/`, 30);
    assert.is(after.failed, 0, after.trouble);
    assert.not.ok(after.servers.has('rs1'));
    assert.is(after.servers.size, lab.spaces.realServers.length - 1);
  });
}

test.run();
