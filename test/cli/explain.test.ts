/** explain(): the way of a packet, from a running state. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectionReport, ServiceReport } from '../../src/api/types.js';
import { formatExplanation } from '../../src/cli/explain.js';
import { formatEntry } from '../../src/clients.js';
import { parseConfig } from '../../src/config/load.js';
import type { Place } from '../../src/errors.js';
import { type ExplainSources, explain, type Flow } from '../../src/explain.js';

const YAML = (
  more: string,
) => `ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
services:
  - name: web
    listen: 203.0.113.10:80
    mode: fullnat
    localAddresses: [198.51.100.200]
${more}
    servers:
      - { address: 198.51.100.11:8080, weight: 3 }
      - { address: 198.51.100.12:8080, weight: 1 }
      - { address: 198.51.100.13:8080, upperThreshold: 5 }
`;
const entryAt =
  (locate: (path: (string | number)[]) => Place): ExplainSources['entry'] =>
  (service, { list, item, text, file }) =>
    formatEntry(
      { list, item, text },
      file
        ? { file: file.path, line: file.line, column: 1 }
        : locate(['services', service, 'clients', list, item]),
    );
const FLOW: Flow = {
  protocol: 'tcp',
  from: { address: '198.18.0.2', port: 40_000 },
  to: { address: '203.0.113.10', port: 80 },
};

function sources(
  settings: string,
  states: object[] = [{}, {}, {}],
  more: Partial<ExplainSources> = {},
): ExplainSources {
  const { model, locate } = parseConfig(YAML(settings), 'director.yaml');
  const services = model.services.map((service) => ({
    ...service,
    servers: service.servers.map((server, i) => ({
      ...server,
      address: server.address.address,
      port: server.address.port,
      up: true,
      active: 0,
      inactive: 0,
      checks: [],
      ...states[i],
    })),
  })) as unknown as ServiceReport[];
  return {
    model,
    report: (index) => services[index],
    connection: null,
    workers: 1,
    locate: (service, server) =>
      locate(
        server === undefined ? ['services', service] : ['services', service, 'servers', server],
      ),
    entry: entryAt(locate),
    ...more,
  };
}

const connection = (more: Partial<ConnectionReport> = {}): ConnectionReport => ({
  worker: 0,
  protocol: 'tcp',
  client: '198.18.0.2',
  clientPort: 40_000,
  virtual: '203.0.113.10',
  virtualPort: 80,
  local: '198.51.100.200',
  localPort: 5_555,
  server: '198.51.100.12',
  serverPort: 8080,
  mode: 'fullnat',
  state: 'ESTABLISHED',
  serviceSlot: 0,
  serverSlot: 1,
  idleMs: 2_500,
  timeoutMs: 900_000,
  engine: null,
  engineData: '',
  service: 'web',
  ...more,
});

test('wlc: the least load is named, with its figures, and each server says what is against it', () => {
  const checks = [{ type: 'HTTP_GET', up: false, detail: 'status 503' }];
  const states = [{ active: 30 }, { active: 5 }, { active: 4, inactive: 1 }];
  const it = explain(FLOW, sources('    scheduler: wlc', states));
  assert.equal(it.choice, ['198.51.100.12:8080']);
  assert.equal(it.reasons, [
    'TCP 203.0.113.10:80 is service web',
    'wlc: 198.51.100.12:8080 has the least load, 1280 (active × 256 + inactive, by weight)',
  ]);
  assert.is(it.candidates[2]?.against, 'at its threshold: 5 connections of 5');
  assert.is(it.candidates[1]?.place, 'director.yaml:10:9');
  assert.is(
    it.rewrite,
    'FullNat: the source becomes 198.51.100.200, a free port, the destination 198.51.100.12:8080; ' +
      'the client’s address goes along as an option',
  );
  const ill = explain(FLOW, sources('', [{ weight: 0 }, { up: false, checks }, {}]));
  assert.equal(
    ill.candidates.map((one) => one.against),
    ['weight 0: it drains', 'down, HTTP_GET: status 503', undefined],
  );
  assert.equal(ill.choice, ['198.51.100.13:8080']);
});

test('a SYN proxy asks for a cookie first, where a server would take the connection', () => {
  const said = (states: object[]) => explain(FLOW, sources('    synProxy: true', states)).reasons;
  assert.is(
    said([{}, {}, {}])[1],
    'its SYN is answered by a cookie (synProxy): whoever returns it gets a server, as follows',
  );
  const down = { up: false };
  assert.is(
    said([down, down, down])[1],
    'no server takes new connections: ICMP port unreachable is the answer',
  );
});

test('IPv6: the service, and what each mode makes of a packet', () => {
  const six = (mode: string, more = '') => {
    const { model, locate } = parseConfig(
      YAML('')
        .replace('203.0.113.10:80', '"[2001:db8:f::10]:80"')
        .replace('mode: fullnat', `mode: ${mode}${more}`)
        .replace('198.51.100.1/24', '198.51.100.1/24, "2001:db8:2::1/64"')
        .replace(
          / {4}localAddresses.*\n/,
          mode === 'fullnat' ? '    localAddresses: ["2001:db8:2::200"]\n' : '',
        )
        .replaceAll(/address: 198\.51\.100\.(\d+):(\d+)/g, 'address: "[2001:db8:2::$1]:$2"'),
      'director.yaml',
    );
    const at = sources('');
    const before = at.report(0)!;
    const report = () => ({
      ...before,
      servers: model.services[0]!.servers.map((server, i) => ({
        ...before.servers[i]!,
        ...server.address,
        up: i === 0,
        mode: server.mode,
      })),
    });
    const flow: Flow = {
      protocol: more.includes('udp') ? 'udp' : 'tcp',
      from: { address: '2001:db8:c::2', port: 40_000 },
      to: { address: '2001:db8:f::10', port: 80 },
    };
    const text = formatExplanation(
      explain(flow, { ...at, model, report, locate: (service) => locate(['services', service]) }),
    );
    return text.split('\n').filter((line) => /is service|: the |: unchanged/.test(line));
  };
  assert.equal(six('nat'), [
    '  TCP [2001:db8:f::10]:80 is service web',
    'Masq: the destination becomes [2001:db8:2::11]:8080; the source stays [2001:db8:c::2]:40000',
  ]);
  assert.is(six('dr')[1], 'Route: unchanged, in a frame to the MAC address of 2001:db8:2::11');
  assert.is(six('tun')[1], 'Tunnel: unchanged inside an IPIP packet to 2001:db8:2::11');
  const fullnat =
    'FullNat: the source becomes 2001:db8:2::200, a free port, the destination [2001:db8:2::11]:8080';
  assert.is(six('fullnat')[1], `${fullnat}; the client’s address goes along as an option`);
  assert.is(six('fullnat', '\n    protocol: udp')[1], fullnat);
});

test('a persistent client keeps its server; one that is nobody’s yet is scheduled', () => {
  const settings = '    persistence: { timeout: 5m, netmask: 255.255.255.0 }\n    scheduler: rr';
  const template = connection({ state: 'NONE', client: '198.18.0.0', clientPort: 0, local: '' });
  const known = { template: { ...template, idleMs: 100_000, timeoutMs: 300_000 } };
  const kept = explain(FLOW, sources(settings, undefined, known));
  assert.equal(kept.choice, ['198.51.100.12:8080']);
  assert.is(
    kept.reasons[1],
    'persistent: its network (24 bits) keeps 198.51.100.12:8080 for 200 s more, or while it has connections',
  );
  const drains = explain(FLOW, sources(settings, [{}, { weight: 0 }, {}], known));
  assert.equal(drains.choice, ['198.51.100.12:8080']);
  const down = explain(FLOW, sources(settings, [{}, { up: false }, {}], known));
  assert.equal(down.choice, ['198.51.100.11:8080', '198.51.100.13:8080']);
  assert.match(down.reasons[1] ?? '', /198\.51\.100\.12:8080, which takes nobody now/);
  assert.match(explain(FLOW, sources(settings)).reasons[1] ?? '', /will keep the server/);
});

test('with several workers lc and wlc weigh apart, so nobody is promised', () => {
  const it = explain(FLOW, sources('    scheduler: lc', undefined, { workers: 2 }));
  assert.is(it.choice.length, 3);
  assert.match(it.reasons[1] ?? '', /each worker weighs its own share/);
});

test('a connection decides, whatever the scheduler would say now', () => {
  const states = [{}, { weight: 0 }, {}];
  const it = explain(FLOW, sources('', states, { connection: connection() }));
  assert.equal(it.choice, ['198.51.100.12:8080']);
  assert.match(
    it.reasons[1] ?? '',
    /^a connection is there: ESTABLISHED, on worker 0, last packet 2\.5 s ago, forgotten in 898 s/,
  );
  assert.is(it.reasons[2], '198.51.100.12:8080 takes no new ones: weight 0: it drains');
  assert.match(
    it.rewrite ?? '',
    /the source becomes 198\.51\.100\.200:5555, the destination 198\.51\.100\.12:8080/,
  );
});

test('a connection whose server is gone', () => {
  const gone = connection({ server: '198.51.100.77' });
  const dropped = explain(FLOW, sources('', undefined, { connection: gone }));
  assert.match(dropped.reasons[2] ?? '', /packets are dropped \(server_removed\)$/);
  const reset = explain(
    FLOW,
    sources('    onServerRemoved: reset', undefined, { connection: gone }),
  );
  assert.match(reset.reasons[2] ?? '', /the connection ends, the packet is a first one$/);
  assert.equal(reset.choice, []);
});

test('no server, no service, not our address', () => {
  const all = [{ up: false }, { up: false }, { weight: 0 }];
  const none = explain(FLOW, sources('', all));
  assert.equal(none.choice, []);
  assert.match(none.reasons[1] ?? '', /^no server takes new connections/);
  const port = { ...FLOW, to: { address: '203.0.113.10', port: 81 } };
  assert.equal(explain(port, sources('')).reasons, [
    'no service is TCP 203.0.113.10:81; the address has web (TCP 203.0.113.10:80)',
    'a reset is the answer, but for a SYN|ACK or a reset',
  ]);
  const elsewhere = { ...FLOW, to: { address: '203.0.113.99', port: 80 } };
  assert.match(explain(elsewhere, sources('')).reasons[0] ?? '', /the kernel gets the packet$/);
});

const wide = (text: string, more: Partial<ExplainSources> = {}): ExplainSources => {
  const { model, locate } = parseConfig(text, 'director.yaml');
  const services = model.services.map((service) => ({
    ...service,
    servers: service.servers.map((server) => ({
      ...server,
      ...server.address,
      up: true,
      active: 0,
      inactive: 0,
      checks: [],
    })),
  })) as unknown as ServiceReport[];
  const place = (index: number) => locate(['services', index]);
  const report = (index: number) => services[index];
  return {
    model,
    report,
    connection: null,
    workers: 1,
    locate: place,
    entry: entryAt(locate),
    ...more,
  };
};

const WIDE = `ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
marks:
  - { mark: 5, to: 203.0.113.10, protocol: tcp, ports: 8000-8010, port: front }
services:
  - { name: any, listen: 203.0.113.10:0, mode: nat, persistence: 5m, servers: [{ address: 198.51.100.11:0 }] }
  - { name: web, listen: 203.0.113.10:80, mode: nat, servers: [{ address: 198.51.100.12:8080 }] }
  - { name: ftp, listen: 203.0.113.11:21, mode: nat, persistence: 5m, servers: [{ address: 198.51.100.13:21 }] }
  - { name: mark, mark: 5, mode: nat, servers: [{ address: 198.51.100.14:0 }, { address: 198.51.100.15:9000 }] }
`;

test('services of more than a port: which it is, by what, and the port at its servers', () => {
  const at = (address: string, port: number) =>
    explain({ ...FLOW, to: { address, port } }, wide(WIDE));
  const told = ({ reasons, candidates }: ReturnType<typeof explain>) => [
    reasons[0],
    ...candidates.map(({ server }) => server),
  ];
  assert.equal(told(at('203.0.113.10', 80)), [
    'TCP 203.0.113.10:80 is service web',
    '198.51.100.12:8080',
  ]);
  assert.equal(told(at('203.0.113.10', 443)), [
    'TCP 203.0.113.10:443 is service any, for any port',
    '198.51.100.11:443',
  ]);
  assert.equal(told(at('203.0.113.11', 30_000)), [
    'TCP 203.0.113.11:30000 is service ftp, whose FTP data this may be',
    '198.51.100.13:30000',
  ]);
  assert.equal(told(at('203.0.113.10', 8_001)), [
    'TCP 203.0.113.10:8001 is service mark, by mark 5, if it comes by port front',
    '198.51.100.14:8001',
    '198.51.100.15:9000',
  ]);
  assert.match(at('203.0.113.11', 99).reasons[0] ?? '', /the address has ftp/);
});

test('the template of a service for any port is for all of them', () => {
  const template = connection({
    state: 'NONE',
    clientPort: 0,
    local: '',
    virtualPort: 0,
    server: '198.51.100.11',
    serverPort: 0,
    idleMs: 100_000,
    timeoutMs: 300_000,
  });
  const it = explain(
    { ...FLOW, to: { address: '203.0.113.10', port: 443 } },
    wide(WIDE, { template }),
  );
  assert.equal(it.choice, ['198.51.100.11:443']);
  assert.match(it.reasons[1] ?? '', /^persistent: the client keeps 198\.51\.100\.11:443 for 200 s/);
});

test('who is denied and who is allowed, by which entry, and where that stands', () => {
  const lists = '    clients: { allow: [198.18.0.0/15, 192.0.2.1], deny: [198.18.9.0/24] }';
  const of = (address: string, more: Partial<ExplainSources> = {}) =>
    explain({ ...FLOW, from: { address, port: 40_000 } }, sources(lists, undefined, more));
  const denied = of('198.18.9.9');
  assert.equal(denied.reasons, [
    'TCP 203.0.113.10:80 is service web',
    '198.18.9.9 is denied by 198.18.9.0/24 (director.yaml:7:58): its packets are dropped (denied)',
  ]);
  assert.equal([denied.choice, denied.rewrite], [[], undefined]);
  assert.is(
    of('192.0.2.2').reasons[1],
    '192.0.2.2 is none of the 2 entries that allow: its packets are dropped (denied)',
  );
  const allowed = of('198.18.0.2');
  assert.is(allowed.reasons[1], '198.18.0.2 is allowed by 198.18.0.0/15 (director.yaml:7:24)');
  assert.ok(allowed.choice.length > 0);
});

test('for people: a table with an arrow, and where it is configured', () => {
  const text = formatExplanation(
    explain(FLOW, sources('    scheduler: wlc', [{}, { active: 9 }, { active: 9 }])),
  );
  assert.is(
    text,
    `TCP 198.18.0.2:40000 → 203.0.113.10:80

  TCP 203.0.113.10:80 is service web
  wlc: 198.51.100.11:8080 has the least load, 0 (active × 256 + inactive, by weight)

   Server              Weight  Active  Inact  Configured at       Now
→  198.51.100.11:8080       3       0      0  director.yaml:9:9   takes new connections
   198.51.100.12:8080       1       9      0  director.yaml:10:9  takes new connections
   198.51.100.13:8080       1       9      0  director.yaml:11:9  at its threshold: 9 connections of 5

FullNat: the source becomes 198.51.100.200, a free port, the destination 198.51.100.11:8080; the client’s address goes along as an option

Service web: director.yaml:3:5`,
  );
});

test.run();
