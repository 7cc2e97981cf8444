/** keepalived.conf → Model: the same as director.yaml says it, and every finding with its place; one table of them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadConfig, parseConfig, parseKeepalivedConfig } from '../../../src/config/load.js';
import { ConfigError, formatProblem, type Problem } from '../../../src/errors.js';
import { plan } from '../../../src/plan.js';
import { BASE } from '../support.js';
import { GOOD } from './mutations.js';
import { RICH } from './rich.js';

const folder = mkdtempSync(join(tmpdir(), 'sluice-map-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** Each pair of files in a folder of its own. */
function write(conf: string, yaml?: string): string {
  const file = join(folder, `${++count}-keepalived.conf`);
  writeFileSync(file, conf);
  if (yaml === undefined) rmSync(join(folder, 'sluice.yaml'), { force: true });
  else writeFileSync(join(folder, 'sluice.yaml'), yaml);
  return file;
}

function problemsOf(conf: string, yaml: string = BASE): Problem[] {
  try {
    return loadConfig(write(conf, yaml)).warnings;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

const says = (conf: string, yaml?: string) =>
  problemsOf(conf, yaml).map((problem) =>
    formatProblem(problem)
      .replaceAll(`${folder}/`, '')
      .replace(/^\d+-keepalived\.conf:/, ''),
  );

const SERVICE = (lines: string, server = '') => `\
virtual_server 203.0.113.10 80 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    ${lines}
    real_server 198.51.100.11 8080 {
        ${server}
    }
}
`;

test('everything that both formats can say gives the same Model', () => {
  const account = 'user: nobody, group: nogroup';
  const yaml = `${BASE}
timeouts: { tcp: 600, udp: 30 }
kernel:
  addresses: [192.0.2.50/24 dev front, 192.0.2.51/32 dev bond0]
  routes: [198.18.7.0/24 dev bond0]
  rules: [iif back goto 900 preference 800]
vrrp:
  startDelay: 3500ms
  notifyFifo: /run/vrrp.fifo
  trackers:
    - { name: chk, type: script, script: { command: [/bin/check, one], user: daemon }, interval: 2s, timeout: 1s, weight: -20, reverse: true, rise: 2, fall: 3, initFail: true }
    - { name: load, type: file, path: /run/load, weight: 2, reverse: true }
    - { name: proxy, type: process, process: haproxy, arguments: [-W], weight: 10, quorum: 2, quorumMax: 4, terminateDelay: 1500ms }
    - { name: b1, type: bfd, neighbour: 198.51.100.11 }
  instances:
    - name: VI_1
      port: front
      routerId: 51
      version: 2
      priority: 150
      advertInterval: 2s
      preemptDelay: 5s
      password: s3cret
      ah: true
      multicastGroup: 224.0.0.99
      addresses: [203.0.113.10, 192.0.2.100]
      excludedAddresses: [203.0.113.20]
      track:
        - { port: back, weight: 5 }
        - { interface: bond0 }
        - { tracker: chk, weight: 30 }
        - { tracker: load, weight: 3 }
        - { tracker: proxy }
        - { tracker: b1 }
      garp: { delay: 10s, repeat: 2, refresh: 60s, lowerPriorityRepeat: 1 }
      routes: ['198.18.5.0/24 via 192.0.2.9 dev front metric 5', 'unreachable 198.18.6.0/24 no_track']
      rules: ['from 203.0.113.0/24 table 5 preference 100']
      notify: { master: { command: [/bin/tell, master], user: root }, any: { command: [/bin/tell], ${account} } }
    - name: VI_2
      port: back
      routerId: 52
      version: 3
      advertInterval: 100ms
      preempt: false
      virtualMac: true
      xmitBase: true
      sourceAddress: 198.51.100.1
      unicastPeers: [198.51.100.2]
      addresses: [198.51.100.200]
      downAdverts: 2
      trackPort: false
      garp: { refresh: 60s }
      track: [{ tracker: b1 }]
      notify: { fault: { command: [/bin/tell], ${account} } }
  groups:
    - { name: both, instances: [VI_1, VI_2], notify: { stop: { command: [/bin/tell], ${account} } } }
services:
  - name: tcp-203.0.113.10-80
    listen: 203.0.113.10:80
    mode: fullnat
    scheduler: mh
    schedulePort: true
    scheduleFallback: true
    localAddresses: [198.51.100.200, 198.51.100.201, 198.51.100.208, 198.51.100.209, 198.51.100.210, 198.51.100.211]
    health:
      delayLoop: 6s
      retry: 2
      delayBeforeRetry: 1500ms
      warmup: 0
      connectTimeout: 4s
      alpha: true
      omega: true
      inhibitOnFailure: true
      virtualhost: www.example.org
      quorum: 3
      hysteresis: 1
      quorumUp: { command: [/bin/announce, 203.0.113.10 80, up], ${account} }
      quorumDown: { command: [/bin/withdraw], user: root }
      sorryServer: { address: 198.51.100.99:8080, mode: nat, inhibit: true }
    servers:
      - address: 198.51.100.11:8080
        weight: 3
        upperThreshold: 100
        lowerThreshold: 90
        health:
          inhibitOnFailure: false
          notifyDown: { command: [/bin/page, A], ${account} }
          checks:
            - type: tcp
              connectIp: 198.51.100.9
              connectPort: 81
              bindTo: 198.51.100.1
              bindPort: 1000
              bindInterface: eth1
              fwmark: 5
              connectTimeout: 1s
              retry: 0
              logAllFailures: false
            - type: https
              sni: true
              fastRecovery: true
              ca: /etc/ssl/ca.pem
              certificate: /etc/ssl/one.pem
              logAllFailures: true
              urls:
                - { path: /a, status: [200-299, 404], regex: '^o\\.k', regexFlags: im, regexNoMatch: true, regexMinOffset: 1, regexMaxOffset: 100 }
                - { path: /b, virtualhost: b.example.org, digest: 9b3a0c85a887a256d6939da88aabd8cd }
            - { type: smtp, connectPort: 26, heloName: director, logAllFailures: true }
            - { type: dns, queryType: A, name: example.org, logAllFailures: true }
            - { type: udp, payload: Ab120f03, requireReply: true, reply: 01xX, maxReplyLength: 100, logAllFailures: true }
            - { type: ping, logAllFailures: true }
            - { type: misc, script: { command: /bin/check one, user: daemon }, timeout: 5s, dynamic: true, logAllFailures: true }
            - { type: file, path: /run/load, weight: 2, reverse: true, dynamic: true }
            - { type: bfd, name: b1, neighbour: 198.51.100.11 }
      - { address: 198.51.100.12:80, mode: dr }
${['20-53', '21-53', '30-5353']
  .map((one) => one.split('-') as [string, string])
  .map(
    ([host, port]) => `
  - name: udp-203.0.113.${host}-${port}
    listen: 203.0.113.${host}:${port}
    protocol: udp
    mode: tun
    scheduler: wrr
    onePacket: true
    servers: [{ address: 198.51.100.12:${port} }]`,
  )
  .join('')}
`;
  const theirs = loadConfig(write(RICH, BASE));
  assert.equal(
    JSON.parse(JSON.stringify(theirs.model)),
    JSON.parse(JSON.stringify(parseConfig(yaml, 'x.yaml').model)),
  );
  assert.is(plan(theirs.model).snapshot.services.length, 4);
});

const rows: [it: string, conf: string, says: string[]][] = [
  ['a good one', SERVICE('delay_loop 6', 'weight 2'), []],
  [
    'values that are good for keepalived and not for Sluice',
    SERVICE('retry 2000', 'weight 70000'),
    [
      '5:11: retry: is 2000, expected a whole number from 0 to 1000',
      '7:16: weight: is 70000, expected a whole number from 0 to 65535',
    ],
  ],
  [
    'IPv6 in front of IPv4',
    SERVICE('').replace('203.0.113.10', '2001:db8::1'),
    ['6:17: real_server: 198.51.100.11 is IPv4, the service IPv6: expected IPv6'],
  ],
  [
    'what would change where packets go',
    `${SERVICE('persistence_engine sip\n    ')}`,
    [
      '5:5: persistence_engine: not supported: there is sip alone, for UDP: clients are known by their addresses (to go without, add persistence_engine to keepalived.accept)',
    ],
  ],
  ['a SYN proxy', SERVICE('syn_proxy'), []],
  [
    'a SYN proxy that would have to see replies, or TCP',
    [
      SERVICE('syn_proxy').replace('NAT', 'DR').replaceAll('8080', '80'),
      SERVICE('syn_proxy').replace('203.0.113.10 80', '203.0.113.11 80').replace('TCP', 'UDP'),
    ].join(''),
    [5, 14].map(
      (line) =>
        `${line}:5: syn_proxy: not supported: the SYN proxy is for TCP to NAT and FNAT servers: SYNs reach them as they come (to go without, add syn_proxy to keepalived.accept)`,
    ),
  ],
  [
    'a persistence engine that nobody asks',
    SERVICE('persistence_engine sip').replace('TCP', 'UDP'),
    ['5:5: warning: persistence_engine: has no effect: without persistence_timeout nobody asks it'],
  ],
  [
    'a persistence engine that is not there',
    SERVICE('persistence_timeout 50\n    persistence_engine rtsp').replace('TCP', 'UDP'),
    [
      '6:5: persistence_engine: not supported: there is sip alone, for UDP: clients are known by their addresses (to go without, add persistence_engine to keepalived.accept)',
    ],
  ],
  [
    'what only tunes is told once',
    SERVICE('smtp_alert', 'smtp_alert off'),
    ['5:5: warning: smtp_alert: has no effect: no mail is sent (and 1 more of them)'],
  ],
  [
    'services that cannot be forwarded at all',
    SERVICE('').replace('203.0.113.10 80', 'fwmark 3').replace('    protocol TCP\n', ''),
    [
      '1:16: virtual_server fwmark: not supported: no rule in marks of sluice.yaml gives packets that mark: the service is left out (to go without, add fwmark to keepalived.accept)',
    ],
  ],
  [
    'a scheduler, and what a tunnel has no use for',
    SERVICE('').replace('rr', 'conhash').replace('NAT', 'TUN type gre remcsum'),
    [
      '2:15: lvs_sched conhash: not supported: there is no such scheduler: wlc schedules instead (to go without, add scheduler to keepalived.accept)',
      '3:29: warning: remcsum: has no effect: a tunnel of type gre has none',
      "6:31: warning: real_server 198.51.100.11 8080: TUN cannot change the port: 8080 is ignored and the service's 80 used",
    ],
  ],
  [
    'a pattern that JavaScript does not know, and an option it does not have',
    SERVICE('', 'HTTP_GET {\n url {\n path /\n regex "a(?i)b"\n regex_options firstline\n }\n }'),
    [
      '10:8: regex: is "a(?i)b", expected a regular expression: Invalid regular expression: /a(?i)b/: Invalid group',
      '11:16: regex_options firstline: not supported: regular expressions are JavaScript’s, which have nothing alike: it is left out (to go without, add regex to keepalived.accept)',
    ],
  ],
  [
    'two services of one address; a server that is a virtual address',
    `${SERVICE('')}${SERVICE('').replace('198.51.100.11', '203.0.113.10')}`,
    [
      '10:16: virtual_server: tcp 203.0.113.10:80 is already taken by service tcp-203.0.113.10-80',
      "15:17: real_server: 203.0.113.10 is the address of service tcp-203.0.113.10-80-2, expected a real server's address",
    ],
  ],
  [
    'full NAT without local addresses',
    SERVICE('').replace('NAT', 'FNAT'),
    [
      '1:1: virtual_server 203.0.113.10 80: mode fullnat needs localAddresses, expected at least one address',
    ],
  ],
  [
    'too large a group',
    `virtual_server_group G {\n 10.0.0.0/8 80\n}\n${SERVICE('').replace('203.0.113.10 80', 'group G')}`,
    ['2:2: 10.0.0.0/8: is 16777216 addresses, expected at most 65536'],
  ],
  [
    'too large a group of IPv6',
    `virtual_server_group G {\n 2001:db8::/64 80\n}\n${SERVICE('').replace('203.0.113.10 80', 'group G')}`,
    ['2:2: 2001:db8::/64: is 18446744073709552000 addresses, expected at most 65536'],
  ],
  [
    'a script without a path',
    SERVICE('quorum_up announce'),
    ['5:15: warning: quorum_up: announce is not found in PATH: it is taken as /usr/bin/announce'],
  ],
  [
    'VRRP: an interface that is no port, two routers of one number, what is not there',
    `vrrp_instance A {
 interface eth9
 virtual_router_id 1
 virtual_ipaddress {
 192.0.2.9
 }
}
vrrp_instance B {
 interface front
 virtual_router_id 7
 authentication {
 auth_type AH
 auth_pass x
 }
 virtual_ipaddress {
 192.0.2.10/24 dev back label x:1
 192.0.2.1
 }
 accept
}
vrrp_instance C {
 interface slfront
 virtual_router_id 7
 virtual_ipaddress {
 192.0.2.9
 }
}
`,
    [
      '2:12: interface: no port is called eth9, expected one of front, back',
      '16:16: warning: dev: has no effect: the port is the one with the address’s network, or its own',
      '16:25: warning: label: has no effect: the kernel is not given the address',
      "17:2: 192.0.2.1: 192.0.2.1 is port front's own, which the kernel answers for: expected a virtual address",
      '23:20: virtual_router_id: 7 on port front is also the router ID of B',
      '25:2: 192.0.2.9: 192.0.2.9 is also an address of A',
    ],
  ],
  [
    'VRRP: a number that Sluice does not take, a name that is none',
    `vrrp_instance A {
 interface front
 virtual_router_id 1
 garp_master_repeat 500
 track_script {
 nothing
 }
 virtual_ipaddress {
 192.0.2.9
 }
}
`,
    [
      '4:21: garp_master_repeat: is 500, expected a whole number from 0 to 100',
      '6:2: track_script: nothing is called nothing',
    ],
  ],
];

for (const [it, conf, expected] of rows) {
  test(it, () => assert.equal(says(conf), expected));
}

const ANY_PORT = (words: string, more = '') => `\
virtual_server ${words} {
    lvs_sched rr
    lvs_method DR
    ${more}
    real_server 198.51.100.11 {
    }
}
`;

test('without a port: a service for any, made persistent as keepalived has it', () => {
  const conf =
    ANY_PORT('203.0.113.10', 'protocol TCP') +
    ANY_PORT('203.0.113.11 0', 'protocol UDP\n    persistence_timeout 50');
  assert.equal(says(conf), [
    '1:1: warning: virtual_server 203.0.113.10: only a persistent service can do without a port: it is made persistent',
  ]);
  const { services } = loadConfig(write(conf, BASE)).model;
  assert.equal(
    services.map(({ name, listen, persistence, servers }) => [
      name,
      listen.port,
      persistence?.timeoutS,
      servers[0]?.address.port,
    ]),
    [
      ['tcp-203.0.113.10-0', 0, 360, 0],
      ['udp-203.0.113.11-0', 0, 50, 0],
    ],
  );
});

test('groups and ranges of IPv6: a service for each address', () => {
  const group = (member: string) =>
    `virtual_server_group G {\n ${member}\n}\n${SERVICE('')
      .replace('203.0.113.10 80', 'group G')
      .replaceAll(/198\.51\.100\.(\d+)/g, '2001:db8:2::$1')}`;
  const listens = (member: string) =>
    loadConfig(write(group(member), BASE)).model.services.map(
      ({ listen }) => `${listen.address} ${listen.port}`,
    );
  assert.equal(listens('2001:db8::fe-101 80'), [
    ...['2001:db8::fe 80', '2001:db8::ff 80', '2001:db8::100 80', '2001:db8::101 80'],
  ]);
  assert.equal(listens('2001:db8::ffff-2001:db8::1:1 53'), [
    ...['2001:db8::ffff 53', '2001:db8::1:0 53', '2001:db8::1:1 53'],
  ]);
  assert.equal(listens('2001:db8::a8/126 80'), [
    ...['2001:db8::a8 80', '2001:db8::a9 80', '2001:db8::aa 80', '2001:db8::ab 80'],
  ]);
});

test('fwmarks: of the rules in sluice.yaml, alone and in groups, of either family', () => {
  const marks = `marks:
  - { mark: 5, to: 203.0.113.10, protocol: tcp, ports: [80, 443] }
  - { mark: 6, to: 203.0.113.11 }
  - { mark: 7, to: "2001:db8:1::10" }
`;
  const conf = `${ANY_PORT('fwmark 5', 'persistence_timeout 50')}\
virtual_server_group G {
    fwmark 6
}
${ANY_PORT('group G')}
${ANY_PORT('fwmark 7', 'ip_family inet6').replace('198.51.100.11', '2001:db8:2::11')}
${ANY_PORT('fwmark 8')}`;
  assert.equal(says(conf, BASE + marks), [
    "23:17: warning: real_server: no route of this file leads to 2001:db8:2::11; the kernel's routes may",
    '27:16: virtual_server fwmark: not supported: no rule in marks of sluice.yaml gives packets that mark: the service is left out (to go without, add fwmark to keepalived.accept)',
  ]);
  const yaml = `${BASE}${marks}keepalived: { accept: [fwmark] }\n`;
  const { services } = loadConfig(write(conf, yaml)).model;
  assert.equal(
    services.map(({ name, protocol, listen, persistence }) => [
      name,
      protocol,
      `${listen.address} ${listen.port}`,
      persistence?.timeoutS,
    ]),
    [
      ['fwmark-5', 'fwmark', '0.0.0.0 5', 50],
      ['fwmark-6', 'fwmark', '0.0.0.0 6', undefined],
      ['fwmark-7', 'fwmark', ':: 7', undefined],
    ],
  );
});

test('accepted: a warning, and the rest goes on', () => {
  const conf = SERVICE('persistence_engine sip').replace('rr', 'conhash');
  const yaml = `keepalived: { accept: [persistence_engine, scheduler] }\n${BASE}`;
  assert.equal(says(conf, yaml), [
    '2:15: warning: lvs_sched conhash: accepted: there is no such scheduler: wlc schedules instead',
    '5:5: warning: persistence_engine: accepted: there is sip alone, for UDP: clients are known by their addresses',
  ]);
  assert.is(loadConfig(write(conf, yaml)).model.services[0]?.scheduler, 'wlc');
});

test('director.yaml names a keepalived.conf and adds services of its own', () => {
  write(SERVICE('quorun 5', 'TCP_CHECK {\n bogus\n }'));
  const yaml = `${BASE}keepalived: { file: ${count}-keepalived.conf, configId: a }\nservices:\n  - { name: own, listen: 203.0.113.10:80, mode: nat }\n`;
  const file = join(folder, 'director.yaml');
  writeFileSync(file, yaml);
  try {
    loadConfig(file);
    assert.unreachable();
  } catch (error) {
    assert.equal(
      (error as ConfigError).problems.map((one) => formatProblem(one).replaceAll(`${folder}/`, '')),
      [
        'director.yaml:11:5: warning: services[0]: there is no real server: new clients get ICMP port unreachable',
        `${count}-keepalived.conf:1:16: virtual_server: tcp 203.0.113.10:80 is already taken by service own`,
        `${count}-keepalived.conf:5:5: quorun: unknown keyword, did you mean quorum?`,
        `${count}-keepalived.conf:8:2: bogus: unknown keyword, it is not in keepalived.conf(5)`,
      ],
    );
  }
});

test('a file that director.yaml names and that is not there', () => {
  const file = join(folder, 'director.yaml');
  writeFileSync(file, `keepalived: none.conf\n${BASE}`);
  assert.throws(
    () => loadConfig(file),
    /director\.yaml:1:13: keepalived: cannot read .*none\.conf/,
  );
});

test('without sluice.yaml: checked as far as it goes, and what run will need is told', () => {
  const { model, warnings } = loadConfig(write(SERVICE('')));
  assert.equal([model.ports, model.services.length], [[], 1]);
  assert.match(warnings[0]?.message ?? '', /^no .*sluice\.yaml says which ports there are/);
});

test('property: a good file with a piece cut out or doubled gives places and sentences', () => {
  const at = fc.nat(GOOD.length);
  fc.assert(
    fc.property(at, at, fc.string({ maxLength: 6 }), (one, two, put) => {
      const [from, to] = [Math.min(one, two), Math.max(one, two)];
      for (const text of [
        GOOD.slice(0, from) + put + GOOD.slice(to),
        GOOD.slice(0, to) + put + GOOD.slice(from),
      ]) {
        try {
          parseKeepalivedConfig(text, 'any.conf');
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          for (const { place, message } of error.problems) {
            assert.ok(place.line >= 1 && place.column >= 1);
            assert.not.match(message, /undefined|\[object|NaN/);
          }
        }
      }
    }),
    { numRuns: 100, seed: 4 },
  );
});

test.run();
