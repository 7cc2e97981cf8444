// timeout: 120
// serial: worker lcores poll
/**
 * The live engine on an AF_PACKET port over veth, in a namespace of its own: the twin carries the
 * kernel's traffic, the netlink mirror follows its routing, and stop leaves nothing behind.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, type EngineEvent, type EngineOptions, native } from '../../src/native.js';
import { inside, ip, Peer, run, sleep, until } from './support/inside.js';
import { LIMITS, snapshot, udpService, wide } from './support/snapshots.js';

const TWIN = 'sltwin';
const VIP = '203.0.113.10';
const [OWN, FAR, SECOND] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
const REMOTE = '198.51.100.9';

interface Coded extends Error {
  code?: string;
}

function codeOf(body: () => unknown): string | undefined {
  try {
    body();
  } catch (error) {
    return (error as Coded).code;
  }
  return undefined;
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0');

const options = (changes: Partial<EngineOptions> = {}): EngineOptions => ({
  eal: { hugepages: false, memory: 256, workerCpus: [cpus().length - 1], pci: [] },
  ports: [
    {
      name: 'front',
      device: 'net_af_packet0,iface=f0',
      mtu: 1500,
      twin: TWIN,
      addresses: [`${OWN}/24`],
    },
  ],
  limits: LIMITS,
  idle: { afterUs: 500, sleepUs: 100 },
  mbufs: 16384,
  ...changes,
});

const service = (server: string, mode: 'nat' | 'dr' = 'dr') =>
  snapshot({ services: [udpService(VIP, 4000, server, mode)], owned: [wide(VIP)] });

if (inside(import.meta.url, 'the live engine in a namespace')) {
  ip('link set lo up');
  const peer = await Peer.wired('f0', 'c0');
  peer.run('ip', 'addr', 'add', `${FAR}/24`, 'dev', 'c0');
  peer.run('ip', 'route', 'add', `${VIP}/32`, 'dev', 'c0');
  process.on('exit', () => peer.end());

  const layout = native().counterLayout(1, 1, LIMITS);
  const events: EngineEvent[] = [];
  let engine: Engine;

  const counter = (name: string): number => {
    const group = layout.ends.names.includes(name) ? layout.ends : layout.extra;
    return Number(engine.counters()[group.offset + group.names.indexOf(name)]);
  };
  const neighbours = () => run('ip', 'neigh', 'show', 'dev', TWIN);
  const ask = (count: number, port = 4000) => {
    for (let i = 0; i < count; i++) {
      peer.try('bash', '-c', `echo x > /dev/udp/${VIP}/${port}`);
    }
  };
  /** Destination MACs of the frames with the service's port that the peer gets while `body` runs. */
  const destinations = async (body: () => void): Promise<string[]> => {
    const filter = ['udp', 'dst', 'port', '4000', 'and', 'not', 'ether', 'src', macOfPeer];
    const dump = peer.start('tcpdump', '-i', 'c0', '-nel', '--immediate-mode', ...filter);
    let output = '';
    dump.stdout?.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    await sleep(700);
    body();
    await sleep(500);
    dump.kill();
    return [...output.matchAll(/> ([0-9a-f:]{17}), ethertype/g)].map((match) => match[1]!);
  };
  const macOfPeer = /ether ([0-9a-f:]{17})/.exec(peer.run('ip', 'link', 'show', 'c0'))![1]!;

  test('an interface that is not there, a device that is none: coded, and a start is possible', () => {
    const port = options().ports[0]!;
    const start = (device: string) =>
      codeOf(() => native().startEngine(options({ ports: [{ ...port, device }] }), () => {}));
    assert.is(start('net_af_packet0,iface=nosuch'), 'ERR_NATIVE_PORT_INTERFACE');
    assert.is(start('net_af_packet0'), 'ERR_NATIVE_PORT_DEVICE');
    assert.is(start('net_nosuch0'), 'ERR_NATIVE_PORT_DEVICE');
    const twice = ['a', 'b'].map((name) => ({ name, device: 'net_null0,no-rx=1', mtu: 1500 }));
    assert.is(
      codeOf(() => native().startEngine(options({ ports: twice }), () => {})),
      'ERR_NATIVE_PORT_DUPLICATE',
    );
    // The kernel's name for the other end is taken.
    assert.is(
      codeOf(() => native().startEngine(options({ ports: [{ ...port, twin: 'f0' }] }), () => {})),
      'ERR_NATIVE_TWIN',
    );
    assert.is(
      codeOf(() =>
        native().startEngine(options({ ports: [{ ...port, addresses: ['x/24'] }] }), () => {}),
      ),
      'ERR_NATIVE_TWIN',
    );
  });

  test('DPDK, once started, is not started with other options', () => {
    const eal = { ...options().eal, memory: 300 };
    assert.is(
      codeOf(() => native().startEngine(options({ eal }), () => {})),
      'ERR_NATIVE_EAL_STARTED',
    );
  });

  test('it starts: the port is up and the twin has its MAC, MTU and address', () => {
    engine = native().startEngine(options(), (event) => {
      events.push(event);
      throw new Error('a handler that throws');
    });
    const [port] = engine.ports();
    assert.is(port!.name, 'front');
    assert.is(port!.up, true);
    assert.is(port!.twin, TWIN);
    const link = run('ip', 'link', 'show', TWIN);
    assert.match(link, new RegExp(`link/ether ${port!.mac}`));
    assert.match(link, /mtu 1500/);
    assert.match(run('ip', '-4', 'addr', 'show', TWIN), new RegExp(`inet ${OWN}/24`));
  });

  test('a second engine is refused while one runs', () => {
    assert.is(
      codeOf(() => native().startEngine(options(), () => {})),
      'ERR_NATIVE_EAL_STARTED',
    );
  });

  test("the event loop's thread may still use every core", () => {
    const allowed = run('taskset', '-cp', String(process.pid)).trim();
    assert.match(allowed, cpus().length > 1 ? /[-,]/ : /: 0$/);
  });

  test("ping to the twin's address goes through the port, once each", () => {
    const { status, output } = peer.try('ping', '-c', '5', '-i', '0.05', '-w', '5', OWN);
    assert.is(status, 0, output);
    assert.match(output, / 5 received/, output);
    assert.not.match(output, /DUP/);
    assert.ok(counter('punted_not_ours') >= 5);
    assert.ok(counter('punted_arp') >= 1);
  });

  test('large pings and the way out: the kernel reaches the peer through the twin', () => {
    const output = run('ping', '-c', '3', '-i', '0.05', '-w', '5', '-s', '4000', '-I', TWIN, FAR);
    assert.match(output, /3 received/);
  });

  test('a VIP is answered by the dataplane as soon as it is published', () => {
    assert.is(peer.try('ping', '-c', '1', '-W', '1', VIP).status, 1);
    peer.try('ip', 'neigh', 'flush', 'dev', 'c0');
    engine.publish(service(FAR));
    const { status, output } = peer.try('ping', '-c', '3', '-i', '0.05', '-w', '5', VIP);
    assert.is(status, 0, output);
    assert.ok(counter('answered_echo') >= 3);
    assert.ok(counter('answered_arp') >= 1);
  });

  test("a real server's MAC is asked for before the first packet needs it", async () => {
    peer.run('ip', 'addr', 'add', `${SECOND}/24`, 'dev', 'c0');
    engine.publish(service(SECOND));
    await until('the kernel knows the server', () =>
      new RegExp(`${SECOND} lladdr ${macOfPeer}`).test(neighbours()),
    );
    await sleep(50);
    const before = counter('no_neighbour');
    const seen = await destinations(() => ask(3));
    assert.equal(seen, [macOfPeer, macOfPeer, macOfPeer]);
    assert.is(counter('no_neighbour'), before);
  });

  test('a neighbour that changes its MAC is followed, one that goes is asked for', async () => {
    const other = '02:00:00:00:00:77';
    ip(`neigh replace ${SECOND} lladdr ${other} dev ${TWIN} nud permanent`);
    await sleep(50);
    assert.equal(await destinations(() => ask(2)), [other, other]);
    ip(`neigh del ${SECOND} dev ${TWIN}`);
    await until('the kernel knows the server again', () =>
      new RegExp(`${SECOND} lladdr ${macOfPeer}`).test(neighbours()),
    );
    await sleep(50);
    assert.equal(await destinations(() => ask(1)), [macOfPeer]);
  });

  test('routes of the kernel are followed: none, one, a better one, none', async () => {
    engine.publish(service(REMOTE));
    await sleep(50);
    let before = counter('no_route');
    ask(2);
    await until('dropped without a route', () => counter('no_route') === before + 2);

    ip(`route add 198.51.100.0/24 via ${FAR} dev ${TWIN} metric 50`);
    await sleep(50);
    assert.equal(await destinations(() => ask(2)), [macOfPeer, macOfPeer]);

    const gateway = '02:00:00:00:00:99';
    ip(
      `neigh replace 192.0.2.77 lladdr ${gateway} dev ${TWIN} nud permanent`,
      `route add 198.51.100.0/24 via 192.0.2.77 dev ${TWIN} metric 10`,
    );
    await sleep(50);
    assert.equal(await destinations(() => ask(1)), [gateway]);

    ip('route del 198.51.100.0/24 metric 10', 'route del 198.51.100.0/24 metric 50');
    await sleep(50);
    before = counter('no_route');
    ask(1);
    await until('dropped without a route', () => counter('no_route') === before + 1);
  });

  test('routes that leave with their interface leave the dataplane too', async () => {
    ip(`route add 198.51.100.0/24 via ${FAR} dev ${TWIN}`);
    await sleep(50);
    assert.equal(await destinations(() => ask(1)), [macOfPeer]);
    ip(`link set ${TWIN} down`);
    await sleep(100);
    const before = counter('no_route');
    ask(1);
    await until('dropped without a route', () => counter('no_route') === before + 1);
    ip(`link set ${TWIN} up`);
    await until('the address and its route are back', () => {
      return peer.try('ping', '-c', '1', '-W', '1', OWN).status === 0;
    });
  });

  test('a static neighbour and route of the snapshot win over the kernel', async () => {
    const fixed = '02:00:00:00:00:55';
    ip(`route replace 198.51.100.0/24 via ${FAR} dev ${TWIN}`);
    const mac = Uint8Array.from(fixed.split(':').map((byte) => Number.parseInt(byte, 16)));
    engine.publish(
      snapshot({
        services: [udpService(VIP, 4000, REMOTE, 'dr')],
        owned: [wide(VIP)],
        routes: [{ address: wide('198.51.100.0'), length: 24, via: wide('192.0.2.55'), port: 0 }],
        neighbours: [{ address: wide('192.0.2.55'), mac, port: 0 }],
      }),
    );
    await sleep(50);
    assert.equal(await destinations(() => ask(1)), [fixed]);
  });

  test('thousands of kernel changes and publications pass while packets flow', async () => {
    const lines: string[] = [];
    for (let i = 0; i < 4000; i++) {
      const mac = `02:00:00:01:${hex(i >> 8)}:${hex(i & 255)}`;
      lines.push(`neigh replace 192.0.2.200 lladdr ${mac} dev ${TWIN} nud permanent`);
      if (i % 8 === 0) lines.push(`route replace 198.51.100.${i % 250}/32 via ${FAR} dev ${TWIN}`);
    }
    const before = counter('received');
    const flood = peer.start('ping', '-q', '-i', '0.002', '-c', '500', VIP);
    const ended = new Promise((done) => flood.on('exit', done));
    for (let i = 0; i < 50; i++) {
      ip(...lines.slice(i * 90, (i + 1) * 90));
      engine.publish(service(i % 2 ? FAR : SECOND));
      await sleep(5);
    }
    assert.is(await ended, 0);
    assert.ok(counter('received') >= before + 500);
    engine.publish(service('192.0.2.200'));
    await until('the last MAC is in force', () => /02:00:00:01:0f:9f/.test(neighbours()));
    // On a machine that was busy with all this, a first packet may come before its consequences.
    let seen: string[] = [];
    for (let tries = 0; tries < 5 && seen[0] !== '02:00:00:01:0f:9f'; tries++) {
      seen = await destinations(() => ask(1));
    }
    assert.equal(seen, ['02:00:00:01:0f:9f']);
  });

  test('more notifications than the kernel keeps: everything is read anew', async () => {
    const batch = join(tmpdir(), `sluice-neigh-${process.pid}`);
    const mac = (i: number) => `02:00:00:02:${hex(i >> 8)}:${hex(i & 255)}`;
    const line = (i: number) =>
      `neigh replace 192.0.2.200 lladdr ${mac(i)} dev ${TWIN} nud permanent`;
    writeFileSync(batch, Array.from({ length: 20_000 }, (_, i) => line(i)).join('\n'));
    const { pid } = process;
    // Nobody reads meanwhile: every thread of this process is stopped.
    run('bash', '-c', `kill -STOP ${pid}; ip -batch ${batch}; kill -CONT ${pid}`);
    rmSync(batch);
    await until('the overrun is noticed', () =>
      events.some(({ message }) => message.includes('overran')),
    );
    await sleep(50);
    assert.equal(await destinations(() => ask(1)), [mac(19_999)]);
  });

  test('connections are listed page by page from the running worker', async () => {
    const first = await engine.connections(0, 0, 2);
    assert.is(first.records.length, 2 * 96);
    assert.ok(first.cursor > 0);
    let listed = 2;
    for (let { cursor } = first; cursor !== 0; ) {
      const page = await engine.connections(0, cursor, 2);
      listed += page.records.length / 96;
      cursor = page.cursor;
    }
    assert.is(listed, counter('connections'));
  });

  test('every frame received has ended somewhere', async () => {
    await sleep(100);
    const words = engine.counters();
    const { offset, names } = layout.ends;
    const ends = words.slice(offset, offset + names.length).reduce((a, b) => a + b, 0n);
    assert.is(Number(ends), counter('received'));
    assert.is(counter('received'), Number(words[layout.ports.offset]));
  });

  test('the live view shows the counters as they move', async () => {
    const require = createRequire(import.meta.url);
    const { view } = require('bindings')('sluice_live') as {
      view(address: bigint, bytes: number): SharedArrayBuffer;
    };
    const { address, bytes } = engine.countersLocation();
    const live = new BigUint64Array(view(address, bytes));
    assert.is(live.length, layout.words);
    const loops = layout.extra.offset + layout.extra.names.indexOf('loops');
    const before = Atomics.load(live, loops);
    await sleep(20);
    assert.ok(Atomics.load(live, loops) > before);
    assert.is(
      codeOf(() => view(0n, 8)),
      'ERR_NATIVE_ARGUMENT',
    );
    assert.is(
      codeOf(() => view(address, -1)),
      'ERR_NATIVE_ARGUMENT',
    );
  });

  test('a link that goes down and up is told; a handler that throws stops nothing', async () => {
    const warnings: string[] = [];
    process.on('warning', (warning) => warnings.push(warning.message));
    peer.run('ip', 'link', 'set', 'c0', 'down');
    const links = () => events.filter(({ type }) => type === 'link').map(({ message }) => message);
    await until('the link is down', () => links().includes("port 'front' is down"));
    assert.is(engine.ports()[0]!.up, false);
    peer.run('ip', 'link', 'set', 'c0', 'up');
    peer.run('ip', 'route', 'add', `${VIP}/32`, 'dev', 'c0');
    await until('the link is up', () => links().includes("port 'front' is up"));
    assert.ok(warnings.some((message) => message.includes('a handler that throws')));
    const lines = events.filter(({ code }) => code === 'ERR_NO_ROUTE');
    assert.ok(lines.length >= 1 && lines.length < 5, 'logged once a while');
    assert.is(lines[0]!.serviceSlot, 2);
    assert.is(peer.try('ping', '-c', '1', '-W', '2', OWN).status, 0);
  });

  test('the worker keeps turning', () => {
    const [lag] = engine.workerLag();
    assert.ok(lag! < 100_000, `${lag} µs since the last turn`);
  });

  test('a twin that someone deletes is missed, and the dataplane goes on', async () => {
    ip(`link del ${TWIN}`);
    await until('its loss is told', () => events.some(({ code }) => code === 'ERR_TWIN_GONE'));
    assert.is(peer.try('ping', '-c', '1', '-W', '1', OWN).status, 1);
    const { status } = peer.try('ping', '-c', '3', '-i', '0.05', '-w', '5', VIP);
    assert.is(status, 0);
  });

  test('stop leaves no twin, no filter and no thread, and says so afterwards', async () => {
    const pending = engine.connections(0, 0, 10).then(
      () => 'answered',
      (error: Coded) => error.code,
    );
    engine.stop();
    engine.stop();
    assert.ok(['answered', 'ERR_NATIVE_STOPPED'].includes((await pending) as string));
    assert.is(
      codeOf(() => engine.counters()),
      'ERR_NATIVE_STOPPED',
    );
    assert.is(
      codeOf(() => engine.publish(service(FAR))),
      'ERR_NATIVE_STOPPED',
    );
    assert.is(run('ip', '-o', 'link').match(new RegExp(TWIN)), null);
    assert.not.match(run('tc', 'qdisc', 'show', 'dev', 'f0'), /clsact/);
    const names = readdirSync('/proc/self/task').map((task) => {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim();
    });
    assert.not.ok(names.includes('sluice-slow'));
  });

  test('with equal options it can start again, and be stopped by the end of the process', () => {
    engine = native().startEngine(options(), () => {});
    assert.is(engine.ports()[0]!.up, true);
    assert.match(run('ip', '-o', 'link'), new RegExp(TWIN));
  });
}

test.run();
