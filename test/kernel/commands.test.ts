/** Lines of routes, rules and addresses as iproute2 is given them; what of them is wrong. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addressItem, type Item, routeItem, ruleItem } from '../../src/kernel/commands.js';
import {
  addressFaults,
  routeFaults,
  ruleFaults,
  STATIC,
  VIRTUAL,
} from '../../src/kernel/grammar.js';

const device = (name: string) => (name === 'front' ? 'slfront' : name);
const ROUTE = 'route prepend';
const MARK = 'protocol 112';

/** The line, what adds it, and (unless it is the same with another verb) what removes it. */
const ROUTES: [line: string, family: 4 | 6, add: string, remove?: string][] = [
  ['198.18.0.0/24 via 192.0.2.9 dev front', 4, `198.18.0.0/24 ${MARK} via 192.0.2.9 dev slfront`],
  ['default via 192.0.2.9', 4, `default ${MARK} via 192.0.2.9`],
  ['default via 2001:db8::9 dev front', 6, `default ${MARK} via 2001:db8::9 dev slfront`],
  ['default6 dev eth0', 6, `default ${MARK} dev eth0`],
  ['all dev eth0 inet6', 6, `default ${MARK} dev eth0`],
  [
    'src 192.0.2.1 to 198.18.0.0/24 oif eth0',
    4,
    `198.18.0.0/24 src 192.0.2.1 ${MARK} dev eth0`,
    `198.18.0.0/24 ${MARK} dev eth0`,
  ],
  ['blackhole 198.18.0.0/24', 4, `blackhole 198.18.0.0/24 ${MARK}`],
  [
    '198.18.0.0/24 dev eth0 table 7 preference 9 mtu lock 1400 scope link no_track',
    4,
    `198.18.0.0/24 table 7 metric 9 mtu lock 1400 scope link ${MARK} dev eth0`,
    `198.18.0.0/24 table 7 metric 9 scope link ${MARK} dev eth0`,
  ],
  ['198.18.0.0/24 dev eth0 protocol static no_track', 4, '198.18.0.0/24 protocol static dev eth0'],
  ['198.18.0.0/24 dev eth0 protocol static', 4, `198.18.0.0/24 ${MARK} dev eth0`],
  [
    '198.18.0.0/24 gw 192.0.2.9 or 192.0.2.10 dev front',
    4,
    `198.18.0.0/24 ${MARK} nexthop via 192.0.2.9 dev slfront nexthop via 192.0.2.10 dev slfront`,
  ],
  [
    '198.18.0.0/24 metric 5 nexthop via 192.0.2.9 dev front weight 3 nexthop dev eth1 onlink',
    4,
    `198.18.0.0/24 metric 5 ${MARK} nexthop via 192.0.2.9 dev slfront weight 3 nexthop dev eth1 onlink`,
  ],
];
for (const [line, family, add, remove = add] of ROUTES) {
  test(`route ${line}`, () => {
    assert.equal(
      routeFaults(line.split(' '), STATIC).filter(({ warning }) => !warning),
      [],
    );
    const item = routeItem(line, device);
    assert.is(item.family, family);
    assert.is(item.add.join(' '), `${ROUTE} ${add}`);
    assert.is(item.remove.join(' '), `route del ${remove}`);
  });
}

test('a route that says so is put behind others, or only where there is none', () => {
  for (const verb of ['add', 'append', 'prepend']) {
    const { add } = routeItem(`198.18.0.0/24 dev eth0 ${verb}`, device);
    assert.equal(add.slice(0, 3), ['route', verb, '198.18.0.0/24']);
  }
});

const OTHERS: [
  make: (line: string) => Item,
  line: string,
  family: 4 | 6,
  add: string,
  remove: string,
][] = [
  [
    (line) => ruleItem(line, device),
    'from 192.0.2.0/24 to default table 5 preference 9',
    4,
    `rule add from 192.0.2.0/24 to all table 5 priority 9 ${MARK}`,
    `rule del from 192.0.2.0/24 to all table 5 priority 9 ${MARK}`,
  ],
  [
    (line) => ruleItem(line, device),
    'not dev front oif eth1 lookup 5 order 9 tunnel-id 3 inet6 no_track',
    6,
    `rule add not iif slfront oif eth1 table 5 priority 9 tun_id 3 ${MARK}`,
    `rule del not iif slfront oif eth1 table 5 priority 9 tun_id 3 ${MARK}`,
  ],
  [
    (line) => addressItem(line, device),
    '192.0.2.9/24 brd + dev front label eth1:vip scope link',
    4,
    'address add 192.0.2.9/24 brd + label slfront:vip scope link dev slfront',
    'address del 192.0.2.9/24 dev slfront',
  ],
  [
    (line) => addressItem(line, device),
    '2001:db8::9 peer 2001:db8::10 -nodad dev eth0 track_group G',
    6,
    'address add 2001:db8::9 peer 2001:db8::10 nodad dev eth0',
    'address del 2001:db8::9 peer 2001:db8::10 dev eth0',
  ],
];
for (const [make, line, family, add, remove] of OTHERS) {
  test(line, () => {
    const item = make(line);
    assert.is(item.family, family);
    assert.is(item.add.join(' '), add);
    assert.is(item.remove.join(' '), remove);
  });
}

/** Which word is wrong, and why. What keepalived says of many more: test/config/keepalived. */
const FAULTS: [judge: typeof routeFaults, line: string, word: number, message: string][] = [
  [routeFaults, '198.18.0.0/24 dev eth0 mtuu 5', 3, 'mtuu is no option of a route'],
  [
    routeFaults,
    '198.18.0.0/24 dev eth0 metric x',
    4,
    'metric is x, expected a whole number from 0 to 4294967295',
  ],
  [
    routeFaults,
    '198.18.0.9/24 dev eth0',
    0,
    '198.18.0.9/24 has bits behind its mask, expected 198.18.0.0/24',
  ],
  [routeFaults, 'via 192.0.2.9', 0, 'a route needs a destination'],
  [
    routeFaults,
    '198.18.0.0/24 via 2001:db8::1',
    2,
    '2001:db8::1 is not of the family of the route, IPv4',
  ],
  [routeFaults, '198.18.0.0/24 dev eth0 dev eth1', 3, 'dev is given twice'],
  [routeFaults, '198.18.0.0/24 nexthop dev eth0 metric 5', 4, 'metric cannot follow next hops'],
  [routeFaults, '198.18.0.0/24 dev', 1, 'dev needs a value'],
  [routeFaults, '198.18.0.0/24 encap', 1, 'encap is missing, expected ip, ip6, mpls or ila'],
  [routeFaults, '198.18.0.0/24 dev constructor toString', 3, 'toString is no option of a route'],
  [
    ruleFaults,
    'from all',
    0,
    'nothing is said to do, expected one of table, goto, l3mdev, nop, blackhole, prohibit, unreachable',
  ],
  [ruleFaults, 'table 5 goto 9 preference 1', 2, 'goto is a second thing to do'],
  [ruleFaults, 'goto 5 preference 9', 1, 'goto is 5, expected a rule after its own preference 9'],
  [addressFaults, '192.0.2.9/24 peer 192.0.2.1', 1, 'with a peer the address has no prefix length'],
  [
    addressFaults,
    '192.0.2.9/24 dev a-name-of-more-than-15',
    2,
    'dev is a-name-of-more-than-15, expected the name of a port or interface',
  ],
];
for (const [judge, line, word, message] of FAULTS) {
  test(`wrong: ${line}`, () => {
    const faults = judge(line.split(' '), VIRTUAL);
    assert.equal(
      faults.map((one) => [one.word, one.message]),
      [[word, message]],
    );
  });
}

test.run();
