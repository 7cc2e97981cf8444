/** `sluice show health`. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceReport } from '../../src/api/types.js';
import { formatHealth, healthOf } from '../../src/cli/format-health.js';

const server = (address: string, up: boolean, checks: object[]) => ({
  address,
  port: 8080,
  up,
  weight: up ? 3 : 0,
  checks,
  slot: 7,
});
const services = [
  {
    name: 'web',
    protocol: 'tcp',
    address: '203.0.113.10',
    port: 80,
    servers: [
      server('198.51.100.11', true, [{ type: 'HTTP_GET', up: true, detail: 'status 200' }]),
      server('198.51.100.12', false, [
        { type: 'TCP_CHECK', up: true, detail: undefined },
        { type: 'DNS_CHECK', up: false, detail: 'no answer' },
      ]),
      server('198.51.100.13', true, []),
    ],
  },
] as unknown as ServiceReport[];

test('a line a server, and below it a line a check', () => {
  assert.is(
    formatHealth(services),
    [
      'web (TCP 203.0.113.10:80)',
      '  198.51.100.11:8080     up   weight 3',
      '    HTTP_GET     up   status 200',
      '  198.51.100.12:8080     down weight 0',
      '    TCP_CHECK    up   has not run yet',
      '    DNS_CHECK    down no answer',
      '  198.51.100.13:8080     up   weight 3  not checked',
    ].join('\n'),
  );
});

test('as JSON without what is not about health', () => {
  const [web] = healthOf(services);
  assert.equal(Object.keys(web?.servers[0] ?? {}), [
    'address',
    'port',
    'up',
    'weight',
    'drained',
    'checks',
  ]);
});

test.run();
