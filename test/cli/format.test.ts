/** Listings, column by column, as ipvsadm prints them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectionReport, ServiceReport } from '../../src/api/types.js';
import type { ModelChange } from '../../src/changes/change.js';
import { summaryOf } from '../../src/changes/words.js';
import { connectionLine, formatDrops, formatServices, table } from '../../src/cli/format.js';
import { formatHistory } from '../../src/cli/format-changes.js';
import { scaled } from '../../src/ipvsadm/format.js';
import { NO_RATES } from '../../src/stats/rates.js';

const STATUS = { version: '0.1.0', maxConnections: 4096 };

const figures = { conns: 1, inPkts: 20, outPkts: 300, inBytes: 4000, outBytes: 123_456_789_012 };
const web: ServiceReport = {
  name: 'web',
  protocol: 'tcp',
  address: '192.0.2.100',
  port: 80,
  scheduler: 'sh',
  persistence: null,
  flags: ['sh-fallback', 'sh-port'],
  localAddresses: [],
  rates: NO_RATES,
  slot: 0,
  ...figures,
  serverCounts: { all: 2, up: 1, taking: 1, drained: 0 },
  servers: [
    {
      address: '198.51.100.2',
      port: 80,
      mode: 'fullnat',
      forward: 'FullNat',
      tunnel: null,
      weight: 1,
      configuredWeight: 1,
      drained: false,
      up: true,
      checks: [],
      upperThreshold: 0,
      lowerThreshold: 0,
      rates: NO_RATES,
      slot: 0,
      active: 0,
      inactive: 0,
      ...figures,
    },
    {
      address: '198.51.100.123',
      port: 65535,
      mode: 'nat',
      forward: 'Masq',
      tunnel: null,
      weight: 65535,
      configuredWeight: 65535,
      drained: false,
      up: false,
      checks: [],
      upperThreshold: 0,
      lowerThreshold: 0,
      rates: NO_RATES,
      slot: 1,
      active: 1_000_000,
      inactive: 12,
      ...figures,
    },
  ],
};
const dns: ServiceReport = {
  ...web,
  protocol: 'udp',
  port: 53,
  scheduler: 'rr',
  flags: ['ops'],
  servers: [],
};

test('services as ipvsadm -Ln', () => {
  assert.is(
    formatServices([web, dns], STATUS),
    [
      'IP Virtual Server version 0.1.0 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  192.0.2.100:80 sh (sh-fallback,sh-port)',
      '  -> 198.51.100.2:80              FullNat 1      0          0         ',
      '  -> 198.51.100.123:65535         Masq    65535  1000000    12         down',
      'UDP  192.0.2.100:53 rr ops',
    ].join('\n'),
  );
});

test('statistics as ipvsadm -Ln --stats', () => {
  assert.is(
    formatServices([web], STATUS, 'stats').split('\n').slice(1, 5).join('\n'),
    [
      'Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes',
      '  -> RemoteAddress:Port',
      'TCP  192.0.2.100:80                      1       20      300     4000     123G',
      '  -> 198.51.100.2:80                     1       20      300     4000     123G',
    ].join('\n'),
  );
  assert.match(formatServices([web], STATUS, 'stats', true), / 123456789012$/m);
});

test('large numbers', () => {
  const rows: [number, string][] = [
    [0, '0'],
    [99_999_999, '99999999'],
    [100_000_000, '100000K'],
    [999_999_999, '999999K'],
    [1_175_344_064, '1175M'],
    [99_999_999_999, '99999M'],
    [100_000_000_000, '100G'],
    [100_000_000_000_000, '100T'],
  ];
  for (const [value, text] of rows) assert.is(scaled(value, false), text);
});

const connection: ConnectionReport = {
  worker: 0,
  protocol: 'tcp',
  client: '192.0.2.7',
  clientPort: 40000,
  virtual: '203.0.113.10',
  virtualPort: 80,
  local: '198.51.100.200',
  localPort: 50123,
  server: '198.51.100.11',
  serverPort: 8080,
  mode: 'fullnat',
  state: 'ESTABLISHED',
  serviceSlot: 0,
  serverSlot: 0,
  idleMs: 4_400,
  timeoutMs: 900_000,
  engine: null,
  engineData: '',
  service: 'web',
};

test('connections as ipvsadm -Lnc, with the local address after its columns', () => {
  assert.is(
    connectionLine(connection),
    'TCP 14:56  ESTABLISHED 192.0.2.7:40000    203.0.113.10:80    198.51.100.11:8080 198.51.100.200:50123',
  );
  assert.is(
    connectionLine({ ...connection, protocol: 'udp', state: 'UDP', local: '', idleMs: 1e9 }),
    'UDP 00:00  UDP         192.0.2.7:40000    203.0.113.10:80    198.51.100.11:8080',
  );
});

test('drops: those that counted, or all ends', () => {
  const drops = {
    ends: [
      { name: 'forwarded_nat', kind: 'forwarded' as const, help: 'sent', count: 5 },
      { name: 'no_route', kind: 'dropped' as const, help: 'no route', count: 12 },
      { name: 'martian', kind: 'dropped' as const, help: 'impossible source', count: 0 },
    ],
    extra: { received: 17 },
  };
  assert.is(
    formatDrops(drops, false),
    'Reason    Kind     Packets  Meaning\nno_route  dropped       12  no route',
  );
  assert.is(formatDrops(drops, true).split('\n').length, 7);
  assert.is(formatDrops({ ends: [], extra: {} }, false), 'nothing has been dropped');
  assert.is(
    formatDrops({ ends: [], extra: { received: 9, evicted_udp: 7, evicted_closed: 0 } }, false),
    'nothing has been dropped\n\nAlso counted  Count\nevicted_udp       7',
  );
});

test('tables: figures to the right, nothing at the ends of lines', () => {
  assert.is(
    table(
      ['A', 'N'],
      [
        ['x', '1'],
        ['longer', '100'],
      ],
    ),
    'A         N\nx         1\nlonger  100',
  );
});

test('history: as many changes as fit in a row; a long one is cut between two of its parts', () => {
  const start = { generation: 1, at: '2026-01-01T00:00:00.000Z', cause: 'start', current: true };
  const fields = Array.from({ length: 20 }, (_, n) => `field ${n} a → b`);
  const change = (host: number, details: string[]): ModelChange => ({
    ...{ what: 'server', change: 'changed', fields: [], details },
    key: `tcp 203.0.113.10:80 198.51.100.${host}:80`,
  });
  const row = (changes: ModelChange[], more = 0) => {
    const done = { summary: summaryOf(changes), changes: changes.slice(more), more };
    return formatHistory([{ ...start, ...done }])
      .split('\n')[1]
      ?.split(/ {2}start {2}/)[1];
  };
  const name = (host: number) => `~ server tcp 203.0.113.10:80 198.51.100.${host}:80`;
  assert.is(row([change(1, ['weight 1 → 2'])]), `${name(1)}: weight 1 → 2`);
  assert.is(
    row([1, 2, 3].map((host) => change(host, [`weight ${host} → 9`]))),
    `${name(1)}: weight 1 → 9; and 2 more`,
  );
  const long = row([change(1, fields)]);
  assert.match(long ?? '', /field 0 a → b, .*, field \d+ a → b, …$/);
  assert.ok((long ?? '').length <= 103, long);
  assert.is(row([]), 'nothing changed');
  const hosts = Array.from({ length: 90 }, (_, host) => host);
  assert.is(
    row(
      hosts.map((host) => change(host, ['weight 1 → 2'])),
      40,
    ),
    `~ 90 servers of tcp 203.0.113.10:80 (198.51.100.0:80, 198.51.100.1:80, 198.51.100.2:80, …`,
  );
});

test.run();
