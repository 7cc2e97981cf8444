/**
 * Services for more than an address and a port: for any port of an address, for FTP with the data
 * connections that follow it, and for marks. From the configuration to the wire.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dissect } from '../support/dissect.js';
import * as p from '../support/packet.js';
import * as q from '../support/packet6.js';
import { type Arriving, Bench, type BenchOptions } from '../support/replay.js';
import { CREWS, fromBack, fromFront, nameOf } from '../support/table.js';
import { ROUTER_MAC, serverAddress, TWO_FAMILIES } from '../support/world.js';
import { yamlWorld } from '../support/yaml.js';

const VIP = '203.0.113.10';
const OTHER_VIP = '203.0.113.11';
const LIP = '198.51.100.200';
const VIP6 = '2001:db8:1::10';

const yaml = (services: string, marks = '') => `
director: { hugepages: false }
${TWO_FAMILIES}
${marks === '' ? '' : `marks:\n${marks}`}
services:
${services}
`;

const servers = (port: number) =>
  `    servers: [${[1, 2, 3].map((n) => `{ address: "${serverAddress(n)}:${port}" }`).join(', ')}]`;

const service = (name: string, what: string, port = 0, mode = 'nat') =>
  `  - name: ${name}
    mode: ${mode}
    scheduler: rr
    ${what}
${servers(port)}`;

const benchOf = (services: string, options: BenchOptions = {}) =>
  new Bench(yamlWorld(yaml(services)), options);

const client = (n: number, port = 40_000) => `198.18.0.${n}:${port}`;
const syn = (from: string, to: string) => fromFront(p.tcp({ from, to, flags: 'S' }));
const query = (from: string, to: string) => fromFront(p.udp({ from, to }));

let clock = 0;

/** Where a packet went: `A:443`, server and port; else its end. */
function go(bench: Bench, frame: Arriving): string {
  clock += 1;
  const [step] = bench.run([frame], clock);
  if (step?.server === undefined || step.kind !== 'forwarded') return step?.end ?? 'nowhere';
  const { ip } = dissect(step.outputs[0]!.bytes);
  const port = (ip?.tcp ?? ip?.udp)?.dport;
  return `${String.fromCharCode(65 + step.server)}:${port}`;
}

const listed = (bench: Bench) =>
  bench
    .connections()
    .map(
      (one) => `${one.protocol} ${one.virtual}:${one.virtualPort} ${one.server}:${one.serverPort}`,
    )
    .sort();
const templates = (bench: Bench) =>
  bench
    .connections()
    .filter(({ state }) => state === 'NONE')
    .map(
      (one) =>
        `${one.protocol} ${one.client}:${one.clientPort} ${one.virtual}:${one.virtualPort} ` +
        `${one.server}:${one.serverPort}`,
    );

const ANY = service('any', `listen: "${VIP}:0"\n    persistence: 5m`);

/** Each with any number of workers. */
function each(it: string, run: (crew: BenchOptions) => void): void {
  test(it, () => {
    for (const crew of CREWS) {
      try {
        run(crew);
      } catch (error) {
        throw new Error(`${nameOf(crew)}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

each('any port: a client has one server for all its ports, and each keeps its number', (crew) => {
  const bench = benchOf(ANY, crew);
  const [first] = go(bench, syn(client(1), `${VIP}:80`));
  assert.is(go(bench, syn(client(1, 40_001), `${VIP}:443`)), `${first}:443`);
  assert.is(go(bench, syn(client(1, 40_002), `${VIP}:22`)), `${first}:22`);
  const second = go(bench, syn(client(2), `${VIP}:65535`));
  if (crew.workers === 1) assert.is.not(second[0], first, 'another client has another');
  const server = serverAddress(first!.charCodeAt(0) - 64);
  assert.equal(
    templates(bench).filter((one) => one.includes('198.18.0.1:')),
    [`tcp 198.18.0.1:0 ${VIP}:0 ${server}:0`],
  );
  // The reply, from the port that the client asked for.
  const reply = fromBack(p.tcp({ from: `${server}:443`, to: client(1, 40_001), flags: 'SA' }));
  const [step] = bench.run([reply], ++clock);
  assert.is(step?.end, 'forwarded_nat_reply');
  const { ip } = dissect(step!.outputs[0]!.bytes);
  assert.is(`${ip?.src}:${ip?.tcp?.sport}`, `${VIP}:443`);
  assert.equal(bench.invariants(), []);
  bench.close();
});

each('any port: a service of the port itself comes first, other protocols are not its', (crew) => {
  const web = `  - { name: web, listen: "${VIP}:80", mode: nat, servers: [{ address: "${serverAddress(3)}:8080" }] }`;
  const bench = benchOf(`${ANY}\n${web}`, crew);
  assert.match(go(bench, syn(client(1), `${VIP}:80`)), /:8080$/);
  assert.match(go(bench, syn(client(1), `${VIP}:81`)), /:81$/);
  assert.is(go(bench, query(client(1), `${VIP}:81`)), 'answered_port_unreachable');
  assert.is(go(bench, syn(client(1), `${OTHER_VIP}:81`)), 'punted_not_ours');
  bench.close();
});

each(
  'any port: echo and ARP are the director’s, what belongs to no connection is reset',
  (crew) => {
    const bench = benchOf(ANY, crew);
    assert.is(go(bench, fromFront(p.echo({ from: '198.18.0.1', to: VIP }))), 'answered_echo');
    const asked = p.arp({
      op: 1,
      sender: '192.0.2.254',
      target: VIP,
      senderMac: ROUTER_MAC,
    });
    assert.is(go(bench, fromFront(asked)), 'answered_arp');
    const stray = (flags: string) => fromFront(p.tcp({ from: client(1), to: `${VIP}:90`, flags }));
    assert.is(go(bench, stray('A')), 'answered_reset');
    assert.is(go(bench, stray('R')), 'reset_without_connection');
    bench.close();
  },
);

for (const mode of ['dr', 'tun', 'fullnat'] as const) {
  each(`any port, ${mode}: the packet's port goes to the server`, (crew) => {
    const lips = mode === 'fullnat' ? `\n    localAddresses: [${LIP}]` : '';
    const what = `listen: "${VIP}:0"\n    persistence: 5m${lips}`;
    const bench = benchOf(service('any', what, 0, mode), crew);
    const to = [80, 443, 5_000];
    for (const port of to) {
      const got = go(bench, syn(client(1, 40_000 + port), `${VIP}:${port}`));
      assert.match(got, mode === 'tun' ? /^[ABC]:/ : new RegExp(`^[ABC]:${port}$`));
    }
    const made = bench.connections().filter(({ state }) => state !== 'NONE');
    assert.equal(
      made.map(({ serverPort }) => serverPort).sort((a, b) => a - b),
      to,
    );
    assert.is(new Set(made.map(({ server }) => server)).size, 1);
    if (mode === 'fullnat') {
      const replies = made.map((one) =>
        fromBack(
          p.tcp({
            from: `${one.server}:${one.serverPort}`,
            to: `${one.local}:${one.localPort}`,
            flags: 'SA',
          }),
        ),
      );
      const ends = bench.run(replies, ++clock).map(({ end }) => end);
      assert.equal([...new Set(ends)], ['forwarded_fullnat_reply']);
    }
    assert.equal(bench.invariants(), []);
    bench.close();
  });
}

each('FTP with persistence: data connections follow the client’s control connection', (crew) => {
  const bench = benchOf(service('ftp', `listen: "${VIP}:21"\n    persistence: 5m`, 21), crew);
  const [first] = go(bench, syn(client(1), `${VIP}:21`));
  assert.is(go(bench, syn(client(1, 40_001), `${VIP}:30000`)), `${first}:30000`, 'passive');
  assert.is(go(bench, syn(client(1, 40_002), `${VIP}:20`)), `${first}:20`);
  assert.is(go(bench, syn(client(1, 40_003), `${VIP}:1023`)), 'answered_reset', 'no data port');
  assert.is(go(bench, query(client(1), `${VIP}:30000`)), 'answered_port_unreachable');
  assert.match(templates(bench).join(), new RegExp(`^tcp 198.18.0.1:0 ${VIP}:0 [0-9.]+:0$`));
  bench.close();
  const loose = benchOf(service('ftp', `listen: "${VIP}:21"`, 21), crew);
  assert.is(go(loose, syn(client(1), `${VIP}:30000`)), 'answered_reset', 'without persistence');
  loose.close();
});

const WEB_MARKS = `
  - { mark: 1, to: ${VIP}, protocol: tcp, ports: [80, 443] }
  - { mark: 1, to: ${OTHER_VIP}, protocol: tcp, ports: 8000-8010 }`;

each(
  'a mark: several addresses and ports are one service, with one server for a client',
  (crew) => {
    const text = yaml(service('web', 'mark: 1\n    persistence: 5m'), WEB_MARKS);
    const bench = new Bench(yamlWorld(text), crew);
    const [first] = go(bench, syn(client(1), `${VIP}:80`));
    assert.is(go(bench, syn(client(1, 40_001), `${VIP}:443`)), `${first}:443`);
    assert.is(go(bench, syn(client(1, 40_002), `${OTHER_VIP}:8000`)), `${first}:8000`);
    assert.is(go(bench, syn(client(1, 40_003), `${OTHER_VIP}:8010`)), `${first}:8010`);
    assert.is(go(bench, syn(client(1), `${VIP}:81`)), 'answered_reset', 'another port');
    assert.is(go(bench, syn(client(1), `${OTHER_VIP}:8011`)), 'answered_reset');
    assert.is(go(bench, query(client(1), `${VIP}:80`)), 'answered_port_unreachable');
    const server = serverAddress(first!.charCodeAt(0) - 64);
    assert.equal(templates(bench), [`ip 198.18.0.1:0 0.0.0.1:0 ${server}:0`]);
    const asked = p.arp({
      op: 1,
      sender: '192.0.2.254',
      target: OTHER_VIP,
      senderMac: ROUTER_MAC,
    });
    assert.is(go(bench, fromFront(asked)), 'answered_arp');
    const reply = fromBack(p.tcp({ from: `${server}:8000`, to: client(1, 40_002), flags: 'SA' }));
    const [step] = bench.run([reply], ++clock);
    const { ip } = dissect(step!.outputs[0]!.bytes);
    assert.is(`${ip?.src}:${ip?.tcp?.sport}`, `${OTHER_VIP}:8000`);
    assert.equal(bench.invariants(), []);
    bench.close();
  },
);

each('a mark without persistence: servers in turn, at their own port if they have one', (crew) => {
  const text = yaml(service('web', 'mark: 1', 8080), WEB_MARKS);
  const bench = new Bench(yamlWorld(text), crew);
  const got = [1, 2, 3].map((n) => go(bench, syn(client(n), `${VIP}:${n === 2 ? 443 : 80}`)));
  if (crew.workers === 1) assert.equal(got, ['C:8080', 'B:8080', 'A:8080']);
  assert.ok(got.every((one) => one.endsWith(':8080')));
  bench.close();
  const own = new Bench(yamlWorld(yaml(service('web', 'mark: 1'), WEB_MARKS)), crew);
  assert.match(go(own, syn(client(1), `${VIP}:443`)), /:443$/);
  own.close();
});

test('marks: the first rule that fits counts, and a mark comes before an address and port', () => {
  const text = yaml(
    [
      service('one', 'mark: 1', 1001),
      service('two', 'mark: 2', 1002),
      service('four', 'mark: 4', 1004),
      service('exact', `listen: "${VIP}:80"`, 1080),
    ].join('\n'),
    `
  - { mark: 1, to: ${VIP}, protocol: tcp, ports: 80, from: 198.18.0.0/25 }
  - { mark: 3, to: ${VIP}, ports: 80, from: 198.18.0.128/26 }
  - { mark: 4, to: ${VIP}, protocol: tcp, ports: 80, port: back }
  - { mark: 2, to: 203.0.113.0/24, protocol: udp }
  - { mark: 1, to: ${VIP} }`,
  );
  const bench = new Bench(yamlWorld(text));
  const port = (frame: Arriving) => go(bench, frame).replace(/^[A-Z]+:/, '');
  assert.is(port(syn(client(5), `${VIP}:80`)), '1001', 'by source');
  assert.is(port(syn(client(130), `${VIP}:80`)), '1080', 'a mark that no service has');
  assert.is(port(query(client(5), `${VIP}:80`)), '1002', 'the network’s rule comes before');
  assert.is(port(syn(client(250), `${VIP}:80`)), '1001', 'the last rule');
  assert.is(port(syn(client(250), `${VIP}:81`)), '1001');
  assert.is(port(fromBack(p.tcp({ from: client(251), to: `${VIP}:80`, flags: 'S' }))), '1004');
  bench.close();
});

each(
  'a mark for a network: routed here, not answered for; the director’s own are spared',
  (crew) => {
    const marks = '\n  - { mark: 7, to: 0.0.0.0/0, protocol: tcp, ports: 80 }';
    const text = yaml(service('cache', 'mark: 7\n    persistence: 5m'), marks);
    const bench = new Bench(yamlWorld(text), crew);
    const [first] = go(bench, syn(client(1), '192.0.2.99:80'));
    assert.is(go(bench, syn(client(1, 40_001), '198.18.7.7:80')), `${first}:80`);
    assert.is(go(bench, syn(client(1), '198.18.7.7:81')), 'punted_not_ours');
    assert.is(go(bench, syn(client(1), '192.0.2.1:80')), 'punted_not_ours', 'the director’s own');
    assert.is(
      go(bench, fromFront(p.tcp({ from: client(9), to: '198.18.7.7:80', flags: 'A' }))),
      'punted_not_ours',
      'a connection from before',
    );
    const asked = p.arp({
      op: 1,
      sender: '192.0.2.254',
      target: '192.0.2.99',
      senderMac: ROUTER_MAC,
    });
    assert.is(go(bench, fromFront(asked)), 'punted_arp');
    const server = serverAddress(first!.charCodeAt(0) - 64);
    const reply = fromBack(p.tcp({ from: `${server}:80`, to: client(1, 40_001), flags: 'SA' }));
    const [step] = bench.run([reply], ++clock);
    assert.is(step?.end, 'forwarded_nat_reply');
    const { ip } = dissect(step!.outputs[0]!.bytes);
    assert.is(`${ip?.src}:${ip?.tcp?.sport}`, '198.18.7.7:80');
    assert.equal(bench.invariants(), []);
    bench.close();
  },
);

test('lblc for a mark: each destination has its own server', () => {
  const marks = '\n  - { mark: 7, to: 203.0.113.0/24, protocol: tcp, ports: 80 }';
  const text = yaml(service('cache', 'mark: 7', 0, 'dr').replace('rr', 'lblc'), marks);
  const bench = new Bench(yamlWorld(text));
  const visit = (host: number, from: number) =>
    go(bench, syn(client(from, 1_000 + clock), `203.0.113.${host}:80`))[0];
  const homes = Array.from({ length: 9 }, (_, host) => visit(host + 1, 1));
  assert.equal(
    [...new Set(homes)].map((home) => homes.filter((one) => one === home).length),
    [3, 3, 3],
    'spread by load',
  );
  // Overburdened, all of them: nobody has room, so everybody stays.
  for (let host = 0; host < 9; host++) assert.is(visit(host + 1, 2), homes[host]);
  bench.close();
});

test('IPv6 marks: of their own family, whatever the number', () => {
  const six = [1, 2].map((n) => `{ address: "[2001:db8:2::${10 + n}]:0" }`).join(', ');
  const text = yaml(
    `${service('four', 'mark: 1')}
  - { name: six, mark: 1, mode: nat, scheduler: rr, servers: [${six}] }`,
    `${WEB_MARKS}\n  - { mark: 1, to: "${VIP6}", protocol: tcp, ports: 443 }`,
  );
  const bench = new Bench(yamlWorld(text));
  const syn6 = (to: string) => fromFront(q.tcp6({ from: '[2001:db8:9::1]:4000', to, flags: 'S' }));
  const [forwarded] = bench.run([syn6(`[${VIP6}]:443`)], ++clock);
  assert.is(forwarded?.end, 'forwarded_nat');
  assert.is(bench.run([syn6(`[${VIP6}]:80`)], ++clock)[0]?.end, 'answered_reset');
  assert.match(go(bench, syn(client(1), `${VIP}:443`)), /^[ABC]:443$/);
  assert.ok(listed(bench).some((one) => one === `tcp ${VIP6}:443 2001:db8:2::12:443`));
  bench.close();
});

test.run();
