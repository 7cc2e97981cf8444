/** Services for any port and for marks, and the rules of `marks`: every mistake with its place. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromBytes } from '../../src/config/address.js';
import { plan, type Role, SOLE } from '../../src/plan.js';
import { BASE, load, service, table } from './support.js';

const SERVERS = 'servers: [{ address: 198.51.100.11:0 }]';
const marked = (rules: string, keys = `name: web\nmark: 1\nmode: dr\n${SERVERS}`) =>
  `${service(keys)}marks:\n${rules
    .split('\n')
    .map((rule) => `  - ${rule}\n`)
    .join('')}`;

table([
  {
    it: 'any port, and servers without a port of their own',
    yaml: service(`name: any\nlisten: 203.0.113.10:0\nmode: nat\npersistence: 5m\n${SERVERS}`),
    says: [],
  },
  {
    it: 'any port needs persistence; a port that does not count is told',
    yaml: service(`
name: any
listen: 203.0.113.10:0
mode: nat
servers: [{ address: 198.51.100.11:0 }]`),
    says: ['11:13: services[0].listen: a service for any port needs persistence, as with LVS'],
    codes: ['ERR_CONFIG_MISSING'],
  },
  {
    it: 'a port that persistence passes over, and a check that has none',
    yaml: service(`
name: any
listen: 203.0.113.10:0
mode: nat
persistence: 5m
health: { checks: [{ type: tcp }] }
servers:
  - { address: 198.51.100.11:80 }
  - { address: 198.51.100.12:0 }
  - { address: 198.51.100.13:0, health: { checks: [{ type: tcp, connectPort: 22 }] } }`),
    says: [
      '16:20: warning: services[0].servers[0].address: persistence that spans ports leaves packets theirs: 80 is ignored',
      '17:20: warning: services[0].servers[1].address: its tcp check goes to port 0 and fails, expected connectPort',
    ],
  },
  {
    it: 'ENAT cannot speak from an address whose ports are all somebody’s',
    yaml: `${service(`name: any\nlisten: 203.0.113.10:0\nmode: nat\npersistence: 5m\n${SERVERS}`)}\
  - { name: enat, listen: 203.0.113.10:80, mode: enat, servers: [{ address: 198.51.100.12:80 }] }
`,
    says: [
      "15:27: services[1].listen: mode enat without localAddresses speaks from 203.0.113.10, all of whose ports are service any's, expected localAddresses",
    ],
  },
  { it: 'a mark', yaml: marked('{ mark: 1, to: 203.0.113.10, ports: [80, 443] }'), says: [] },
  {
    it: 'a mark that no rule gives, and one that no service is for',
    yaml: marked('{ mark: 2, to: 203.0.113.10 }'),
    says: [
      '11:11: warning: services[0].mark: no rule of marks gives packets mark 1: the service gets none',
      '15:13: warning: marks[0].mark: no service is for mark 2: the packets are as if unmarked',
    ],
    codes: ['WARN_CONFIG_NO_MARK', 'WARN_CONFIG_NO_MARK'],
  },
  {
    it: 'a rule for SCTP whose service has ENAT',
    yaml: marked(
      '{ mark: 1, to: 203.0.113.10, protocol: sctp }',
      'name: web\nmark: 1\nmode: enat\nlocalAddresses: [198.51.100.200]\nservers: [{ address: 198.51.100.11:80 }]',
    ),
    says: [
      '16:44: marks[0].protocol: service web has servers of mode enat, which takes TCP and UDP',
    ],
    codes: ['ERR_CONFIG_CONFLICT'],
  },
  {
    it: 'what is wrong with a rule',
    yaml: marked(
      [
        '{ mark: 0, to: 203.0.113.10 }',
        '{ mark: 1, to: 203.0.113 }',
        '{ mark: 1, to: 203.0.113.10, ports: 90-80 }',
        '{ mark: 1, to: 203.0.113.10, ports: [80, http] }',
        '{ mark: 1, to: 203.0.113.10, protocol: icmp }',
        '{ mark: 1, to: 203.0.113.10, dport: 80 }',
        '{ mark: 1 }',
      ].join('\n'),
    ),
    says: [
      '15:13: marks[0].mark: is 0, expected a whole number from 1 to 4294967295',
      '16:20: marks[1].to: is "203.0.113", expected an address or network such as 203.0.113.10',
      '17:41: marks[2].ports: is "90-80", expected a port or a range such as 8000-8010',
      '18:46: marks[3].ports[1]: is "http", expected a port or a range such as 8000-8010',
      '19:44: marks[4].protocol: is "icmp", expected tcp, udp or sctp',
      '20:34: marks[5].dport: unknown key, did you mean port?',
      '21:5: marks[6].to: missing, expected an address or network such as 203.0.113.10',
    ],
  },
  {
    it: 'what does not go together in a rule, or with the rest of the file',
    yaml: marked(
      [
        '{ mark: 1, to: 203.0.113.10, from: "2001:db8::/32" }',
        '{ mark: 1, to: 198.51.100.1 }',
        '{ mark: 1, to: 224.0.0.1 }',
        '{ mark: 1, to: 224.0.0.0/4 }',
        '{ mark: 1, to: 203.0.113.10, port: side }',
      ].join('\n'),
    ),
    says: [
      '15:40: marks[0].from: 2001:db8::/32 is not of the family of 203.0.113.10/32',
      "16:20: marks[1].to: 198.51.100.1 is port back's own, expected a virtual address of its own",
      '17:20: marks[2].to: 224.0.0.1 is a multicast address, expected a virtual address or a network',
      '19:40: marks[4].port: no port is called side',
    ],
  },
  {
    it: 'a service has an address and port, or a mark',
    yaml: `${BASE}services:
  - { name: both, mark: 1, listen: 203.0.113.10:80, mode: dr }
  - { name: none, mode: dr }
  - { name: odd, listen: 203.0.113.10:81, family: ipv6, mode: dr }
`,
    says: [
      '10:25: services[0].mark: is 1: a service has an address and port or a mark',
      '11:5: services[1].listen: missing, expected an address and port such as 203.0.113.10:80, or a mark',
      '12:51: services[2].family: is "ipv6": only a service for a mark needs it',
    ],
    codes: ['ERR_CONFIG_CONFLICT', 'ERR_CONFIG_MISSING', 'ERR_CONFIG_CONFLICT'],
  },
  {
    it: 'one service a mark and family; a protocol, a check to the VIP and ENAT’s own voice have no place',
    yaml: marked(
      '{ mark: 1, to: 203.0.113.10 }',
      `
name: web
mark: 1
protocol: tcp
mode: dr
health: { checks: [{ type: tcp, connectPort: 80 }], toVip: true }
servers: [{ address: 198.51.100.11:0 }]
`,
    ).replace(
      'marks:\n',
      '  - { name: again, mark: 1, mode: enat, servers: [{ address: 198.51.100.12:80 }] }\nmarks:\n',
    ),
    says: [
      '12:15: warning: services[0].protocol: a mark has every protocol: it is ignored',
      '14:64: services[0].health.toVip: a mark has no one VIP to check',
      '16:5: services[1]: mode enat of a service for a mark needs localAddresses to speak from',
      '16:26: services[1].mark: fwmark 1 is already taken by service web',
    ],
  },
]);

const RULES = [
  '{ mark: 1, to: 203.0.113.10, protocol: tcp, ports: [80, 443] }',
  '{ mark: 1, to: 203.0.113.11 }',
  '{ mark: 1, to: 203.0.114.0/24, from: 192.0.2.0/24, port: back }',
  '{ mark: 9, to: 203.0.113.12 }',
].join('\n');

test('a plan: a rule a range, VIPs of services alone are answered for', () => {
  const { snapshot } = plan(load(marked(RULES)).model);
  assert.equal(
    snapshot.marks.map((rule) => [
      `${fromBytes(rule.destination)}/${rule.destinationLength}`,
      `${fromBytes(rule.source)}/${rule.sourceLength}`,
      rule.protocol,
      rule.low,
      rule.high,
      rule.service,
      rule.port,
    ]),
    [
      ['203.0.113.10/32', '0.0.0.0/0', 'tcp', 80, 80, 0, undefined],
      ['203.0.113.10/32', '0.0.0.0/0', 'tcp', 443, 443, 0, undefined],
      ['203.0.113.11/32', '0.0.0.0/0', undefined, 0, 65_535, 0, undefined],
      ['203.0.114.0/24', '192.0.2.0/24', undefined, 0, 65_535, 0, 1],
      ['203.0.113.12/32', '0.0.0.0/0', undefined, 0, 65_535, undefined, undefined],
    ],
  );
  assert.equal(snapshot.owned.map(fromBytes), ['203.0.113.10', '203.0.113.11']);
  const [only] = snapshot.services;
  assert.equal([only?.protocol, only?.mark, only?.port, only?.role], ['fwmark', 1, 0, 'none']);
});

test('a plan: a mark’s service is here while one of its addresses is', () => {
  const { model } = load(marked(RULES));
  const roles = (first: boolean, second: boolean): Role => ({
    addresses: new Map(
      [first, second].map((ours, n) => [
        `203.0.113.${10 + n}`,
        { ours, port: 0, mac: undefined, accepted: false },
      ]),
    ),
  });
  const roleIn = (role: Role) => plan(model, undefined, role).snapshot.services[0]?.role;
  assert.is(roleIn(SOLE), 'none');
  assert.is(roleIn(roles(true, false)), 'active');
  assert.is(roleIn(roles(false, false)), 'standby');
});

test('the family of a mark’s service is said, or its servers’', () => {
  const familyOf = (more: string) =>
    load(`${BASE}services:\n  - { name: web, mark: 1, mode: tun${more} }\n`).model.services[0]
      ?.listen.address;
  assert.is(familyOf(''), '0.0.0.0');
  assert.is(familyOf(', family: ipv6'), '::');
  assert.is(familyOf(', family: ipv6, servers: [{ address: 198.51.100.11:0 }]'), '::');
});

test.run();
