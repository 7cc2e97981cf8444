/** Each value alone: kinds, ranges, unknown keys, what YAML itself refuses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NO_QUORUM, UNCHECKED } from '../../src/health/model.js';
import { BASE, load, problemsOf, service, table } from './support.js';

table([
  {
    it: 'a tab as indentation is not YAML',
    yaml: 'ports:\n\t- name: front\n',
    says: ['2:1: not well-formed YAML: Tabs are not allowed as indentation'],
    codes: ['ERR_CONFIG_SYNTAX'],
  },
  {
    it: 'a key given twice in a block',
    yaml: 'ports:\n  - name: front\n    mtu: 1500\n    mtu: 9000\n',
    says: ['4:5: the same key is given twice, expected each key once in its block'],
    codes: ['ERR_CONFIG_DUPLICATE'],
  },
  {
    it: 'a second document',
    yaml: `${BASE}---\nports: []\n`,
    says: ['9:1: a second YAML document begins here, expected one document'],
    codes: ['ERR_CONFIG_SYNTAX'],
  },
  {
    it: 'an empty file lacks ports',
    yaml: '',
    says: ['1:1: ports: missing, expected a list of ports'],
    codes: ['ERR_CONFIG_MISSING'],
  },
  {
    it: 'a file that is a list',
    yaml: '- name: front\n',
    says: ['1:1: is a list, expected a block of keys'],
    codes: ['ERR_CONFIG_VALUE'],
  },
  {
    it: 'no port at all',
    yaml: 'ports: []\n',
    says: ['1:8: ports: is an empty list, expected at least one port'],
  },
  {
    it: 'unknown keys: one near a known one, one near none, at each depth',
    yaml: 'directer: { name: d1 }\ndirector:\n  max-connections: 5\n  colour: red\nports:\n  - name: a\n    adresses: []\n',
    says: [
      '1:1: directer: unknown key, did you mean director?',
      '3:3: director.max-connections: unknown key, did you mean maxConnections?',
      '4:3: director.colour: unknown key, expected one of name, socket, socketGroup, user, workers, hugepages, ' +
        'memory, mbufs, maxConnections, maxChecks, answerRate, maxServices, maxServers, metrics, api, keepEdits, proc, ' +
        'alerts, idle',
      '7:5: ports[0].adresses: unknown key, did you mean addresses?',
    ],
    codes: Array(4).fill('ERR_CONFIG_UNKNOWN_KEY'),
  },
  {
    it: 'director: every key with a wrong value',
    yaml: `director:
  name: 9lives
  socket: d1.sock
  workers: 0
  hugepages: yes
  memory: 10
  mbufs: many
  maxConnections: 1.5
  maxServices: 0
  maxServers: -1
  idle: { after: 5, sleep: 2s }
${BASE}`,
    says: [
      '2:9: director.name: is "9lives", expected a name of letters, digits, dots, dashes and ' +
        'underscores that starts with a letter',
      '3:11: director.socket: is "d1.sock", expected an absolute path of at most 107 bytes ' +
        '(a Unix socket has no longer one)',
      '4:12: director.workers: is 0, expected a number of workers from 1 to 64, or a list of ' +
        'CPU numbers such as [1, 2]',
      '5:14: director.hugepages: is "yes", expected true or false',
      '6:11: director.memory: is 10, expected a whole number of MiB from 64 to 1048576',
      '7:10: director.mbufs: is "many", expected a whole number of packet buffers from 1024 to ' +
        '16777216',
      '8:19: director.maxConnections: is 1.5, expected a whole number from 1024 to 268435456',
      '9:16: director.maxServices: is 0, expected a whole number from 1 to 65536',
      '10:15: director.maxServers: is -1, expected a whole number from 1 to 1048576',
      '11:18: director.idle.after: is 5, expected a time up to 1 s such as 50us or 1ms; 0 is never',
      '11:28: director.idle.sleep: is "2s", expected a time up to 1 s such as 50us or 1ms; 0 is never',
    ],
  },
  {
    it: 'workers as a list with a wrong CPU',
    yaml: `director: { workers: [1, two] }\n${BASE}`,
    says: [
      '1:22: director.workers: is a list, expected a number of workers from 1 to 64, or a list ' +
        'of CPU numbers such as [1, 2]',
    ],
  },
  {
    it: 'timeouts',
    yaml: `timeouts: { tcp: 0, tcpFin: 2 weeks, udp: true }\n${BASE}`,
    says: [
      '1:18: timeouts.tcp: is 0, expected a time from 1 second to 31 days: seconds, or such as 15m',
      '1:29: timeouts.tcpFin: is "2 weeks", expected a time from 1 second to 31 days: seconds, or such as 15m',
      '1:43: timeouts.udp: is true, expected a time from 1 second to 31 days: seconds, or such as 15m',
    ],
  },
  {
    it: 'ports: every key with a wrong value',
    yaml: `ports:
  - device: "net af_packet"
    twin: a-name-that-is-too-long
    mac: 03:00:00:00:00:01
    mtu: 100
    queues: 0
    partialChecksums: maybe
    addresses: [192.0.2.1, 192.0.2.1/33, 2001:db8::1/129]
`,
    says: [
      '2:5: ports[0].name: missing, expected a name of letters, digits, dots, dashes and ' +
        'underscores that starts with a letter',
      '2:13: ports[0].device: is "net af_packet", expected a DPDK device such as ' +
        'net_af_packet0,iface=eth1 or a PCI address such as 0000:01:00.0',
      '3:11: ports[0].twin: is "a-name-that-is-too-long", expected an interface name of at most ' +
        '15 characters, or false for no twin',
      '4:10: ports[0].mac: is "03:00:00:00:00:01", expected a unicast MAC address such as ' +
        '02:00:00:00:01:01',
      '5:10: ports[0].mtu: is 100, expected a whole number from 576 to 9600',
      '6:13: ports[0].queues: is 0, expected a whole number from 1 to 64',
      '7:23: ports[0].partialChecksums: is "maybe", expected true or false',
      '8:17: ports[0].addresses[0]: is "192.0.2.1", expected an address with its prefix length ' +
        'such as 192.0.2.1/24',
      '8:28: ports[0].addresses[1]: is "192.0.2.1/33", expected an address with its prefix ' +
        'length such as 192.0.2.1/24',
      '8:42: ports[0].addresses[2]: is "2001:db8::1/129", expected an address with its prefix ' +
        'length such as 192.0.2.1/24',
    ],
  },
  {
    it: 'routes and neighbours',
    yaml: `ports: [{ name: front, addresses: [192.0.2.1/24] }]
routes:
  - { to: default, via: 192.0.2.300 }
neighbours:
  - { address: 192.0.2.9 }
  - { address: fe80::9%eth0, mac: 00:00:00:00:00:00 }
`,
    says: [
      '3:11: routes[0].to: is "default", expected a network such as 192.0.2.0/24',
      '3:25: routes[0].via: is "192.0.2.300", expected an address such as 192.0.2.1',
      '5:5: neighbours[0].mac: missing, expected a unicast MAC address such as 02:00:00:00:01:01',
      '6:16: neighbours[1].address: is "fe80::9%eth0", expected an address such as 192.0.2.1',
      '6:35: neighbours[1].mac: is "00:00:00:00:00:00", expected a unicast MAC address such as ' +
        '02:00:00:00:01:01',
    ],
  },
  {
    it: 'services: every key with a wrong value',
    yaml: service(`
name: web site
listen: 203.0.113.10
protocol: dccp
mode: masq
scheduler: random
schedulePort: 1
onServerRemoved: fail
clientAddress: proxy
toaKind: 256
localAddresses: 198.51.100.200
servers:
  - { address: 198.51.100.11, weight: 65536, mode: snat, upperThreshold: -1 }`),
    says: [
      '10:11: services[0].name: is "web site", expected a name of letters, digits, dots, dashes ' +
        'and underscores that starts with a letter',
      '11:13: services[0].listen: is "203.0.113.10", expected an address and port such as ' +
        '203.0.113.10:80',
      '12:15: services[0].protocol: is "dccp", expected tcp, udp or sctp',
      '13:11: services[0].mode: is "masq", expected nat, dr, tun, fullnat or enat',
      '14:16: services[0].scheduler: is "random", expected rr, wrr, lc, wlc, sh, mh, dh, sed, nq, fo, ovf, twos, lblc or lblcr',
      '15:19: services[0].schedulePort: is 1, expected true or false',
      '16:22: services[0].onServerRemoved: is "fail", expected drop or reset',
      '17:20: services[0].clientAddress: is "proxy", expected toa or none',
      '18:14: services[0].toaKind: is 256, expected a whole number from 1 to 255',
      '19:21: services[0].localAddresses: is "198.51.100.200", expected a list of addresses',
      '21:20: services[0].servers[0].address: is "198.51.100.11", expected an address and ' +
        'port such as 198.51.100.11:8080',
      '21:43: services[0].servers[0].weight: is 65536, expected a whole number from 0 to 65535',
      '21:56: services[0].servers[0].mode: is "snat", expected nat, dr, tun, fullnat or enat',
      '21:78: services[0].servers[0].upperThreshold: is -1, expected a whole number from 0 to ' +
        '4294967295',
    ],
  },
  {
    it: 'IPv6 is written in brackets, without a scope, and not as IPv4 in disguise',
    yaml: service(`
name: six
listen: 2001:db8::1:80
mode: nat
servers: [{ address: "[fe80::1%eth0]:80" }, { address: "[::ffff:198.51.100.11]:80" }]`),
    says: [
      '11:13: services[0].listen: is "2001:db8::1:80", expected an address and port such as ' +
        '203.0.113.10:80',
      '13:26: services[0].servers[0].address: is "[fe80::1%eth0]:80", expected an address and ' +
        'port such as 198.51.100.11:8080',
      '13:60: services[0].servers[1].address: is "[::ffff:198.51.100.11]:80", expected an ' +
        'address and port such as 198.51.100.11:8080',
    ],
  },
  {
    it: 'a key without a value is shown where the key is',
    yaml: service('name: web\nlisten:\nmode: nat\nservers: [{ address: 198.51.100.11:80 }]'),
    says: [
      '11:5: services[0].listen: is empty, expected an address and port such as ' +
        '203.0.113.10:80',
    ],
  },
  {
    it: 'octal and short addresses are refused, not guessed at',
    yaml: service(`
name: web
listen: 203.0.113.010:80
mode: nat
servers: [{ address: 198.51.11:80 }, { address: 198.51.100.11:65536 }]`),
    says: [
      '11:13: services[0].listen: is "203.0.113.010:80", expected an address and port such ' +
        'as 203.0.113.10:80',
      '13:26: services[0].servers[0].address: is "198.51.11:80", expected an address and ' +
        'port such as 198.51.100.11:8080',
      '13:53: services[0].servers[1].address: is "198.51.100.11:65536", expected an address and ' +
        'port such as 198.51.100.11:8080',
    ],
  },
  {
    it: 'mistakes of all kinds come together, in the order of the file',
    yaml: `ports:
  - name: front
    addresses: [192.0.2.1/24]
    mtv: 1500
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers: [{ address: 198.51.100.11:80, weight: -1 }]
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    servers: [{ address: 224.0.0.5:80 }]
`,
    says: [
      '4:5: ports[0].mtv: unknown key, did you mean mtu?',
      '9:52: services[0].servers[0].weight: is -1, expected a whole number from 0 to 65535',
      '10:11: services[1].name: web is also the name of services[0]',
      '11:13: services[1].listen: tcp 203.0.113.10:80 is already taken by service web',
      "13:26: services[1].servers[0].address: 224.0.0.5 is a multicast address, expected a real server's address",
    ],
  },
]);

test('defaults are filled in', () => {
  const { model, warnings } = load(
    service(
      'name: web\nlisten: 203.0.113.10:80\nmode: nat\nservers: [{ address: 198.51.100.11:80 }]',
    ),
  );
  assert.equal(warnings, []);
  assert.equal(model, {
    director: {
      name: 'sluice',
      socket: '/run/sluice/sluice.sock',
      socketGroup: undefined,
      user: undefined,
      workers: 1,
      hugepages: true,
      memory: 512,
      mbufs: 32768,
      maxConnections: 1000000,
      maxChecks: 4096,
      answerRate: 10_000,
      maxServices: 1024,
      maxServers: 8192,
      idle: { afterUs: 1000, sleepUs: 50 },
      metrics: undefined,
      api: undefined,
      keepEdits: undefined,
      proc: '/run/sluice/proc',
      alerts: { table: 90, localPorts: 90, mbufs: 90, load: 95, skew: 4, rings: 1 },
    },
    timeouts: { tcpMs: 900000, tcpFinMs: 120000, udpMs: 300000 },
    ports: [
      {
        name: 'front',
        device: undefined,
        twin: 'slfront',
        mac: '02:00:00:00:01:01',
        mtu: 1500,
        queues: undefined,
        partialChecksums: false,
        addresses: [{ address: '192.0.2.1', length: 24 }],
      },
      {
        name: 'back',
        device: undefined,
        twin: 'slback',
        mac: '02:00:00:00:01:02',
        mtu: 1500,
        queues: undefined,
        partialChecksums: false,
        addresses: [{ address: '198.51.100.1', length: 24 }],
      },
    ],
    routes: [{ to: { address: '0.0.0.0', length: 0 }, via: '192.0.2.254', port: 'front' }],
    neighbours: [],
    marks: [],
    services: [
      {
        name: 'web',
        listen: { address: '203.0.113.10', port: 80 },
        protocol: 'tcp',
        mode: 'nat',
        scheduler: 'wlc',
        schedulePort: false,
        scheduleFallback: false,
        onePacket: false,
        persistence: null,
        onServerRemoved: 'drop',
        clientAddress: 'toa',
        toaKind: 254,
        synProxy: false,
        localAddresses: [],
        servers: [
          {
            address: { address: '198.51.100.11', port: 80 },
            weight: 1,
            mode: 'nat',
            upperThreshold: 0,
            lowerThreshold: 0,
            health: UNCHECKED,
          },
        ],
        health: NO_QUORUM,
        clients: { allow: [], deny: [] },
      },
    ],
    clientFiles: [],
    sync: undefined,
    vrrp: {
      leaseMs: 3_000,
      startDelayMs: 0,
      notifyFifo: undefined,
      instances: [],
      groups: [],
      trackers: [],
    },
    kernel: { addresses: [], routes: [], rules: [] },
  });
});

test('times have units', () => {
  const { model } = load(
    `timeouts: { tcp: 15m, tcpFin: 90, udp: 1.5s }\ndirector: { idle: { after: 200us, sleep: 0 } }\n${BASE}`,
  );
  assert.equal(model.timeouts, { tcpMs: 900000, tcpFinMs: 90000, udpMs: 1500 });
  assert.equal(model.director.idle, { afterUs: 200, sleepUs: 0 });
});

test('devices of the local kernel send partial checksums unless told otherwise', () => {
  const { model } = load(`ports:
  - { name: a, device: "net_af_packet0,iface=f0" }
  - { name: b, device: "0000:01:00.0" }
  - { name: c, device: "net_af_xdp0,iface=f1", partialChecksums: false }
`);
  assert.equal(
    model.ports.map(({ partialChecksums }) => partialChecksums),
    [true, false, false],
  );
});

test('sections with all entries commented out count as absent', () => {
  assert.equal(problemsOf(`${BASE}services:\n#  - name: web\nneighbours:\ntimeouts:\n`), []);
});

test('anchors and merge-free aliases work', () => {
  const yaml = service(
    'name: web\nlisten: 203.0.113.10:80\nmode: nat\nservers: &rs [{ address: 198.51.100.11:80 }]',
  );
  const more = '  - { name: tls, listen: 203.0.113.10:443, mode: nat, servers: *rs }\n';
  assert.is(load(yaml + more).model.services[1]?.servers[0]?.address.address, '198.51.100.11');
});

test.run();
