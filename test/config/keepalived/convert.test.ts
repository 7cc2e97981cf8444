/** keepalived.conf → director.yaml → keepalived.conf: the same Model all the way. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { stringify } from 'yaml';
import { convert } from '../../../src/config/convert.js';
import { writeKeepalived } from '../../../src/config/keepalived/write.js';
import { loadConfig, parseConfig } from '../../../src/config/load.js';
import type { Model } from '../../../src/config/model.js';
import { ConfigError } from '../../../src/errors.js';
import { BASE } from '../support.js';
import { GOOD } from './mutations.js';
import { ask, hasOracle } from './oracle.js';
import { RICH } from './rich.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-convert-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);
writeFileSync(path('sluice.yaml'), BASE);

function put(name: string, text: string): string {
  writeFileSync(path(name), text);
  return path(name);
}

const data = (model: Model): Record<string, unknown> => JSON.parse(JSON.stringify(model));

test('keepalived.conf to director.yaml and back is the same Model', () => {
  const first = loadConfig(put('keepalived.conf', RICH)).model;
  const there = convert(path('keepalived.conf'));
  assert.is(there.to, 'director.yaml');
  assert.equal(data(loadConfig(put('director.yaml', there.text)).model), data(first));
  const back = convert(path('director.yaml'));
  assert.is(back.to, 'keepalived.conf');
  assert.equal(data(loadConfig(put('again.conf', back.text)).model), data(first));
  assert.not.match(back.text.replace(/^(! sluice:.*\n)*/, ''), /! sluice:/);
});

test('what Sluice does not do becomes a comment with its place', () => {
  const own = GOOD.replaceAll('198.51.100.', '198.51.101.')
    .replaceAll('eth0', 'front')
    .replaceAll('eth2', 'back');
  const conf = put('unsupported.conf', own);
  const { text } = convert(conf);
  assert.match(text, /^# .*unsupported\.conf:2:5: warning: router_id: has no effect/m);
  assert.match(text, /^# .*: warning: from: the dataplane goes by the main table alone/m);
  assert.is(loadConfig(put('converted.yaml', text)).model.services.length, 12);
});

test('what keepalived.conf cannot say becomes a comment', () => {
  const yaml = `${BASE}
services:
  - name: web
    listen: 203.0.113.10:80
    mode: fullnat
    onServerRemoved: reset
    toaKind: 200
    localAddresses: [198.51.100.200]
    servers: [{ address: 198.51.100.11:80, health: { checks: [{ type: https, verify: true }, { type: dns, answer: 192.0.2.1 }] } }]
  - { name: empty, listen: 203.0.113.11:80, mode: nat }
`;
  const { text } = convert(put('own.yaml', yaml));
  assert.equal(
    text
      .split('\n')
      .filter((line) => line.includes('! sluice: ') && !line.startsWith('!'))
      .map((line) => line.trim()),
    [
      '! sluice: onServerRemoved: reset',
      '! sluice: toaKind: 200',
      '! sluice: verify: true',
      '! sluice: answer: 192.0.2.1',
    ],
  );
  assert.match(text, /^! sluice: service empty \(203\.0\.113\.11:80\) has no server/m);
  assert.match(text, /^! sluice: {3}- name: front$/m);
  assert.match(text, /^ {4}snmp_name web$/m);
});

test('a SYN proxy, both ways', () => {
  const yaml = `${BASE}services:
  - { name: web, listen: 203.0.113.12:80, mode: nat, synProxy: true, servers: [{ address: 198.51.100.12:8080 }] }
`;
  const first = loadConfig(put('proxy.yaml', yaml)).model;
  const conf = convert(path('proxy.yaml')).text;
  assert.match(conf, /^ {4}syn_proxy$/m);
  assert.equal(data(loadConfig(put('proxy.conf', conf)).model), data(first));
  assert.is(first.services[0]?.synProxy, true);
});

test('an SCTP service, both ways', () => {
  const yaml = `${BASE}services:
  - { name: signalling, listen: 203.0.113.12:2905, protocol: sctp, mode: nat, servers: [{ address: 198.51.100.12:2906 }] }
`;
  const first = loadConfig(put('sctp.yaml', yaml)).model;
  const conf = convert(path('sctp.yaml')).text;
  assert.match(conf, /^virtual_server 203\.0\.113\.12 2905 \{\n(.*\n){1,4} {4}protocol SCTP$/m);
  assert.equal(data(loadConfig(put('sctp.conf', conf)).model), data(first));
});

test('services for marks and for any port, both ways', () => {
  const yaml = `${BASE}marks:
  - { mark: 5, to: 203.0.113.10 }
  - { mark: 5, to: "2001:db8:1::10" }
services:
  - { name: fwmark-5, mark: 5, mode: dr, persistence: 50s, servers: [{ address: 198.51.100.11:0 }] }
  - { name: six, mark: 5, mode: tun, servers: [{ address: "[2001:db8:2::11]:0" }] }
  - { name: any, listen: 203.0.113.12:0, mode: nat, persistence: 50s, servers: [{ address: 198.51.100.12:0 }] }
`;
  const first = loadConfig(put('wide.yaml', yaml)).model;
  const conf = convert(path('wide.yaml')).text;
  assert.match(conf, /^virtual_server fwmark 5 \{\n {4}lvs_sched/m);
  assert.match(conf, /^virtual_server fwmark 5 \{\n {4}ip_family inet6\n {4}snmp_name six$/m);
  assert.match(conf, /^virtual_server 203\.0\.113\.12 0 \{$/m);
  writeFileSync(path('sluice.yaml'), yaml.slice(0, yaml.indexOf('services:')));
  const again = loadConfig(put('wide.conf', conf)).model;
  const back = convert(path('wide.conf')).text;
  writeFileSync(path('sluice.yaml'), BASE);
  assert.equal(data(again), data(first));
  assert.equal(data(loadConfig(put('back.yaml', back)).model), data(first));
});

test('a persistence engine and a netmask with holes, both ways', () => {
  const yaml = `${BASE}services:
  - name: calls
    listen: 203.0.113.12:5060
    protocol: udp
    mode: nat
    onePacket: true
    persistence: { timeout: 60s, netmask: 255.0.255.0, engine: sip }
    servers: [{ address: 198.51.100.12:5060 }]
`;
  const first = loadConfig(put('calls.yaml', yaml)).model;
  assert.equal(first.services[0]?.persistence, {
    timeoutS: 60,
    netmask: '255.0.255.0',
    engine: 'sip',
    whenDrained: 'stay',
  });
  const conf = convert(path('calls.yaml')).text;
  const lines = ['ops', 'persistence_timeout 60', 'persistence_granularity 255.0.255.0'];
  assert.ok(conf.includes([...lines, 'persistence_engine sip'].join('\n    ')), conf);
  assert.equal(data(loadConfig(put('calls.conf', conf)).model), data(first));
});

test('a file with mistakes is not converted', () => {
  const file = put('wrong.conf', RICH.replace('lb_algo', 'lb_alg'));
  assert.throws(
    () => convert(file),
    (error: unknown) => error instanceof ConfigError,
  );
});

const address = fc.integer({ min: 2, max: 250 });
const time = fc.integer({ min: 1, max: 100_000 }).map((ms) => `${ms}ms`);
const text = fc.string({ unit: fc.constantFrom(...'abz 09./-:#!{}'), minLength: 1, maxLength: 10 });
const command = fc.array(text, { maxLength: 3 }).map((words) => ['/bin/x', ...words]);
const script = fc.oneof(
  command,
  fc.record(
    { command, user: fc.constant('daemon'), group: fc.constant('daemon') },
    { requiredKeys: ['command', 'user'] },
  ),
);
const optional = <T extends Record<string, fc.Arbitrary<unknown>>>(shape: T) =>
  fc.record(shape, { requiredKeys: [] });
const timing = {
  delayLoop: time,
  retry: fc.nat(9),
  delayBeforeRetry: time,
  warmup: time,
  alpha: fc.boolean(),
};
const connecting = {
  ...timing,
  connectTimeout: time,
  connectPort: fc.integer({ min: 1, max: 65_535 }),
  fwmark: fc.nat(99),
};
const checks = fc.array(
  fc.oneof(
    optional(connecting).map((keys) => ({ type: 'tcp', ...keys })),
    optional({
      ...connecting,
      path: fc.constant('/a'),
      regex: fc.constantFrom('^a\\.b"c$', 'x{2}', "it's #1!"),
      status: fc.constantFrom('200', '300-399'),
    }).map((keys) => ({ type: 'http', ...keys })),
    optional({ ...timing, dynamic: fc.boolean(), timeout: fc.integer({ min: 1, max: 99 }) }).chain(
      (keys) => script.map((run) => ({ type: 'misc', ...keys, script: run })),
    ),
    optional({
      ...connecting,
      queryType: fc.constantFrom('A', 'MX'),
      name: fc.constant('example.org'),
    }).map((keys) => ({ type: 'dns', ...keys })),
    optional({ weight: fc.integer(), reverse: fc.boolean(), dynamic: fc.boolean() }).map(
      (keys) => ({ type: 'file', path: '/run/a b', ...keys }),
    ),
  ),
  { maxLength: 3 },
);
const tunnel = fc.constantFrom(
  { type: 'ipip' },
  { type: 'gre' },
  { type: 'gre', checksum: 'csum' },
  { type: 'gue', port: 6080 },
  { type: 'gue', port: 6081, checksum: 'csum' },
  { type: 'gue', port: 6080, checksum: 'remcsum' },
);
const servers = fc.uniqueArray(
  fc.record(
    {
      address: address.map((host) => `198.51.100.${host}:8080`),
      weight: fc.nat(65_535),
      mode: fc.constantFrom('nat', 'dr', 'tun'),
      tunnel,
      upperThreshold: fc.constantFrom(10, 20),
      health: optional({ checks, notifyUp: script, inhibitOnFailure: fc.boolean() }),
    },
    { requiredKeys: ['address'] },
  ),
  { minLength: 1, maxLength: 3, selector: (server) => server.address },
);
const services = fc.uniqueArray(
  fc.record(
    {
      name: fc.constant('unnamed'),
      listen: address.map((host) => `203.0.113.${host}:80`),
      mode: fc.constantFrom('nat', 'tun', 'enat'),
      protocol: fc.constantFrom('tcp', 'udp'),
      tunnel,
      scheduler: fc.constantFrom('rr', 'wlc', 'mh', 'sh'),
      schedulePort: fc.boolean(),
      servers,
      health: optional({
        omega: fc.boolean(),
        quorumUp: script,
        alpha: fc.boolean(),
        delayLoop: time,
        checks,
      }),
    },
    { requiredKeys: ['name', 'listen', 'mode', 'servers'] },
  ),
  { maxLength: 3, selector: (service) => service.listen },
);

const tracks = fc.uniqueArray(
  fc.oneof(
    fc.record(
      { port: fc.constant('back'), weight: fc.integer({ min: -253, max: 253 }) },
      { requiredKeys: ['port'] },
    ),
    fc.record(
      {
        tracker: fc.constantFrom('s', 'f', 'p'),
        weight: fc.integer({ min: -253, max: 253 }),
        reverse: fc.boolean(),
      },
      { requiredKeys: ['tracker', 'weight'] },
    ),
    fc.constant({ interface: 'bond0' }),
  ),
  { maxLength: 3, selector: (one) => JSON.stringify([one]).split(',')[0] },
);
const notify = optional({
  master: script,
  backup: script,
  fault: script,
  stop: script,
  any: script,
});
const password = text.map((one) => one.replaceAll(/[^a-z0-9]/g, 'x').slice(0, 8));
const OF_VERSION: Record<2 | 3, Record<string, fc.Arbitrary<unknown>>> = {
  2: { password },
  3: { strict: fc.boolean() },
};
const instanceOf = (version: 2 | 3) =>
  fc.record(
    {
      version: fc.constant(version),
      priority: fc.integer({ min: 1, max: 254 }),
      advertInterval:
        version === 2
          ? fc.integer({ min: 1, max: 255 }).map((s) => `${s}s`)
          : fc.integer({ min: 1, max: 4095 }).map((hundredths) => `${hundredths * 10}ms`),
      preempt: fc.boolean(),
      sourceAddress: fc.constant('192.0.2.7'),
      unicastPeers: fc.constant(['192.0.2.8', '192.0.2.9']),
      multicastGroup: fc.constantFrom('224.0.0.99', '239.1.2.3'),
      routes: fc.constant(['198.18.5.0/24 dev back', 'blackhole 198.18.6.0/24']),
      rules: fc.constant(['from all iif front table 5 preference 9']),
      virtualMac: fc.constant(false),
      accept: fc.boolean(),
      downAdverts: fc.integer({ min: 1, max: 100 }),
      trackPort: fc.boolean(),
      ...OF_VERSION[version],
      garp: optional({
        delay: fc.integer({ min: 0, max: 99 }),
        repeat: fc.integer({ min: 1, max: 99 }),
        refresh: fc.integer({ min: 0, max: 99 }),
        lowerPriorityRepeat: fc.nat(99),
        lowerPriorityDelay: fc.nat(99),
      }),
      track: tracks,
      notify,
    },
    { requiredKeys: ['version'] },
  );
const vrrps = fc.record({
  startDelay: fc.constantFrom(0, '2500ms'),
  notifyFifo: fc.constant('/run/f'),
  instances: fc.tuple(instanceOf(2), instanceOf(3)),
  groups: fc.constantFrom(
    [],
    [{ name: 'G', instances: ['VI_1', 'VI_2'], notify: { any: '/bin/x' } }],
  ),
  trackers: fc.tuple(
    optional({
      interval: fc.integer({ min: 1, max: 99 }),
      rise: fc.integer({ min: 1, max: 9 }),
      fall: fc.integer({ min: 1, max: 9 }),
      initFail: fc.boolean(),
      weight: fc.integer({ min: -253, max: 253 }),
      reverse: fc.boolean(),
    }).chain((keys) => script.map((run) => ({ name: 's', type: 'script', script: run, ...keys }))),
    optional({ weight: fc.integer({ min: -254, max: 254 }) }).map((keys) => ({
      name: 'f',
      type: 'file',
      path: '/run/a b',
      ...keys,
    })),
    optional({
      quorum: fc.integer({ min: 1, max: 9 }),
      quorumMax: fc.integer({ min: 1, max: 9 }),
      arguments: fc.constant(['-W', '-f']),
      terminateDelay: fc.integer({ min: 1, max: 9 }),
    }).map((keys) => ({ name: 'p', type: 'process', process: 'haproxy', ...keys })),
  ),
});

/** keepalived groups what is tracked by its kind. */
function inOrder({ vrrp }: Model): unknown {
  const key = (track: unknown) => JSON.stringify(track);
  const instances = vrrp.instances.map((one) => ({
    ...one,
    track: [...one.track].sort((a, b) => (key(a) < key(b) ? -1 : 1)),
  }));
  return JSON.parse(JSON.stringify({ ...vrrp, instances }));
}

test('property: any VRRP written as keepalived.conf is read as the same', () => {
  fc.assert(
    fc.property(vrrps, (given) => {
      const instances = given.instances.map((one, index) => ({
        ...one,
        multicastGroup: one.unicastPeers ? undefined : one.multicastGroup,
        name: `VI_${index + 1}`,
        port: 'front',
        routerId: index + 1,
        addresses: [`203.0.113.${index + 1}`],
        excludedAddresses: [`203.0.113.${index + 101}`],
      }));
      // Of trackers that nobody uses keepalived knows nothing.
      const track = ['s', 'f', 'p'].map((tracker) => ({ tracker, weight: 1, reverse: false }));
      const [first, ...others] = instances;
      const used = [{ ...first, track }, ...others];
      const yaml = stringify(
        { vrrp: { ...given, instances: used } },
        { aliasDuplicateObjects: false },
      );
      const { model } = parseConfig(`${BASE}${yaml}`, 'any.yaml');
      const again = loadConfig(put('vrrp.conf', writeKeepalived(model, ''))).model;
      assert.equal(inOrder(again), inOrder(model));
    }),
    { numRuns: 60, seed: 6 },
  );
});

test('property: any services written as keepalived.conf are read as the same ones', () => {
  const written: string[] = [];
  fc.assert(
    fc.property(services, (list) => {
      const named = list.map((service, index) => ({ ...service, name: `s${index}` }));
      const { model } = parseConfig(
        `${BASE}${stringify({ services: named }, { aliasDuplicateObjects: false })}`,
        'any.yaml',
      );
      // Ports that only a hash looks at are not written where there is no hash.
      for (const service of model.services) {
        if (!['sh', 'mh'].includes(service.scheduler)) service.schedulePort = false;
      }
      const conf = writeKeepalived(model, '');
      written.push(conf);
      const again = loadConfig(put('property.conf', conf)).model;
      assert.equal(data(again), data(model));
    }),
    { numRuns: 150, seed: 5 },
  );
  if (!hasOracle()) return;
  // Its own modes aside, keepalived takes what is written, too.
  const plain = written.filter((conf) => !conf.includes('ENAT') && conf !== '\n').slice(0, 20);
  const says = ask(plain.map((conf) => `global_defs {\n script_user root\n}\n${conf}`)).flatMap(
    (verdict) => verdict.says,
  );
  // FILE_CHECK's dynamic is in its manual, but not in it.
  assert.equal(
    says.filter(
      (line) =>
        !line.endsWith("Unknown keyword 'dynamic'") &&
        /Unknown keyword|Unterminated|Unmatched|missing|Extra|Invalid|Unexpected/.test(line),
    ),
    [],
  );
});

test.run();
