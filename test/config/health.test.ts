/** `health` blocks: inheritance, defaults, and what is wrong with bad ones, each at its place. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import type { ServiceModel } from '../../src/config/model.js';
import type { HttpCheck, ServerHealth, TcpCheck } from '../../src/health/model.js';
import { splitWords } from '../../src/health/schema.js';
import { table } from './support.js';

const HEAD = `ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
`;
const SERVER = '    servers: [{ address: 198.51.100.11:80 }]\n';
const load = (text: string) =>
  parseConfig(HEAD + text, 'director.yaml').model.services[0] as ServiceModel;

test('passive checks: defaults, and a server’s own block in place of its service’s', () => {
  const { servers } = load(`    health: { passive: { failures: 2 } }
    servers:
      - { address: 198.51.100.11:80 }
      - { address: 198.51.100.12:80, health: { passive: { ratio: 40, window: 5s, minimum: 3, ejection: 20m, maxEjected: 100 } } }
`);
  assert.equal(
    servers.map(({ health }) => health.passive),
    [
      {
        failures: 2,
        ratio: undefined,
        windowMs: 10_000,
        minimum: 20,
        ejectionMs: 30_000,
        maxEjectionMs: 600_000,
        maxEjected: 50,
      },
      {
        failures: 5,
        ratio: 40,
        windowMs: 5_000,
        minimum: 3,
        ejectionMs: 1_200_000,
        maxEjectionMs: 1_200_000,
        maxEjected: 100,
      },
    ],
  );
});

test('the nearest setting counts, then keepalived’s defaults', () => {
  const { servers } = load(`    health:
      delayLoop: 2s
      retry: 7
      connectTimeout: 250ms
      inhibitOnFailure: true
      virtualhost: www.example
      checks: [{ type: tcp }, { type: http, retry: 0, path: /up, status: [200, 204-206] }]
    servers:
      - { address: 198.51.100.11:80 }
      - { address: 198.51.100.12:80, health: { retry: 3, inhibitOnFailure: false, notifyUp: /bin/up a "b c" } }
      - { address: 198.51.100.13:80, health: { checks: [] } }
`);
  const [first, second, third] = servers.map(({ health }) => health) as [
    ServerHealth,
    ServerHealth,
    ServerHealth,
  ];
  const [tcp, http] = first.checks as [TcpCheck, HttpCheck];
  assert.is(tcp.delayLoopMs, 2_000);
  assert.is(tcp.warmupMs, 2_000, 'warm-up is delay_loop');
  assert.is(tcp.retry, 7);
  assert.is(tcp.delayBeforeRetryMs, 1_000);
  assert.is(tcp.connectTimeoutMs, 250);
  assert.is(http.retry, 0);
  assert.is(http.delayBeforeRetryMs, 3_000);
  assert.is(http.virtualhost, 'www.example');
  assert.equal(http.urls[0]?.statusCodes, [
    [200, 200],
    [204, 206],
  ]);
  assert.is(first.inhibitOnFailure, true);
  assert.is((second.checks[0] as TcpCheck).retry, 3);
  assert.is((second.checks[1] as HttpCheck).retry, 0, 'what the check itself says comes first');
  assert.is(second.inhibitOnFailure, false);
  assert.equal(second.notifyUp?.argv, ['/bin/up', 'a', 'b c']);
  assert.equal(third.checks, []);
});

test('toVip: for servers in dr and tun', () => {
  const text = `${HEAD}    health: { toVip: true, checks: [{ type: tcp }] }
    servers:
      - { address: 198.51.100.11:80, mode: dr }
      - { address: 198.51.100.12:80, mode: tun, health: { toVip: false } }
      - { address: 198.51.100.13:80 }
`;
  const [service] = parseConfig(text, 'director.yaml').model.services as [ServiceModel];
  assert.equal(
    service.servers.map(({ health }) => (health.checks[0] as TcpCheck).toVip),
    [true, false, true],
  );
  const wrong = (from: string, to: string, place: RegExp) =>
    assert.throws(
      () => parseConfig(text.replace(from, to), 'director.yaml'),
      (error: Error) => place.test(error.message),
    );
  const words = 'in mode nat packets to the server have its own address, expected dr or tun';
  wrong(
    '198.51.100.13:80',
    '198.51.100.13:80, health: { toVip: true }',
    new RegExp(`10:.*toVip: ${words}`),
  );
  const all = text.replace(', mode: dr', '').replace(', mode: tun', '');
  assert.throws(
    () => parseConfig(all, 'director.yaml'),
    (error: Error) => new RegExp(`6:.*toVip: ${words}`).test(error.message),
  );
});

test('a service without a health block has no checks and a quorum of one', () => {
  const service = load(SERVER);
  assert.is(service.health.quorum, 1);
  assert.equal(service.servers[0]?.health.checks, []);
});

test('a digest alone makes no demand on the status', () => {
  const { servers } = load(
    `    health: { checks: [{ type: http, digest: ${'a'.repeat(32)} }] }\n${SERVER}`,
  );
  const [check] = (servers[0]?.health.checks ?? []) as [HttpCheck];
  assert.equal(check.urls[0]?.statusCodes, [[100, 599]]);
});

test('the sorry server of a Route service has the service’s port', () => {
  const service = parseConfig(
    `${HEAD.replace('nat', 'dr')}    health: { sorryServer: { address: 198.51.100.99:8080 } }\n${SERVER}`,
    'director.yaml',
  ).model.services[0];
  assert.equal(service?.health.sorryServer, {
    address: { address: '198.51.100.99', port: 80 },
    mode: 'dr',
  });
});

test('words of a command', () => {
  assert.equal(splitWords('/bin/a  b'), ['/bin/a', 'b']);
  assert.equal(splitWords(`/bin/a "b c" 'd "e"' f" "g`), ['/bin/a', 'b c', 'd "e"', 'f g']);
  assert.is(splitWords('/bin/a "b'), undefined);
});

const health = (block: string) => `${HEAD}${SERVER}    health: ${block}\n`;

table([
  {
    it: 'an unknown kind of check',
    yaml: health('{ checks: [{ type: tpc }] }'),
    says: [
      '7:32: services[0].health.checks[0].type: is "tpc", expected a type: tcp, http, https, smtp, dns, udp, ping, misc, file or bfd',
    ],
    codes: ['ERR_CONFIG_VALUE'],
  },
  {
    it: 'a key of another kind of check',
    yaml: health('{ checks: [{ type: tcp, path: / }] }'),
    says: ['7:37: services[0].health.checks[0].path: belongs to a block of another type'],
    codes: ['ERR_CONFIG_UNKNOWN_KEY'],
  },
  {
    it: 'a slip of the pen is named',
    yaml: health('{ delay_loop: 3 }'),
    says: ['7:15: services[0].health.delay_loop: unknown key, did you mean delayLoop?'],
    codes: ['ERR_CONFIG_UNKNOWN_KEY'],
  },
  {
    it: 'a status that is none',
    yaml: health('{ checks: [{ type: http, status: 299-200 }] }'),
    says: [
      '7:46: services[0].health.checks[0].status: is "299-200", expected status codes such as 200 or [200-299, 404]',
    ],
    codes: ['ERR_CONFIG_VALUE'],
  },
  {
    it: 'a regular expression that is none',
    yaml: health("{ checks: [{ type: http, regex: '(' }] }"),
    says: [
      '7:45: services[0].health.checks[0].regex: is "(", expected a regular expression: Invalid regular expression: /(/: Unterminated group',
    ],
    codes: ['ERR_CONFIG_VALUE'],
  },
  {
    it: 'a command without its path',
    yaml: health('{ quorumUp: up.sh }'),
    says: [
      '7:25: services[0].health.quorumUp: is "up.sh", expected a command with its absolute path, or a block of command, user and group',
    ],
    codes: ['ERR_CONFIG_VALUE'],
  },
  {
    it: 'a quorum of nothing',
    yaml: health('{ quorum: 0 }'),
    says: ['7:23: services[0].health.quorum: is 0, expected a whole number from 1 to 2147483647'],
    codes: ['ERR_CONFIG_VALUE'],
  },
]);

test.run();
