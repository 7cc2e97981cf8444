/** Values against one another: names, addresses, next hops, modes and their needs; one table. */
import { test } from 'uvu';
import { BASE, service, table } from './support.js';

const SERVER = 'servers: [{ address: 198.51.100.11:80 }]';
const NO_ENAT =
  'mode enat does not take SCTP: the agent of the real server rewrites replies of TCP and UDP only, ' +
  'expected another mode';
const NO_OPTION = 'SCTP has no option that tells a server the client’s address: it is ignored';

table([
  {
    it: 'scripts of other users than the one that the director goes on as',
    yaml: `director: { user: sluice }
${BASE}
services:
  - name: web
    listen: 203.0.113.10:80
    mode: nat
    health:
      quorumUp: { command: /bin/up, user: nobody }
      quorumDown: { command: /bin/down, user: sluice }
      checks: [{ type: misc, script: { command: /bin/check, user: daemon } }]
    ${SERVER}
`,
    says: [
      '1:19: director.user: a director that goes on as sluice cannot run scripts as nobody, daemon: ' +
        'leave out their user, or director.user',
    ],
    codes: ['ERR_CONFIG_CONFLICT'],
  },
  {
    it: 'SCTP and ENAT; SCTP and what it has no option for; passive checks of it; one packet of it',
    yaml: `${BASE}
services:
  - { name: a, listen: "203.0.113.10:80", protocol: sctp, mode: enat, ${SERVER} }
  - name: b
    listen: 203.0.113.11:80
    protocol: sctp
    mode: fullnat
    clientAddress: toa
    toaKind: 200
    onePacket: true
    localAddresses: [198.51.100.200]
    health: { passive: {} }
    servers: [{ address: 198.51.100.11:80 }, { address: 198.51.100.12:80, mode: enat }]
`,
    says: [
      `11:65: services[0].mode: ${NO_ENAT}`,
      `16:20: warning: services[1].clientAddress: ${NO_OPTION}`,
      `17:14: warning: services[1].toaKind: ${NO_OPTION}`,
      '18:16: services[1].onePacket: one-packet scheduling is for UDP only, expected false or protocol: udp',
      '20:24: services[1].health.passive: passive checks watch TCP handshakes, and SCTP has none, expected checks',
      `21:46: services[1].servers[1]: ${NO_ENAT}`,
    ],
  },
  {
    it: 'two workers on one CPU',
    yaml: `director: { workers: [1, 2, 1] }\n${BASE}`,
    says: ['1:29: director.workers[2]: CPU 1 already has workers[0]'],
    codes: ['ERR_CONFIG_DUPLICATE'],
  },
  {
    it: 'ports that share name, device, twin, MAC, address, network',
    yaml: `ports:
  - name: front
    device: net_null0
    mac: 02:00:00:00:01:01
    addresses: [192.0.2.1/24]
  - name: front
    device: net_null0
    mac: 02:00:00:00:01:01
    addresses: [192.0.2.1/24]
  - name: back
    twin: slfront
    addresses: [192.0.2.129/25]
`,
    says: [
      '6:11: ports[1].name: front is also the name of ports[0]',
      '6:11: ports[1].name: slfront is also the twin of port front',
      '7:13: ports[1].device: net_null0 is also the device of port front',
      '8:10: ports[1].mac: this is also the MAC of port front',
      '9:17: ports[1].addresses[0]: already an address of port front',
      '11:11: ports[2].twin: slfront is also the twin of port front',
      '12:17: warning: ports[2].addresses[0]: its network overlaps 192.0.2.0/24 of port front; ' +
        'the longer prefix, then the first port, is used',
    ],
  },
  {
    it: 'packet buffers that the memory does not hold',
    yaml: `director:
  mbufs: 1000000
  memory: 1024
ports:
  - { name: a }
`,
    says: [
      '3:11: director.memory: 1024 MiB do not hold the packet buffers, expected at least 2270 MiB ' +
        'for 1 workers, 1 ports and 1000000 mbufs',
    ],
    codes: ['ERR_CONFIG_MEMORY'],
  },
  {
    it: 'workers and ports need buffers of their own, jumbo frames larger ones',
    yaml: `director: { memory: 400, workers: 8 }
ports:
  - { name: a, mtu: 9000 }
  - { name: b }
`,
    says: [
      '1:21: director.memory: 400 MiB do not hold the packet buffers, expected at least 1488 MiB ' +
        'for 8 workers, 2 ports and 32768 mbufs',
    ],
    codes: ['ERR_CONFIG_MEMORY'],
  },
  {
    it: 'more queues than workers to serve them',
    yaml: `director: { workers: [2, 3] }
ports:
  - { name: a, queues: 4 }
  - { name: b, queues: 2 }
`,
    says: [
      '3:24: warning: ports[0].queues: 4 queues, but a worker serves one a port: 2 will be used',
    ],
    codes: ['WARN_CONFIG_IGNORED'],
  },
  {
    it: 'devices of one name or on one interface',
    yaml: `ports:
  - { name: a, device: "net_af_packet0,iface=f0" }
  - { name: b, device: "net_af_packet0,iface=f1" }
  - { name: c, device: "net_af_xdp0,iface=f0,queue_count=1" }
  - { name: d, device: "net_af_packet1,iface=f2" }
`,
    says: [
      '3:24: ports[1].device: net_af_packet0 is also the device of port a',
      '4:24: ports[2].device: f0 is also used by port a',
    ],
  },
  {
    it: "addresses no host can have, and a name too long for its twin's",
    yaml: `ports:
  - name: a-rather-long-name
    addresses: [192.0.2.0/24, 192.0.2.255/24, 224.0.0.5/24, 192.0.2.1/0, 192.0.2.1/31]
`,
    says: [
      '2:11: ports[0].name: its twin would be sla-rather-long-name, expected at most 15 ' +
        'characters: give twin a name',
      "3:17: ports[0].addresses[0]: 192.0.2.0/24 is the network address of its network, expected a host's address",
      "3:31: ports[0].addresses[1]: 192.0.2.255/24 is the broadcast address of its network, expected a host's address",
      "3:47: ports[0].addresses[2]: 224.0.0.5/24 is a multicast address, expected a host's address",
      "3:61: ports[0].addresses[3]: 192.0.2.1/0 has prefix length 0, expected a host's address",
    ],
  },
  {
    it: 'routes: unknown port, unreachable next hop, our own address, host bits, no target, twice',
    yaml: `ports:
  - { name: front, addresses: [192.0.2.1/24] }
  - { name: back, addresses: [198.51.100.1/24] }
routes:
  - { to: 0.0.0.0/0, via: 192.0.2.254 }
  - { to: 198.18.0.0/16, port: frnt }
  - { to: 198.18.1.0/24, via: 203.0.113.1 }
  - { to: 198.18.2.0/24, via: 192.0.2.254, port: back }
  - { to: 198.18.3.0/24, via: 192.0.2.1 }
  - { to: 198.18.4.1/24, port: back }
  - { to: 198.18.5.0/24 }
  - { to: 0.0.0.0/0, port: back }
  - { to: 198.18.6.0/24, via: 224.0.0.1 }
`,
    says: [
      '6:32: routes[1].port: no port is called frnt, did you mean front?',
      "7:31: routes[2].via: 203.0.113.1 is in no port's network, expected a next hop that is, or a neighbours entry",
      '8:31: routes[3].via: 192.0.2.254 is not in a network of port back, expected one that is, or a neighbours entry',
      "9:31: routes[4].via: 192.0.2.1 is our own address (port front), expected another router's",
      '10:11: routes[5].to: 198.18.4.1/24 has bits set after its prefix, expected 198.18.4.0/24',
      '11:5: routes[6]: neither via nor port is given, expected a next hop, a port, or both',
      '12:11: routes[7].to: 0.0.0.0/0 is also the target of routes[0]',
      "13:31: routes[8].via: 224.0.0.1 is a multicast address, expected a router's address",
    ],
    codes: [
      'ERR_CONFIG_REFERENCE',
      'ERR_CONFIG_UNREACHABLE',
      'ERR_CONFIG_UNREACHABLE',
      'ERR_CONFIG_CONFLICT',
      'ERR_CONFIG_VALUE',
      'ERR_CONFIG_MISSING',
      'ERR_CONFIG_DUPLICATE',
      'ERR_CONFIG_VALUE',
    ],
  },
  {
    it: 'a next hop outside all networks is reachable through a neighbours entry',
    yaml: `ports: [{ name: front }]
routes: [{ to: 0.0.0.0/0, via: 192.0.2.254 }]
neighbours: [{ address: 192.0.2.254, mac: 02:00:00:00:00:fe, port: front }]
`,
    says: [],
  },
  {
    it: 'neighbours: unknown port, no port, twice, our own MAC and address, no host',
    yaml: `${BASE}neighbours:
  - { address: 192.0.2.254, mac: 02:00:00:00:00:fe, port: bakc }
  - { address: 203.0.113.9, mac: 02:00:00:00:00:09 }
  - { address: 192.0.2.7, mac: 02:00:00:00:00:07 }
  - { address: 192.0.2.7, mac: 02:00:00:00:00:08 }
  - { address: 192.0.2.1, mac: 02:00:00:00:01:01 }
  - { address: 255.255.255.255, mac: 02:00:00:00:00:0a }
`,
    says: [
      '10:59: neighbours[0].port: no port is called bakc, did you mean back?',
      "11:16: neighbours[1].address: 203.0.113.9 is in no port's network, expected port: with the port it is behind",
      '13:16: neighbours[3].address: 192.0.2.7 is also the address of neighbours[2]',
      "14:16: neighbours[4].address: 192.0.2.1 is our own port front's address",
      "14:32: neighbours[4].mac: 02:00:00:00:01:01 is our own port front's, expected the neighbour's",
      "15:16: neighbours[5].address: 255.255.255.255 is the broadcast address, expected a host's address",
    ],
  },
  {
    it: 'the same name and the same protocol, address and port',
    yaml: `${service(`name: web\nlisten: 203.0.113.10:80\nmode: nat\n${SERVER}`)}\
  - { name: dns, listen: 203.0.113.10:80, protocol: udp, mode: nat, ${SERVER} }
  - { name: web, listen: 203.0.113.10:81, mode: nat, ${SERVER} }
  - { name: more, listen: 203.0.113.10:80, mode: nat, ${SERVER} }
`,
    says: [
      '15:13: services[2].name: web is also the name of services[0]',
      '16:27: services[3].listen: tcp 203.0.113.10:80 is already taken by service web',
    ],
  },
  {
    it: 'virtual addresses that cannot be ones',
    yaml: `${BASE}services:
  - { name: a, listen: 224.0.0.18:80, mode: nat, ${SERVER} }
  - { name: b, listen: 0.0.0.0:80, mode: nat, ${SERVER} }
  - { name: c, listen: 127.0.0.1:80, mode: nat, ${SERVER} }
  - { name: d, listen: 240.0.0.1:80, mode: nat, ${SERVER} }
  - { name: e, listen: 192.0.2.1:80, mode: nat, ${SERVER} }
`,
    says: [
      '10:24: services[0].listen: 224.0.0.18 is a multicast address, expected a virtual address of its own',
      '11:24: services[1].listen: 0.0.0.0 is the unspecified network 0.0.0.0/8, expected a virtual address of its own',
      '12:24: services[2].listen: 127.0.0.1 is a loopback address, expected a virtual address of its own',
      '13:24: services[3].listen: 240.0.0.1 is in the reserved 240.0.0.0/4, expected a virtual address of its own',
      "14:24: services[4].listen: 192.0.2.1 is port front's own, expected a virtual address of its own",
    ],
  },
  {
    it: 'fullnat without local addresses',
    yaml: service(`name: web\nlisten: 203.0.113.10:80\nmode: fullnat\n${SERVER}`),
    says: ['10:5: services[0]: mode fullnat needs localAddresses, expected at least one address'],
    codes: ['ERR_CONFIG_MISSING'],
  },
  {
    it: 'one fullnat server in a nat service needs them, too; an empty list does not do',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: nat
localAddresses: []
servers: [{ address: 198.51.100.11:80, mode: fullnat }]`),
    says: [
      '13:21: services[0].localAddresses: mode fullnat needs localAddresses, expected at least one address',
    ],
  },
  {
    it: 'local addresses that are a VIP, a port’s, no host’s, or twice',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: fullnat
localAddresses: [203.0.113.10, 198.51.100.1, 239.0.0.1, 198.51.100.200, 198.51.100.200]
${SERVER}`),
    says: [
      '13:22: services[0].localAddresses[0]: 203.0.113.10 is the address of service web, expected a local address of its own',
      "13:36: services[0].localAddresses[1]: 198.51.100.1 is port back's own, expected a local address of its own",
      '13:50: services[0].localAddresses[2]: 239.0.0.1 is a multicast address, expected a local address of its own',
      '13:77: services[0].localAddresses[4]: 198.51.100.200 is also localAddresses[3]',
    ],
  },
  {
    it: 'local addresses in a mode that has no use for them',
    yaml: service(
      `name: web\nlisten: 203.0.113.10:80\nmode: nat\nlocalAddresses: [198.51.100.200]\n${SERVER}`,
    ),
    says: [
      '13:21: warning: services[0].localAddresses: mode nat ignores them; they are for fullnat and enat',
    ],
  },
  {
    it: 'real servers: twice, a VIP, a LIP, our own, nobody’s, with a threshold upside down',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: fullnat
localAddresses: [198.51.100.200]
servers:
  - { address: 198.51.100.11:80 }
  - { address: 198.51.100.11:80 }
  - { address: 203.0.113.10:81 }
  - { address: 198.51.100.200:80 }
  - { address: 198.51.100.1:80 }
  - { address: 0.0.0.0:80 }
  - { address: 198.51.100.12:80, upperThreshold: 10, lowerThreshold: 20 }
  - { address: 198.51.100.13:80, lowerThreshold: 5 }`),
    says: [
      '16:20: services[0].servers[1].address: 198.51.100.11:80 is also servers[0]',
      "17:20: services[0].servers[2].address: 203.0.113.10 is the address of service web, expected a real server's address",
      "18:20: services[0].servers[3].address: 198.51.100.200 is a local address of service web, expected a real server's address",
      "19:20: services[0].servers[4].address: 198.51.100.1 is port back's own, expected a real server's address",
      "20:20: services[0].servers[5].address: 0.0.0.0 is the unspecified network 0.0.0.0/8, expected a real server's address",
      '21:74: services[0].servers[6].lowerThreshold: 20 is above upperThreshold 10, expected at most that',
      '22:54: warning: services[0].servers[7].lowerThreshold: without upperThreshold it has no effect',
    ],
  },
  {
    it: 'modes that keep the port: another one is ignored, and then it may be a duplicate',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: dr
servers:
  - { address: 198.51.100.11:8080 }
  - { address: 198.51.100.11:80 }
  - { address: 198.51.100.12:8080, mode: tun }
  - { address: 198.51.100.12:8081, mode: nat }`),
    says: [
      "14:20: warning: services[0].servers[0].address: mode dr cannot change the port: 8080 is ignored and the service's 80 used, as ipvsadm does",
      '15:20: services[0].servers[1].address: 198.51.100.11:80 is also servers[0]',
      "16:20: warning: services[0].servers[2].address: mode tun cannot change the port: 8080 is ignored and the service's 80 used, as ipvsadm does",
    ],
  },
  {
    it: 'settings that a service has no use for',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: dr
scheduler: rr
schedulePort: true
scheduleFallback: false
clientAddress: none
toaKind: 254
${SERVER}`),
    says: [
      '14:19: warning: services[0].schedulePort: the rr scheduler ignores it; it is for sh and mh',
      "16:20: warning: services[0].clientAddress: mode dr ignores it: the server sees the client's address anyway",
      "17:14: warning: services[0].toaKind: mode dr ignores it: the server sees the client's address anyway",
    ],
    codes: Array(3).fill('WARN_CONFIG_IGNORED'),
  },
  {
    it: 'settings that exclude one another',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: enat
onePacket: true
clientAddress: none
toaKind: 253
${SERVER}`),
    says: [
      '13:16: services[0].onePacket: one-packet scheduling is for UDP only, expected false or protocol: udp',
      '14:20: services[0].clientAddress: mode enat needs it: the real server answers the client itself, expected toa',
      '15:14: services[0].toaKind: mode enat has its other option in kind 253, expected another such as 254',
    ],
    codes: Array(3).fill('ERR_CONFIG_CONFLICT'),
  },
  {
    it: 'a SYN proxy where there are no replies to see, or no SYNs',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: nat
synProxy: true
servers:
  - { address: 198.51.100.11:80 }
  - { address: 198.51.100.12:80, mode: dr }
health: { sorryServer: { address: 198.51.100.13:80, mode: tun } }
`),
    says: [
      '16:44: services[0].servers[1].mode: mode dr lets servers answer clients themselves: a SYN proxy has to see replies, expected nat or fullnat',
      '17:28: services[0].health.sorryServer: mode tun lets servers answer clients themselves: a SYN proxy has to see replies, expected nat or fullnat',
    ],
    codes: Array(2).fill('ERR_CONFIG_CONFLICT'),
  },
  {
    it: 'a SYN proxy of a service whose mode is another',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: dr
synProxy: true
${SERVER}`),
    says: [
      '13:15: services[0].synProxy: mode dr lets servers answer clients themselves: a SYN proxy has to see replies, expected nat or fullnat',
    ],
    codes: ['ERR_CONFIG_CONFLICT'],
  },
  {
    it: 'a SYN proxy whose connections Linux is to be told of',
    yaml: `${service(`
name: web
listen: 203.0.113.10:80
mode: nat
synProxy: true
${SERVER}`)}
sync: { interface: eth2, protocol: ipvs }
`,
    says: [
      '13:15: warning: services[0].synProxy: its connections end with this director: sync.protocol ipvs has no words for them',
    ],
    codes: ['WARN_CONFIG_UNSUPPORTED'],
  },
  {
    it: 'a SYN proxy without TCP',
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: nat
protocol: udp
synProxy: true
${SERVER}`),
    says: [
      '14:15: services[0].synProxy: a SYN proxy is for TCP only, expected false or protocol: tcp',
    ],
    codes: ['ERR_CONFIG_CONFLICT'],
  },
  {
    it: "a TOA kind that is one of TCP's own",
    yaml: service(`
name: web
listen: 203.0.113.10:80
mode: fullnat
localAddresses: [198.51.100.200]
toaKind: 8
${SERVER}`),
    says: [
      '14:14: services[0].toaKind: TCP option 8 is timestamps, expected an unused kind such as 254',
    ],
  },
  {
    it: 'no server, none with weight',
    yaml: `${BASE}services:
  - { name: a, listen: 203.0.113.10:80, mode: nat }
  - { name: b, listen: 203.0.113.10:81, mode: nat, servers: [] }
  - { name: c, listen: 203.0.113.10:82, mode: nat, servers: [{ address: 198.51.100.11:80, weight: 0 }] }
`,
    says: [
      '10:5: warning: services[0]: there is no real server: new clients get ICMP port unreachable',
      '11:61: warning: services[1].servers: there is no real server: new clients get ICMP port unreachable',
      '12:61: warning: services[2].servers: every weight is 0: new clients get ICMP port unreachable',
    ],
  },
  {
    it: 'a server no static route leads to; a tunnel from a port without address',
    yaml: `ports:
  - { name: front, addresses: [192.0.2.1/24] }
  - { name: bare }
routes: [{ to: 198.18.0.0/16, port: bare }]
services:
  - { name: a, listen: 203.0.113.10:80, mode: nat, servers: [{ address: 198.51.100.11:80 }] }
  - { name: b, listen: 203.0.113.10:81, mode: tun, servers: [{ address: 198.18.0.7:81 }] }
`,
    says: [
      "6:73: warning: services[0].servers[0].address: no route of this file leads to 198.51.100.11; the kernel's routes may",
      '7:73: services[1].servers[0].address: mode tun sends from an address of port bare, which has none, expected addresses: on that port',
    ],
  },
  {
    it: 'passive checks where the server’s answers are not seen',
    yaml: `${BASE}services:
  - { name: a, listen: 203.0.113.10:80, mode: dr, health: { passive: {} }, servers: [{ address: 198.51.100.11:80 }] }
  - { name: b, listen: 203.0.113.10:81, mode: nat, health: { passive: {} }, servers: [{ address: 198.51.100.11:81 }, { address: 198.51.100.12:81, mode: tun }] }
  - { name: c, listen: 203.0.113.10:82, mode: nat, servers: [{ address: 198.51.100.11:82, mode: dr, health: { passive: {} } }] }
  - { name: d, listen: 203.0.113.10:53, protocol: udp, mode: nat, health: { passive: {} }, servers: [{ address: 198.51.100.11:53 }] }
`,
    says: [
      "10:70: services[0].health.passive: in mode dr the server's SYN-ACKs and resets do not pass the director, expected nat or fullnat, or checks instead",
      "11:118: warning: services[1].servers[1]: in mode tun the server's SYN-ACKs and resets do not pass the director: passive checks leave it out",
      "12:120: services[2].servers[0].health.passive: in mode dr the server's SYN-ACKs and resets do not pass the director, expected nat or fullnat, or checks instead",
      '13:86: services[3].health.passive: passive checks watch TCP handshakes, and UDP has none, expected checks',
    ],
    codes: [
      'ERR_CONFIG_CONFLICT',
      'WARN_CONFIG_PASSIVE_BLIND',
      'ERR_CONFIG_CONFLICT',
      'ERR_CONFIG_CONFLICT',
    ],
  },
  {
    it: 'more services and servers than allowed',
    yaml: `director: { maxServices: 1, maxServers: 1 }
${BASE}services:
  - { name: a, listen: 203.0.113.10:80, mode: nat, ${SERVER} }
  - { name: b, listen: 203.0.113.10:81, mode: nat, ${SERVER} }
`,
    says: [
      '11:3: services: 2 services, expected at most director.maxServices (1)',
      '11:3: services: 2 servers, expected at most director.maxServers (1)',
    ],
    codes: ['ERR_CONFIG_LIMIT', 'ERR_CONFIG_LIMIT'],
  },
  {
    it: 'nothing is said about names whose owner has another mistake',
    yaml: `ports:
  - { name: front, addresses: [192.0.2.1/24] }
  - { name: back, mtu: 1, addresses: [198.51.100.1/24] }
routes: [{ to: 198.18.0.0/16, via: 198.51.100.254, port: back }]
neighbours: [{ address: 198.51.100.11, mac: 02:00:00:00:00:11 }]
services: [{ name: web, listen: 203.0.113.10:80, mode: nat, ${SERVER} }]
`,
    says: ['3:24: ports[1].mtu: is 1, expected a whole number from 576 to 9600'],
  },
]);

test.run();
