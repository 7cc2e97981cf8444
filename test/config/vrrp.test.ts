/** The `vrrp` block: authentication of adverts, and what does not go together. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BASE, problemsOf } from './support.js';

const says = (keys: string) =>
  problemsOf(
    `${BASE}vrrp:\n  instances:\n    - { name: VI_1, port: front, routerId: 51, ${keys} }\n`,
  ).map(({ code, path, message }) => `${code} ${path}: ${message}`);

const V4 = 'addresses: [192.0.2.100]';
const INSTANCE = 'vrrp.instances[0]';

const GOOD = [
  `version: 2, password: s3cret, ${V4}`,
  `version: 2, password: s3cret, ah: true, ${V4}`,
  `version: 2, hmacKey: /etc/key, ${V4}`,
  `version: 2, password: s3cret, hmacKey: /etc/key, ${V4}`,
  `hmacKey: /etc/key, ${V4}`,
  `hmacKey: /etc/key, addresses: ['2001:db8::1']`,
  `multicastGroup: 239.1.2.3, ${V4}`,
  `multicastGroup: 'ff12::5', addresses: ['2001:db8::1']`,
];
for (const keys of GOOD) {
  test(`good: ${keys}`, () => assert.equal(says(keys), []));
}

const v6 = (count: number) =>
  `addresses: [${Array.from({ length: count }, (_, i) => `'2001:db8::${(i + 1).toString(16)}'`)}]`;

const BAD: [string, string][] = [
  [
    `password: s3cret, ${V4}`,
    `ERR_CONFIG_CONFLICT ${INSTANCE}.password: version 3 has no password, expected hmacKey, or version: 2`,
  ],
  [
    `version: 2, ah: true, ${V4}`,
    `ERR_CONFIG_MISSING ${INSTANCE}.password: AH needs a password as its key`,
  ],
  [
    `ah: true, ${V4}`,
    `ERR_CONFIG_CONFLICT ${INSTANCE}.ah: version 3 has no AH, expected hmacKey, or version: 2`,
  ],
  [
    `version: 2, password: s3cret, ah: true, hmacKey: /etc/key, ${V4}`,
    `ERR_CONFIG_CONFLICT ${INSTANCE}.hmacKey: AH authenticates adverts already, expected one of them`,
  ],
  [
    `hmacKey: key, ${V4}`,
    `ERR_CONFIG_VALUE ${INSTANCE}.hmacKey: is "key", expected an absolute path`,
  ],
  [
    `multicastGroup: 192.0.2.9, ${V4}`,
    `ERR_CONFIG_VALUE ${INSTANCE}.multicastGroup: is 192.0.2.9, expected a multicast group such as 224.0.0.18, or ff02::12 on the link`,
  ],
  [
    `multicastGroup: 'ff05::5', addresses: ['2001:db8::1']`,
    `ERR_CONFIG_VALUE ${INSTANCE}.multicastGroup: is ff05::5, expected a multicast group such as 224.0.0.18, or ff02::12 on the link`,
  ],
  [
    `multicastGroup: 'ff02::5', ${V4}`,
    `ERR_CONFIG_CONFLICT ${INSTANCE}.multicastGroup: ff02::5 is not of the family of 192.0.2.100, expected one that is`,
  ],
  [
    `multicastGroup: 224.0.0.99, unicastPeers: [192.0.2.2], ${V4}`,
    `WARN_CONFIG_IGNORED ${INSTANCE}.multicastGroup: adverts go to unicastPeers alone`,
  ],
  [
    `hmacKey: /etc/key, ${v6(90)}`,
    `ERR_CONFIG_LIMIT ${INSTANCE}.addresses: an advert has room for 89 of IPv6, expected the others in excludedAddresses`,
  ],
];
const OWN = 'it is for the kernel’s own packets';
BAD.push(
  [
    `routes: ['198.18.0.0/15 via 192.0.2.254 metrik 5'], ${V4}`,
    `ERR_CONFIG_UNKNOWN_KEY ${INSTANCE}.routes[0]: metrik is no option of a route`,
  ],
  [
    `routes: ['198.18.0.0/15 dev front table 7'], ${V4}`,
    `WARN_CONFIG_UNSUPPORTED ${INSTANCE}.routes[0]: the dataplane goes by the main table alone: ${OWN}`,
  ],
  [
    `routes: ['blackhole 198.18.0.0/15'], ${V4}`,
    `WARN_CONFIG_UNSUPPORTED ${INSTANCE}.routes[0]: the dataplane knows no blackhole routes: ${OWN}`,
  ],
  [
    `routes: ['198.18.0.0/15 dev front src 192.0.2.100'], ${V4}`,
    `WARN_CONFIG_UNSUPPORTED ${INSTANCE}.routes[0]: src 192.0.2.100 is an address that the kernel has only with accept: true, and refuses without`,
  ],
  [
    `rules: ['fwmark 1 table 7 preference 9'], ${V4}`,
    `WARN_CONFIG_UNSUPPORTED ${INSTANCE}.rules[0]: the dataplane goes by the main table alone: rules are for the kernel’s own packets`,
  ],
);
for (const [keys, expected] of BAD) {
  test(`bad: ${keys.slice(0, 60)}`, () => assert.equal(says(keys), [expected]));
}

const ofKernel = (keys: string) =>
  problemsOf(`${BASE}kernel: { ${keys} }\n`).map(
    ({ code, path, message }) => `${code} ${path}: ${message}`,
  );

test('lines for the kernel from start to end', () => {
  assert.equal(
    ofKernel(`addresses: ['192.0.2.9/24 dev front'], routes: ['198.18.0.0/15 via 192.0.2.254']`),
    [],
  );
  assert.equal(ofKernel(`addresses: ['192.0.2.9/24']`), [
    'ERR_CONFIG_MISSING kernel.addresses[0]: no dev says which port or interface gets it',
  ]);
  assert.equal(ofKernel(`routes: ['198.18.0.0/15 dev "x"']`), [
    'ERR_CONFIG_VALUE kernel.routes[0]: is "198.18.0.0/15 dev \\"x\\"", expected a route such as 198.18.0.0/15 via 192.0.2.254',
  ]);
  assert.equal(ofKernel(`rules: ['table 0 preference 5']`), [
    'ERR_CONFIG_VALUE kernel.rules[0]: table is 0, expected a table but 0',
  ]);
});

test('without a trailer there is room for one address more', () => {
  assert.equal(says(v6(90)), []);
  assert.equal(says(`hmacKey: /etc/key, ${v6(89)}`), []);
});

test.run();
