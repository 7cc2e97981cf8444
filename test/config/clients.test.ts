/** Clients of services: each way to say them, files, and every mistake with its place. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CLIENTS_HEADER, clientLine, clientReport, clientReports } from '../../src/clients.js';
import { loadAside, loadInThread } from '../../src/config/aside.js';
import { admission, clientSet, entriesOf } from '../../src/config/client-sets.js';
import { networksOf, parseClients } from '../../src/config/clients.js';
import { convert } from '../../src/config/convert.js';
import { parseKeepalivedConfig } from '../../src/config/load.js';
import { ConfigError, formatProblem } from '../../src/errors.js';
import { diffModels } from '../../src/model-diff.js';
import { NO_SLOTS, plan } from '../../src/plan.js';
import { load, service, table } from './support.js';

const web = (clients: string, listen = '203.0.113.10:80', server = '198.51.100.11:80') =>
  service(
    `name: web\nlisten: "${listen}"\nmode: nat\nclients: ${clients}\nservers: [{ address: "${server}" }]`,
  );

const folder = mkdtempSync(join(tmpdir(), 'sluice-clients-'));
test.after(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const SAID: [said: string, means: string, networks: number][] = [
  ['192.0.2.1', '192.0.2.1', 1],
  ['192.0.2.1/32', '192.0.2.1', 1],
  ['192.0.2.0/24', '192.0.2.0/24', 1],
  ['0.0.0.0/0', '0.0.0.0/0', 1],
  ['192.0.2.1-9', '192.0.2.1-192.0.2.9', 4],
  ['192.0.2.1-192.0.2.9', '192.0.2.1-192.0.2.9', 4],
  ['192.0.2.0-192.0.2.255', '192.0.2.0/24', 1],
  ['0.0.0.0-255.255.255.255', '0.0.0.0/0', 1],
  ['0.0.0.1-255.255.255.254', '0.0.0.1-255.255.255.254', 62],
  ['192.0.2.7-192.0.2.7', '192.0.2.7', 1],
  ['2001:DB8::0:1', '2001:db8::1', 1],
  ['2001:db8::/32', '2001:db8::/32', 1],
  ['::/0', '::/0', 1],
  ['::', '::', 1],
  ['2001:db8::1-a', '2001:db8::1-2001:db8::a', 5],
  ['2001:db8::-2001:db8::ffff', '2001:db8::/112', 1],
];
for (const [said, means, networks] of SAID) {
  test(`${said} is ${means}`, () => {
    assert.equal(parseClients(said), { value: means });
    assert.equal(parseClients(means), { value: means });
    assert.is(networksOf(said).length, networks);
  });
}

const WHAT =
  'expected an address, a network or a range such as 192.0.2.0/24 or 192.0.2.1-192.0.2.9';
table([
  {
    it: 'addresses, networks and ranges',
    yaml: web('{ allow: [192.0.2.0/24, 192.0.2.1-9], deny: [192.0.2.7] }'),
    says: [],
  },
  {
    it: 'what is no client',
    yaml: web(
      '{ deny: [192.0.2, 192.0.2.300, 192.0.2.1/24, 192.0.2.0/33, 192.0.2.9-1, ::1-192.0.2.1, 7] }',
    ),
    says: [
      `13:23: services[0].clients.deny[0]: is "192.0.2", ${WHAT}`,
      `13:32: services[0].clients.deny[1]: is "192.0.2.300", ${WHAT}`,
      '13:45: services[0].clients.deny[2]: is "192.0.2.1/24", expected 192.0.2.0/24: it has bits set after its prefix',
      '13:59: services[0].clients.deny[3]: is "192.0.2.0/33", expected at most 32 bits after the slash',
      `13:73: services[0].clients.deny[4]: is "192.0.2.9-1", ${WHAT}`,
      `13:86: services[0].clients.deny[5]: is "::1-192.0.2.1", ${WHAT}`,
      `13:101: services[0].clients.deny[6]: is 7, ${WHAT}, or file: /path`,
    ],
  },
  {
    it: 'a key that is none, a relative path, nobody allowed',
    yaml: web('{ denied: [], deny: [{ file: deny.txt }], allow: [] }'),
    says: [
      '13:16: services[0].clients.denied: unknown key, expected one of allow, deny',
      '13:43: services[0].clients.deny[0].file: is "deny.txt", expected an absolute path',
      '13:63: services[0].clients.allow: is an empty list, expected at least one client, or no allow: then everybody is let in',
    ],
  },
  {
    it: 'twice the same, however it is said',
    yaml: web('{ deny: [192.0.2.0/31, 192.0.2.0-192.0.2.1] }'),
    says: ['13:37: services[0].clients.deny[1]: 192.0.2.0/31 is also deny[0]'],
    codes: ['ERR_CONFIG_DUPLICATE'],
  },
  {
    it: 'the other family has no clients here, and alone it would let nobody in',
    yaml: web('{ deny: ["2001:db8::1"], allow: ["2001:db8::/32"] }'),
    says: [
      '13:23: warning: services[0].clients.deny[0]: 2001:db8::1 is not IPv4, as all clients of the service are: it is ignored',
      '13:46: services[0].clients.allow: has no IPv4 address, expected one: nobody could use the service',
      '13:47: warning: services[0].clients.allow[0]: 2001:db8::/32 is not IPv4, as all clients of the service are: it is ignored',
    ],
  },
]);

const problems = (yaml: string): string[] => {
  try {
    return load(yaml).warnings.map(formatProblem);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem);
    throw error;
  }
};

test('a file: comments, blank lines, line ends of DOS; what is wrong has its place there', () => {
  const path = file(
    'deny.txt',
    '# bad ones\n192.0.2.1\r\n\n  198.51.100.0/24 # a network\n2001:db8::/32\n192.0.2.8-11\nhttp://x\n 10.0.0.1/8\n',
  );
  assert.equal(problems(web(`{ deny: [{ file: "${path}" }, 192.0.2.77] }`)), [
    `${path}:7:1: clients: is "http://x", ${WHAT}`,
    `${path}:8:2: clients: is "10.0.0.1/8", expected 10.0.0.0/8: it has bits set after its prefix`,
  ]);
});

test('a file that is no list is told of in ten lines', () => {
  const path = file('poem.txt', 'a word\n'.repeat(1_000));
  const said = problems(web(`{ deny: [{ file: "${path}" }] }`));
  assert.is(said.length, 10);
  assert.match(said[9] as string, /^.*poem\.txt:10:1: .*; 990 more lines are wrong$/);
});

test('a file that is not there, and one to allow by that has nobody', () => {
  const empty = file('empty.txt', '# nobody yet\n');
  assert.equal(problems(web(`{ deny: [{ file: "${empty}" }] }`)), []);
  const said = problems(
    web(`{ deny: [{ file: "${folder}/none" }], allow: [{ file: "${empty}" }] }`),
  );
  assert.match(
    said[0] as string,
    /^director\.yaml:13:23: services\[0\]\.clients\.deny\[0\]: cannot read .*ENOENT/,
  );
  assert.match(
    said[1] as string,
    /^director\.yaml:13:\d+: services\[0\]\.clients\.allow: has no IPv4 address/,
  );
});

const lines = (count: number) =>
  Array.from({ length: count }, (_, n) => `198.${18 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`);

test('services with one file share what is made of it; a reload that leaves it alone shares it on', async () => {
  const path = file('large.txt', `${lines(20_000).join('\n')}\n`);
  const yaml = `${web(`{ deny: [{ file: "${path}" }] }`)}\
  - { name: dns, listen: 203.0.113.10:53, mode: nat, clients: { deny: [{ file: "${path}" }, 192.0.2.9] }, servers: [{ address: 198.51.100.11:53 }] }
`;
  const config = file('director.yaml', yaml);
  const first = await loadAside(config);
  const [one, two] = plan(first.model).snapshot.services;
  assert.is(one?.deny?.count, 20_000);
  assert.is(two?.deny?.count, 20_001);
  const before = plan(first.model);
  const again = await loadInThread(config, first.model);
  const after = plan(again.model, undefined, undefined, before.slots);
  assert.is(after.snapshot.services[0], before.snapshot.services[0]);
  assert.equal(diffModels(first.model, again.model), []);
  assert.equal(again.locate(['services', 1, 'clients', 'deny', 1]), {
    file: config,
    line: 15,
    column: yaml.split('\n')[14]!.indexOf('192.0.2.9') + 1,
  });
  writeFileSync(path, `${lines(19_999).join('\n')}\n203.0.113.200\n`);
  const changed = await loadInThread(config, again.model);
  assert.equal(diffModels(again.model, changed.model), [
    {
      what: 'clients',
      change: 'changed',
      key: path,
      fields: [{ field: '', added: ['203.0.113.200'], removed: ['198.18.78.31'], more: 0 }],
      details: ['+203.0.113.200, -198.18.78.31'],
    },
  ]);
  const next = plan(changed.model, undefined, undefined, after.slots);
  assert.is.not(next.snapshot.services[0], after.snapshot.services[0]);
  assert.is(next.snapshot.services[0]?.servers, after.snapshot.services[0]?.servers);
});

test('sets that are the same are one, whatever list they come from', () => {
  const path = file('pair.txt', '192.0.2.1\n192.0.2.2\n');
  const { model } = load(web(`{ deny: [{ file: "${path}" }] }`));
  const [{ clients }] = model.services as [(typeof model.services)[0]];
  const set = clientSet(clients.deny, model.clientFiles, false);
  assert.is(set, clientSet(['192.0.2.1', '192.0.2.2'], [], false));
  assert.is.not(set, clientSet(['192.0.2.1', '192.0.2.3'], [], false));
  assert.is(clientSet([], [], false), null);
  assert.is(plan(model, undefined, undefined, NO_SLOTS).snapshot.services[0]?.deny, set);
});

test('the narrowest entry speaks for a client, with its line in a file', () => {
  const path = file('nested.txt', '# nested\n198.18.0.0/15\n198.18.0.0/24\n');
  const { model } = load(
    web(`{ allow: [198.0.0.0/8, 198.18.7.0/24], deny: [198.18.0.5, { file: "${path}" }] }`),
  );
  const { clients } = model.services[0] as (typeof model.services)[0];
  const of = (client: string) => admission(clients, model.clientFiles, client);
  assert.equal(of('198.18.0.5'), {
    admitted: false,
    by: { list: 'deny', text: '198.18.0.5', item: 0 },
  });
  const by = (text: string, line: number) => ({
    list: 'deny',
    text,
    item: 1,
    file: { path, line },
  });
  assert.equal(of('198.18.0.6'), { admitted: false, by: by('198.18.0.0/24', 3) });
  assert.equal(of('198.18.7.6'), { admitted: false, by: by('198.18.0.0/15', 2) });
  assert.equal(of('198.51.100.1'), {
    admitted: true,
    by: { list: 'allow', text: '198.0.0.0/8', item: 0 },
  });
  assert.equal(of('192.0.2.1'), { admitted: false, by: undefined });
  assert.equal(
    [...entriesOf('deny', clients.deny, model.clientFiles)].map(({ text }) => text),
    ['198.18.0.5', '198.18.0.0/15', '198.18.0.0/24'],
  );
});

test('as sluice show clients lists them, with the line of a file that says so', () => {
  const path = file('shown.txt', '# two\n2001:db8::/32\n198.18.0.0/15\n');
  const { model } = load(web(`{ allow: [192.0.2.1-9], deny: [{ file: "${path}" }] }`));
  const all = [...clientReports(model, model.services)];
  for (const one of all) clientReport.parse(one);
  assert.equal(
    [CLIENTS_HEADER, ...all.map(clientLine)],
    [
      'Service              List   Client                            Said in',
      'web                  allow  192.0.2.1-192.0.2.9',
      `web                  deny   2001:db8::/32                     ${path}:2`,
      `web                  deny   198.18.0.0/15                     ${path}:3`,
    ],
  );
});

const CONF = `deny_address_group bad {
    192.0.2.2
    198.51.100.1-24 # a range
    198.51.100.1-24
    2001:db8::/32
}
allow_address_group good {
    0.0.0.0/0
}
virtual_server 203.0.113.10 80 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    daddr_group_name bad
    allow_addr_gname good
    real_server 198.51.100.11 80 {
    }
}
`;

test('keepalived.conf: DPVS’s groups of clients, there and back', () => {
  const { model, warnings, locate } = parseKeepalivedConfig(CONF, 'keepalived.conf');
  assert.equal(model.services[0]?.clients, {
    allow: ['0.0.0.0/0'],
    deny: ['192.0.2.2', '198.51.100.1-198.51.100.24', '2001:db8::/32'],
  });
  assert.equal(warnings.filter(({ path }) => path.includes('2001')).map(formatProblem), [
    'keepalived.conf:5:5: warning: 2001:db8::/32: 2001:db8::/32 is not IPv4, as all clients of the service are: it is ignored',
  ]);
  assert.equal(locate(['services', 0, 'clients', 'deny', 1]).line, 3);
  const yaml = convert(file('keepalived.conf', CONF)).text;
  const director = file('converted.yaml', `ports: [{ name: front }]\n${yaml}`);
  const back = convert(director);
  assert.match(
    back.text,
    /deny_address_group deny_1 \{\n {4}192\.0\.2\.2\n {4}198\.51\.100\.1-198\.51\.100\.24\n {4}2001:db8::\/32\n\}/,
  );
  assert.match(back.text, /allow_addr_gname allow_1\n {4}deny_addr_gname deny_1\n/);
  const again = parseKeepalivedConfig(back.text, 'keepalived.conf').model;
  assert.equal(again.services[0]?.clients, model.services[0]?.clients);
});

test('keepalived.conf: mistakes of groups have their lines', () => {
  const said = (conf: string) => {
    try {
      return parseKeepalivedConfig(conf, 'keepalived.conf').warnings.map(formatProblem);
    } catch (error) {
      return (error as ConfigError).problems
        .filter(({ severity }) => severity === 'error')
        .map(formatProblem);
    }
  };
  assert.equal(said(CONF.replace('192.0.2.2', '192.0.2.256')), [
    `keepalived.conf:2:5: deny_address_group: is 192.0.2.256, ${WHAT}`,
  ]);
  assert.equal(said(CONF.replace('name bad', 'name worse')), [
    'keepalived.conf:14:22: daddr_group_name: no deny_address_group is called worse',
  ]);
  assert.equal(said(CONF.replace('    0.0.0.0/0\n', '')), [
    'keepalived.conf:14:5: allow_addr_gname good: is an empty list, expected at least one client, or no allow: then everybody is let in',
  ]);
});

test.run();
