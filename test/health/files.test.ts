/** Files that this process may open, against the sockets that checks may want. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { SluiceError } from '../../src/errors.js';
import { requireFiles } from '../../src/health/files.js';

const loaded = (servers: number, director = '{}') =>
  parseConfig(
    `director: ${director}
ports: [{ name: p, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    health: { checks: [{ type: tcp }, { type: ping }] }
    servers: [${Array.from({ length: servers }, (_, i) => `{ address: "198.51.100.${i + 11}:80" }`)}]
`,
    'director.yaml',
  );

test('as many as there are checks, or maxChecks, and some besides', () => {
  requireFiles(loaded(100), 256 + 200);
  requireFiles(loaded(100, '{ maxChecks: 10 }'), 256 + 10);
  requireFiles(loaded(0), 256);
  requireFiles(loaded(1));
});

test('too few: a coded error with its place that says what to do', () => {
  try {
    requireFiles(loaded(100, '{ maxChecks: 150 }'), 256 + 149);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, SluiceError);
    const { code, message } = error as SluiceError;
    assert.is(code, 'ERR_FILE_LIMIT');
    assert.match(
      message,
      /^director\.yaml:1:\d+: health checks may take 150 sockets.*may open 405/,
    );
  }
});

test.run();
