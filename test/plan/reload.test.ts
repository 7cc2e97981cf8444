/** What a reload takes over and what it refuses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { formatProblem, type Problem } from '../../src/errors.js';
import { refuseRestartSettings } from '../../src/reload.js';

const FILE = `\
director: { name: d1, memory: 512, workers: [1] }
ports:
  - name: front
    device: net_null0
    mtu: 1500
    addresses: [192.0.2.1/24]
services:
  - { name: web, listen: 203.0.113.10:80, mode: nat, servers: [] }
`;
const running = parseConfig(FILE, 'director.yaml').model;

function refused(text: string): string[] {
  try {
    refuseRestartSettings(running, parseConfig(text, 'director.yaml'));
    return [];
  } catch (error) {
    assert.is((error as { code: string }).code, 'ERR_RESTART_NEEDED');
    return (error as { problems: Problem[] }).problems.map(formatProblem);
  }
}

test('services, routes, neighbours and timeouts may change', () => {
  const text = FILE.replace('203.0.113.10:80', '203.0.113.11:81');
  assert.equal(
    refused(`${text}timeouts: { tcp: 10 }\nroutes: [{ to: 0.0.0.0/0, port: front }]\n`),
    [],
  );
});

test('settings of the engine and of ports are named with their places', () => {
  const text = FILE.replace('512', '1024')
    .replace('[1]', '1')
    .replace('mtu: 1500', 'mtu: 9000')
    .replace('192.0.2.1/24', '192.0.2.2/24');
  assert.equal(refused(text), [
    'director.yaml:1:31: director.memory: changed (was 512): it takes effect only at a restart',
    'director.yaml:1:46: director.workers: changed (was [1]): it takes effect only at a restart',
    'director.yaml:5:10: ports[0].mtu: changed (was 1500): it takes effect only at a restart',
    'director.yaml:6:16: ports[0].addresses: changed (was [192.0.2.1/24]): it takes effect only at a restart',
  ]);
});

test('a setting that is no longer in the file is shown where its block begins', () => {
  assert.equal(refused(FILE.replace('    mtu: 1500\n', '')), []);
  assert.equal(refused(FILE.replace(', memory: 512', '').replace('[1]', '[1, 2]')), [
    'director.yaml:1:32: director.workers: changed (was [1]): it takes effect only at a restart',
  ]);
  assert.equal(refused(FILE.replace('name: d1, ', '')), [
    'director.yaml:1:11: director.name: changed (was d1): it takes effect only at a restart',
    'director.yaml:1:11: director.socket: changed (was /run/sluice/d1.sock): it takes effect only at a restart',
  ]);
});

test('other ports', () => {
  const text = FILE.replace('services:', '  - { name: back }\nservices:');
  assert.equal(refused(text), [
    'director.yaml:3:3: ports: changed (was front): it takes effect only at a restart',
  ]);
});

test.run();
