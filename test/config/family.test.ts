/** IPv6 services: what is taken, and what is refused by name. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { ConfigError } from '../../src/errors.js';

const yaml = (service: string, mtu = 1500) => `
ports:
  - { name: front, addresses: ["2001:db8:1::1/64", 192.0.2.1/24] }
  - { name: back, mtu: ${mtu}, addresses: ["2001:db8:2::1/64", 198.51.100.1/24] }
routes:
  - { to: "::/0", via: "fe80::1", port: front }
neighbours:
  - { address: "fe80::1", mac: "02:00:00:00:00:fe", port: front }
services:
  - ${service.trim().replaceAll('\n', '\n    ')}
`;

const six = (mode: string, server: string, more = '') => `
name: six
listen: "[2001:DB8:f::0010]:80"
mode: ${mode}
servers: [{ address: "${server}" }]
${more}`;

const problems = (text: string): string[] => {
  try {
    return parseConfig(text, 'director.yaml').warnings.map(
      ({ code, path, message }) => `${code} ${path}: ${message}`,
    );
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ code, path, message }) => `${code} ${path}: ${message}`);
  }
};

for (const [it, text, says] of [
  ['NAT', yaml(six('nat', '[2001:db8:2::11]:8080')), []],
  ['DR', yaml(six('dr', '[2001:db8:2::11]:80')), []],
  ['a tunnel', yaml(six('tun', '[2001:db8:2::11]:80')), []],
  ['a tunnel to an IPv4 server', yaml(six('tun', '198.51.100.11:80')), []],
  [
    'FullNAT',
    yaml(six('fullnat', '[2001:db8:2::11]:80', 'localAddresses: ["2001:db8:2::200"]')),
    [],
  ],
  [
    'a route whose next hop is of the other family',
    yaml(six('nat', '[2001:db8:2::11]:8080')).replace('via: "fe80::1"', 'via: 192.0.2.254'),
    ['ERR_CONFIG_IPV6 routes[0].via: 192.0.2.254 is IPv4, the target IPv6: expected IPv6'],
  ],
  ['a SYN proxy', yaml(six('nat', '[2001:db8:2::11]:8080', 'synProxy: true')), []],
  [
    'a SYN proxy of servers that answer clients themselves',
    yaml(six('dr', '[2001:db8:2::11]:80', 'synProxy: true')),
    [
      'ERR_CONFIG_CONFLICT services[0].synProxy: mode dr lets servers answer clients themselves: a SYN proxy has to see replies, expected nat or fullnat',
    ],
  ],
  [
    'NAT to the other family',
    yaml(six('nat', '198.51.100.11:80')),
    [
      'ERR_CONFIG_IPV6 services[0].servers[0].address: 198.51.100.11 is IPv4, the service IPv6: expected IPv6',
    ],
  ],
  [
    'IPv4 in IPv6',
    yaml(six('tun', '[2001:db8:2::11]:80').replace('[2001:DB8:f::0010]', '203.0.113.10')),
    [],
  ],
  [
    'IPv4 to an IPv6 server without a tunnel',
    yaml(six('dr', '[2001:db8:2::11]:80').replace('[2001:DB8:f::0010]', '203.0.113.10')),
    [
      'ERR_CONFIG_IPV6 services[0].servers[0].address: 2001:db8:2::11 is IPv6, the service IPv4: expected IPv4',
    ],
  ],
  [
    'ENAT',
    yaml(six('enat', '[2001:db8:2::11]:80')),
    [
      'ERR_CONFIG_IPV6 services[0].servers[0].address: mode enat is for IPv4: both its addresses do not fit a TCP header',
    ],
  ],
  [
    'a local address of the other family',
    yaml(six('fullnat', '[2001:db8:2::11]:80', 'localAddresses: [198.51.100.200]')),
    [
      "ERR_CONFIG_IPV6 services[0].localAddresses[0]: 198.51.100.200 is IPv4, expected IPv6 as the service's own address",
    ],
  ],
  [
    'a sorry server by ENAT',
    yaml(
      six(
        'nat',
        '[2001:db8:2::11]:80',
        'health: { sorryServer: { address: "[2001:db8:2::12]:80", mode: enat } }',
      ),
    ),
    [
      'ERR_CONFIG_IPV6 services[0].health.sorryServer: mode enat is for IPv4, expected another mode',
    ],
  ],
  [
    'a sorry server by FullNAT without local addresses',
    yaml(
      six(
        'nat',
        '[2001:db8:2::11]:80',
        'health: { sorryServer: { address: "[2001:db8:2::12]:80", mode: fullnat } }',
      ),
    ),
    [
      'ERR_CONFIG_MISSING services[0]: mode fullnat needs localAddresses, expected at least one address',
    ],
  ],
  ['persistence', yaml(six('nat', '[2001:db8:2::11]:80', 'persistence: 5m')), []],
  [
    'persistence by a length',
    yaml(six('nat', '[2001:db8:2::11]:80', 'persistence: { timeout: 5m, netmask: 64 }')),
    [],
  ],
  [
    'persistence of all clients together',
    yaml(six('nat', '[2001:db8:2::11]:80', 'persistence: { timeout: 5m, netmask: 0 }')),
    [
      'ERR_CONFIG_VALUE services[0].persistence.netmask: is 0, expected 1 to 128 bits for an IPv6 service',
    ],
  ],
  [
    'persistence by an IPv4 netmask',
    yaml(six('nat', '[2001:db8:2::11]:80', 'persistence: { timeout: 5m, netmask: 255.255.255.0 }')),
    [
      'ERR_CONFIG_VALUE services[0].persistence.netmask: is an IPv4 netmask, expected 1 to 128 bits for an IPv6 service',
    ],
  ],
  [
    'a link whose MTU leaves no room for a tunnel',
    yaml(six('tun', '[2001:db8:2::11]:80'), 1300),
    [
      'ERR_CONFIG_CONFLICT services[0].servers[0].address: port back takes 1300 bytes, expected an mtu of at least 1320 towards 2001:db8:2::11',
    ],
  ],
  [
    'a ping check',
    yaml(six('nat', '[2001:db8:2::11]:80', 'health: { checks: [{ type: ping }] }')),
    ['ERR_CONFIG_IPV6 services[0].servers[0].address: ping checks are for IPv4 servers so far'],
  ],
  [
    'a group as a service',
    yaml(six('nat', '[2001:db8:2::11]:80').replace('2001:DB8:f::0010', 'ff0e::1')),
    [
      'ERR_CONFIG_VALUE services[0].listen: ff0e::1 is a multicast address, expected a virtual address of its own',
    ],
  ],
  [
    'an address that a service has, written in another way',
    yaml(six('nat', '[2001:db8:f:0::10]:80')),
    [
      "ERR_CONFIG_CONFLICT services[0].servers[0].address: 2001:db8:f::10 is the address of service six, expected a real server's address",
    ],
  ],
] as [string, string, string[]][]) {
  test(it, () => assert.equal(problems(text), says));
}

test('addresses are kept in their one short form (RFC 5952)', () => {
  const { model } = parseConfig(yaml(six('nat', '[2001:DB8:2:0::0011]:80')), 'director.yaml');
  assert.equal(model.services[0]!.listen, { address: '2001:db8:f::10', port: 80 });
  assert.is(model.services[0]!.servers[0]!.address.address, '2001:db8:2::11');
  assert.is(model.routes[0]!.port, 'front');
});

test.run();
