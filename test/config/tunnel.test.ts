/** `tunnel`: what servers have of it, and what is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Tunnel, tunnelNumber } from '../../src/config/tunnel.js';
import { load, service, table } from './support.js';

const of = (keys: string) =>
  service(`name: web
listen: 203.0.113.10:80
mode: tun
${keys}`);
const one = '198.51.100.11:80';

table([
  {
    it: 'GUE without its port, others with one, sums that a type does not have',
    yaml: of(`tunnel: { type: gue }
servers:
  - { address: ${one}, tunnel: { type: gre, port: 5 } }
  - { address: 198.51.100.12:80, tunnel: { type: ipip, checksum: csum } }
  - { address: 198.51.100.13:80, tunnel: { type: gre, checksum: remcsum } }`),
    says: [
      '13:13: services[0].tunnel: a gue tunnel needs the UDP port it goes to, expected port',
      '15:46: services[0].servers[0].tunnel: a tunnel of type gre has no port, expected none',
      '16:46: services[0].servers[1].tunnel: a tunnel of type ipip has no csum, expected nocsum',
      '17:46: services[0].servers[2].tunnel: a tunnel of type gre has no remcsum, expected nocsum or csum',
    ],
    codes: Array(4).fill('ERR_CONFIG_CONFLICT'),
  },
  {
    it: 'a tunnel where nothing is tunnelled',
    yaml: of(`tunnel: { type: gre }
servers: [{ address: ${one}, mode: dr, tunnel: { type: gre } }]`),
    says: ['14:62: warning: services[0].servers[0].tunnel: it is for mode tun alone, and ignored'],
  },
  {
    it: 'wrong words',
    yaml: of(
      `servers: [{ address: ${one}, tunnel: { type: vxlan, port: 0, checksum: yes, key: 1 } }]`,
    ),
    says: [
      '13:60: services[0].servers[0].tunnel.type: is "vxlan", expected ipip, gre or gue',
      '13:73: services[0].servers[0].tunnel.port: is 0, expected a whole number from 1 to 65535',
      '13:86: services[0].servers[0].tunnel.checksum: is "yes", expected nocsum, csum or remcsum',
      '13:91: services[0].servers[0].tunnel.key: unknown key, expected one of type, port, checksum',
    ],
  },
]);

test('a server has its own tunnel, else its service’s; IPIP is what needs no words', () => {
  const { model } = load(
    of(`tunnel: { type: gue, port: 6080 }
servers:
  - { address: ${one} }
  - { address: 198.51.100.12:80, tunnel: { type: gre, checksum: csum } }
  - { address: 198.51.100.13:80, tunnel: { type: ipip } }
  - { address: 198.51.100.14:8080, mode: nat }
health: { sorryServer: { address: 198.51.100.15:80 } }`),
  );
  const [web] = model.services;
  const gue = { type: 'gue', port: 6080, checksum: 'nocsum' };
  const gre = { type: 'gre', port: 0, checksum: 'csum' };
  assert.equal(
    web?.servers.map(({ tunnel }) => tunnel),
    [gue, gre, undefined, undefined],
  );
  assert.equal(web?.health.sorryServer?.tunnel, gue);
});

test('the number that a health check hands to its passage', () => {
  const numberOf = (type: Tunnel['type'], port: number, checksum: Tunnel['checksum']) =>
    tunnelNumber({ type, port, checksum });
  assert.is(tunnelNumber(undefined), 1);
  assert.is(numberOf('gre', 0, 'nocsum'), 2);
  assert.is(numberOf('gre', 0, 'csum'), 3);
  assert.is(numberOf('gue', 6080, 'nocsum'), 0x17c0_0004);
  assert.is(numberOf('gue', 65_535, 'remcsum'), 0xffff_0005);
});

test.run();
