/** SNMP: our columns against keepalived's own MIB, and snmpd's pass_persist protocol, line by line. */
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  answer,
  type Column,
  instances,
  ROOT,
  SERVER_COLUMNS,
  SERVICE_COLUMNS,
} from '../../src/stats/snmp.js';
import { Folder, finished, start } from '../cli/support.js';
import * as api from '../support/api.js';
import { RunningReplay } from '../support/running.js';
import { skip } from '../support/skip.js';

const MIB = '/usr/share/snmp/mibs/KEEPALIVED-MIB.txt';

/** What of the MIB's syntaxes a type of pass_persist stands for. */
const SYNTAXES: Record<Column<never>['type'], RegExp> = {
  integer: /^(INTEGER|Integer32|TruthValue|InetAddressType)\b/,
  gauge: /^(Gauge32|Unsigned32|InetPortNumber)\b/,
  counter: /^Counter32\b/,
  counter64: /^Counter64\b/,
  string: /^DisplayString\b/,
  octet: /^InetAddress\b/,
};

if (!existsSync(MIB)) {
  skip('columns against the MIB', `${MIB} is not there`);
} else {
  const mib = readFileSync(MIB, 'utf8');
  test('each column has the number and the syntax that keepalived’s MIB gives its name', () => {
    const columns = [...SERVICE_COLUMNS, ...SERVER_COLUMNS] as Column<never>[];
    assert.ok(columns.length > 50);
    for (const { name, number, type } of columns) {
      const at = mib.indexOf(`\n${name} OBJECT-TYPE`);
      assert.ok(at > 0, name);
      const text = mib.slice(at, at + 1_500);
      const [, syntax = ''] = /SYNTAX\s+(\w+)/.exec(text) ?? [];
      const [, entry, own] = /::= \{ (\w+) (\d+) \}/.exec(text) ?? [];
      assert.is(Number(own), number, name);
      assert.is(entry, name.startsWith('virtual') ? 'virtualServerEntry' : 'realServerEntry');
      assert.match(syntax, SYNTAXES[type], name);
    }
    const algorithms =
      /virtualServerLoadBalancingAlgo OBJECT-TYPE\s+SYNTAX\s+INTEGER \{([^}]*)\}/.exec(mib);
    for (const [scheduler, number] of [
      ['rr', 1],
      ['wlc', 4],
      ['mh', 13],
      ['twos', 14],
    ] as const) {
      assert.match(algorithms?.[1] ?? '', new RegExp(`\\b${scheduler}\\(${number}\\)`));
      const [found] = instances([api.service({ scheduler: scheduler as 'rr' })], {
        version: '1',
      }).filter(({ oid }) => oid === `${ROOT}.3.3.1.9.1`);
      assert.is(found?.value, String(number));
    }
  });
}

const SERVICES = [
  api.service({
    inBytes: 2 ** 40,
    inPkts: 2 ** 32 + 7,
    persistence: { timeoutS: 60, netmask: '255.255.255.0', engine: null },
    servers: [
      api.server({ mode: 'dr', weight: 3, checks: [{ type: 'TCP_CHECK', up: false }], up: false }),
      api.server({ mode: 'fullnat', address: '198.51.100.12' }),
    ],
  }),
  api.service({ name: 'dns', protocol: 'udp', port: 53 }),
];
const ALL = instances(SERVICES, { version: '0.1.0' });
const said = (tail: string) =>
  answer('get', `${ROOT}${tail}`, ALL).trimEnd().split('\n').slice(1).join(' ');

test('values: addresses as bytes, counters of their width, what the MIB has no word for left out', () => {
  assert.is(said('.1.1.0'), 'string Sluice 0.1.0');
  assert.is(said('.3.3.1.6.1'), 'octet cb 00 71 0a');
  assert.is(said('.3.3.1.15.1'), 'octet ff ff ff 00');
  assert.is(said('.3.3.1.8.2'), 'integer 2');
  assert.is(said('.3.3.1.28.1'), 'counter 7');
  assert.is(said('.3.3.1.39.1'), `counter64 ${2 ** 32 + 7}`);
  assert.is(said('.3.3.1.30.1'), `counter64 ${2 ** 40}`);
  assert.is(said('.3.3.1.11.1'), 'integer 1');
  assert.is(said('.3.3.1.11.2'), 'integer 2', 'no server that is up');
  assert.is(said('.3.3.1.71.2'), 'string dns');
  assert.is(said('.3.4.1.6.1.1'), 'integer 2');
  assert.is(said('.3.4.1.13.1.1'), 'gauge 1');
  assert.is(said('.3.4.1.40.1.1'), 'integer 2');
  assert.is(answer('get', `${ROOT}.3.4.1.40.1.2`, ALL), 'NONE\n', 'FullNAT');
  assert.is(answer('get', `${ROOT}.3.3.1.14.2`, ALL), 'NONE\n', 'not persistent');
  assert.is(answer('get', `${ROOT}.3.3.1.6`, ALL), 'NONE\n', 'a column is no instance');
});

test('a walk from the root meets everything once, in order, and ends', () => {
  const seen: string[] = [];
  for (let oid = ROOT; ; oid = seen.at(-1) as string) {
    const [next = ''] = answer('getnext', oid, ALL).split('\n');
    if (next === 'NONE') break;
    seen.push(next);
    assert.ok(seen.length <= ALL.length);
  }
  assert.equal(
    seen,
    ALL.map(({ oid }) => oid),
  );
  assert.is(answer('getnext', '.1.3.6.1.4.1.9586', ALL).split('\n')[0], seen[0]);
  assert.is(answer('getnext', '.1.3.6.1.4.1.9587', ALL), 'NONE\n');
});

test('sluice snmp answers as snmpd asks, of a running director', async () => {
  const director = await new RunningReplay(`
ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24] }]
services:
  - { name: web, listen: 203.0.113.10:80, mode: nat, servers: [{ address: 192.0.2.11:8080 }] }
`).open();
  const folder = new Folder();
  try {
    const asked = [
      'PING',
      'get',
      `${ROOT}.3.3.1.71.1`,
      'getnext',
      `${ROOT}.3.4`,
      'set',
      '.1',
      'integer 5',
    ];
    const helper = start(['snmp', '--socket', director.socket], folder.path);
    const { status, stdout, stderr } = await finished(helper, `${asked.join('\n')}\n\n`);
    assert.is(status, 0, stderr);
    assert.equal(stdout.trimEnd().split('\n'), [
      ...['PONG', `${ROOT}.3.3.1.71.1`, 'string', 'web'],
      ...[`${ROOT}.3.4.1.2.1.1`, 'integer', '1', 'not-writable'],
    ]);
    const gone = start(['snmp', '--socket', folder.file('nobody')], folder.path);
    const answerless = await finished(gone, `get\n${ROOT}.3.3.1.71.1\n`);
    assert.is(answerless.stdout, 'NONE\n');
    assert.match(answerless.stderr, /no running director on /);
  } finally {
    director.close();
    folder.remove();
  }
});

test.run();
