/** What is told of a change: each setting in words, as data, in a line; and nothing of a secret. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fieldChanges } from '../../src/changes/fields.js';
import { sharing } from '../../src/changes/sharing.js';
import { changeLines, summaryOf } from '../../src/changes/words.js';
import { parseConfig } from '../../src/config/load.js';
import type { Model } from '../../src/config/model.js';
import { diffModels } from '../../src/model-diff.js';
import { sameData } from '../../src/same-data.js';

const PORTS = `
ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [192.0.2.1/24, 198.51.100.1/24] }]
`;
const SERVER = '{ address: 198.51.100.11:8080 }';

const web = (settings = '', server = SERVER, more = '') => `
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    ${settings}
    servers: [${server}]
${more}`;
const check = (text: string) =>
  web('', `{ address: 198.51.100.11:8080, health: { checks: [${text}] } }`);
const server = (text: string) => web('', `{ address: 198.51.100.11:8080, ${text} }`);
const model = (text: string): Model => parseConfig(PORTS + text, 'director.yaml').model;
const linesOf = (before: string, after: string) =>
  changeLines(diffModels(model(before), model(after)));

const SERVICE = '~ service tcp 203.0.113.10:80: ';
const ONE = '~ server tcp 203.0.113.10:80 198.51.100.11:8080: ';
const LONG = `/${'a'.repeat(90)}`;

const TABLE: [sentence: string, before: string, after: string, ...lines: string[]][] = [
  ['a weight', server('weight: 1'), server('weight: 3'), `${ONE}weight 1 → 3`],
  ['a mode', server('mode: nat'), server('mode: enat'), `${ONE}mode nat → enat`],
  [
    'thresholds',
    server('weight: 2'),
    server('weight: 2, upperThreshold: 100, lowerThreshold: 80'),
    `${ONE}upper threshold 0 → 100, lower threshold 0 → 80`,
  ],
  ['a scheduler', web('scheduler: rr'), web('scheduler: wlc'), `${SERVICE}scheduler rr → wlc`],
  [
    'yes and no',
    web('scheduler: mh'),
    web('scheduler: mh\n    schedulePort: true'),
    `${SERVICE}scheduling by port no → yes`,
  ],
  [
    'persistence, which was none',
    web(),
    web('persistence: 60'),
    `${SERVICE}persistence none → timeout 60 s, netmask 255.255.255.255, when drained stay`,
  ],
  [
    'one setting of it',
    web('persistence: 60'),
    web('persistence: 5m'),
    `${SERVICE}persistence timeout 60 s → 300 s`,
  ],
  [
    'lists by what came and went',
    web('localAddresses: [198.51.100.200, 198.51.100.201]'),
    web('localAddresses: [198.51.100.201, 198.51.100.202]'),
    `${SERVICE}local addresses +198.51.100.202, -198.51.100.200`,
  ],
  [
    'a long list as far as eight',
    web(),
    web(`clients: { deny: [${Array.from({ length: 30 }, (_, n) => `198.18.0.${n}`)}] }`),
    `${SERVICE}clients denied ${Array.from({ length: 8 }, (_, n) => `+198.18.0.${n}`).join(', ')}, and 22 more`,
  ],
  [
    'a check that is another',
    check('{ type: tcp }'),
    check('{ type: http }'),
    `${ONE}check tcp → http`,
  ],
  ['a check at all', server('weight: 1'), check('{ type: ping }'), `${ONE}check none → ping`],
  [
    'a second check',
    check('{ type: tcp }'),
    check('{ type: tcp }, { type: tcp, connectPort: 81 }'),
    `${ONE}check +tcp 2`,
  ],
  [
    'one setting of a check, with its unit',
    check('{ type: tcp, connectTimeout: 5s }'),
    check('{ type: tcp, connectTimeout: 500ms, retry: 4 }'),
    `${ONE}check tcp retry 1 → 4, check tcp connect timeout 5 s → 500 ms`,
  ],
  [
    'a page that is another',
    check('{ type: http, urls: [{ path: /a }] }'),
    check('{ type: http, urls: [{ path: /b, status: [200, 300-302] }] }'),
    `${ONE}check http url /a → /b`,
  ],
  [
    'its status codes',
    check('{ type: http, urls: [{ path: /a }] }'),
    check('{ type: http, urls: [{ path: /a, status: [200, 300-302] }] }'),
    `${ONE}check http url /a status codes +200, +300-302, -200-299`,
  ],
  [
    'long values that begin alike: where they part',
    check(`{ type: http, urls: [{ path: /, virtualhost: x, regex: "${LONG}1" }] }`),
    check(`{ type: http, urls: [{ path: /, virtualhost: x, regex: "${LONG}2" }] }`),
    `${ONE}check http url / regex …aaaaaaaaaa1 → …aaaaaaaaaa2`,
  ],
  [
    'a script',
    check('{ type: misc, script: /bin/a one }'),
    check('{ type: misc, script: /bin/a two }'),
    `${ONE}check misc script /bin/a one → /bin/a two`,
  ],
  [
    'a password in its arguments',
    check('{ type: misc, script: /bin/a --password=open }'),
    check('{ type: misc, script: /bin/a --password=sesame }'),
    `${ONE}check misc script changed`,
  ],
  [
    'a service with its servers',
    web(),
    web(
      '',
      `${SERVER}, { address: 198.51.100.12:80, weight: 2 }`,
      `  - { name: dns, listen: 203.0.113.10:53, protocol: udp, mode: nat, servers: [{ address: 198.51.100.11:53 }, { address: 198.51.100.12:53 }] }`,
    ),
    '+ service udp 203.0.113.10:53 with 2 servers 198.51.100.11:53, 198.51.100.12:53',
    '+ server tcp 203.0.113.10:80 198.51.100.12:80',
  ],
  [
    'the order of servers',
    web('', `${SERVER}, { address: 198.51.100.12:80 }`),
    web('', `{ address: 198.51.100.12:80 }, ${SERVER}`),
    `${SERVICE}servers in another order`,
  ],
  [
    'the order of services',
    `${web()}  - { name: b, listen: 203.0.113.11:80, mode: nat }`,
    `\nservices:\n  - { name: b, listen: 203.0.113.11:80, mode: nat }\n${web().replace('\nservices:', '')}`,
    '~ setting services: in another order',
  ],
  [
    'timeouts',
    web(),
    `timeouts: { udp: 7, tcp: 1h }${web()}`,
    '~ timeouts: tcp 900 s → 3600 s, udp 300 s → 7 s',
  ],
  [
    'a route',
    `routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]${web()}`,
    `routes: [{ to: 0.0.0.0/0, via: 192.0.2.253 }]${web()}`,
    '~ route 0.0.0.0/0: via 192.0.2.254 → 192.0.2.253',
  ],
  [
    'a mark',
    web(),
    `marks: [{ mark: 5, to: 203.0.113.9, protocol: tcp, ports: [80, 8000-8010] }]${web()}`,
    '+ mark 5 to 203.0.113.9/32 tcp ports 80, 8000-8010',
  ],
  [
    'VRRP',
    `vrrp: { instances: [{ name: VI_1, port: front, routerId: 51, priority: 100, addresses: [192.0.2.100] }] }${web()}`,
    `vrrp: { lease: 9s, instances: [{ name: VI_1, port: front, routerId: 51, priority: 150, advertInterval: 100ms, addresses: [192.0.2.100, 192.0.2.101] }] }${web()}`,
    '~ vrrp: lease 3 s → 9 s',
    '~ vrrp instance VI_1: priority 100 → 150, interval 1 s → 100 ms, addresses +192.0.2.101',
  ],
  [
    'VRRP’s password',
    `vrrp: { instances: [{ name: VI_1, version: 2, port: front, routerId: 51, password: open, addresses: [192.0.2.100] }] }${web()}`,
    `vrrp: { instances: [{ name: VI_1, version: 2, port: front, routerId: 51, password: sesame, addresses: [192.0.2.100] }] }${web()}`,
    '~ vrrp instance VI_1: password changed',
  ],
  [
    'an alert’s threshold',
    web(),
    `director: { answerRate: 9 }${web()}`,
    '~ setting director: answer rate 10000 → 9',
  ],
];

for (const [sentence, before, after, ...lines] of TABLE) {
  test(sentence, () => {
    assert.equal(linesOf(before, after), lines);
    assert.not.match(JSON.stringify(diffModels(model(before), model(after))), /open|sesame/);
    assert.equal(linesOf(after, after), []);
    assert.is.not(linesOf(after, before).length, 0, 'the way back is a change, too');
  });
}

test('as data: field, from and to; of lists what was added and removed', () => {
  const [one] = diffModels(model(server('weight: 1')), model(server('weight: 3')));
  assert.equal(one?.fields, [{ field: 'weight', from: 1, to: 3 }]);
  assert.equal(one?.details, ['weight 1 → 3']);
  assert.equal(
    fieldChanges(
      { timeoutMs: 1500, on: false, password: 'a', l: [1] },
      { timeoutMs: 20, on: true, password: 'b', l: [2] },
    ),
    [
      { field: 'timeout', from: '1.5 s', to: '20 ms' },
      { field: 'on', from: false, to: true },
      { field: 'password', from: '***', to: '***' },
      { field: 'l', added: ['2'], removed: ['1'], more: 0 },
    ],
  );
});

test('ten thousand changes: alike ones are one line, and a line has four of them', () => {
  const many = (weight: number) => {
    const servers = Array.from(
      { length: 2_500 },
      (_, n) => `{ address: "10.0.${n >> 8}.${n & 255}:80", weight: ${weight} }`,
    );
    const services = [10, 11, 12, 13, 14].map(
      (host) =>
        `  - { name: s${host}, listen: 203.0.113.${host}:80, mode: nat, servers: [${servers}] }`,
    );
    return `director: { maxServers: 20000 }\nservices:\n${services.join('\n')}`;
  };
  const found = diffModels(model(many(1)), model(many(2)));
  assert.is(found.length, 12_500);
  const lines = changeLines(found);
  assert.is(lines.length, 5);
  assert.is(
    lines[0],
    '~ 2500 servers of tcp 203.0.113.10:80 (10.0.0.0:80, 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80 and 2496 more): weight 1 → 2',
  );
  assert.match(summaryOf(found), /^(~ 2500 servers of [^;]+; ){4}and 1 more$/);
  assert.is(changeLines(found, { most: 2, more: 7 })[2], 'and 10 more');
});

/** As much of what a configuration can say as fits, so that no key of the Model is left out. */
const ALL = model(`
director: { answerRate: 5, metrics: "192.0.2.1:9100", user: nobody, keepEdits: /var/lib/edits }
timeouts: { tcp: 100, udp: 9 }
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours: [{ address: 192.0.2.254, mac: "02:00:00:00:00:fe" }]
marks: [{ mark: 5, to: 203.0.113.9, protocol: tcp, ports: [80, 8000-8010] }]
sync: { interface: eth9, peer: 198.51.100.2, key: /etc/sync.key }
vrrp:
  instances:
    - { name: VI_1, port: front, routerId: 51, addresses: [192.0.2.100], unicastPeers: [192.0.2.2] }
services:
  - name: web
    listen: 203.0.113.10:80
    mode: fullnat
    localAddresses: [198.51.100.200]
    persistence: { timeout: 60, netmask: 255.255.255.0 }
    clients: { allow: [192.0.2.0/24], deny: [192.0.2.7] }
    health: { quorum: 2, sorryServer: { address: "198.51.100.99:80" } }
    servers:
      - { address: 198.51.100.11:8080, weight: 3, health: { checks: [{ type: http, urls: [{ path: /, status: [200] }] }, { type: misc, script: /bin/a }] } }
      - { address: 198.51.100.12:8080, mode: tun, tunnel: { type: gue, port: 6080 } }
  - { name: five, mark: 5, mode: nat, servers: [{ address: 198.51.100.11:80 }] }
`);

/** The Model with another value at each of its ends in turn. */
function* mutants(value: unknown, at: string): Generator<[at: string, value: unknown]> {
  if (typeof value === 'string') yield [at, `${value}1`];
  else if (typeof value === 'number') yield [at, value + 1];
  else if (typeof value === 'boolean') yield [at, !value];
  else if (value === undefined || value === null) yield [at, 'there'];
  else if (Array.isArray(value)) {
    yield [at, [...value, 'more']];
    for (const [index, one] of value.entries()) {
      for (const [path, mutant] of mutants(one, `${at}[${index}]`))
        yield [path, value.with(index, mutant)];
    }
  } else {
    for (const [key, one] of Object.entries(value as object)) {
      for (const [path, mutant] of mutants(one, `${at}.${key}`)) {
        yield [path, { ...(value as object), [key]: mutant }];
      }
    }
  }
}

test('whatever setting is another one is told, in a line; and nothing else is', () => {
  const copy = structuredClone(ALL);
  assert.equal(diffModels(ALL, copy), []);
  assert.is(sharing(copy, ALL), ALL);
  // Lists of things have things in them.
  const things =
    /\.(services|servers|ports|routes|neighbours|marks|instances|groups|trackers|clientFiles|ranges|checks|urls)$|\.vrrp\.\w+$|\.from$/;
  let seen = 0;
  for (const [at, mutant] of mutants(ALL, '')) {
    if (things.test(at.replace(/\[\d+\]/g, ''))) continue;
    const after = structuredClone(mutant) as Model;
    const lines = changeLines(diffModels(ALL, after));
    assert.ok(lines.length > 0, `${at} is not told`);
    for (const line of lines) assert.not.match(line, /\n|undefined|\[object|→ .{200}/, at);
    const shared = sharing(after, ALL);
    assert.ok(sameData(shared, after), at);
    assert.is.not(shared, ALL, at);
    assert.equal(diffModels(ALL, shared), diffModels(ALL, after), at);
    seen++;
  }
  assert.ok(seen > 150, `${seen} settings`);
});

test('what says the same is the very same object, wherever it stands', () => {
  const after = structuredClone(ALL);
  after.services.reverse();
  (after.services[1]?.servers[0] as { weight: number }).weight = 9;
  const shared = sharing(after, ALL);
  assert.is(shared.services[0], ALL.services[1]);
  assert.is(shared.services[1]?.servers[1], ALL.services[0]?.servers[1]);
  assert.is(shared.services[1]?.clients, ALL.services[0]?.clients);
  assert.is(shared.vrrp, ALL.vrrp);
  assert.equal(shared, after);
});

test.run();
