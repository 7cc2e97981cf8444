// timeout: 180
// serial: worker lcores poll
/**
 * The live engine's other devices and ends: several workers, several ports, devices without an
 * interface, AF_XDP, a process that is killed or just ends.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Engine, type EngineOptions, native, type PortOptions } from '../../src/native.js';
import { skip } from '../support/skip.js';
import { inside, Peer, run, until } from './support/inside.js';
import { LIMITS, snapshot, udpService, wide } from './support/snapshots.js';

const VIP = '203.0.113.10';
const CPUS = cpus().length > 1 ? [0, 1] : [0];

interface Coded extends Error {
  code?: string;
}

const options = (ports: PortOptions[], changes: object = {}): EngineOptions => ({
  eal: { hugepages: false, memory: 256, workerCpus: CPUS, pci: [] },
  ports,
  limits: LIMITS,
  idle: { afterUs: 500, sleepUs: 100 },
  mbufs: 4096,
  ...changes,
});
const macBytes = (mac: string) =>
  Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16)));
const packetPort = (n: number): PortOptions => ({
  name: `p${n}`,
  device: `net_af_packet${n},iface=f${n}`,
  mtu: 1500,
  twin: `sltw${n}`,
  addresses: [`192.0.2.${1 + 64 * n}/26`],
});

if (inside(import.meta.url, 'the live engine on several devices')) {
  run('ip', 'link', 'set', 'lo', 'up');
  const peers: Peer[] = [];
  for (const n of [0, 1]) {
    const peer = await Peer.wired(`f${n}`, 'c0');
    peer.run('ip', 'addr', 'add', `192.0.2.${2 + 64 * n}/26`, 'dev', 'c0');
    peers.push(peer);
  }
  process.on('exit', () => {
    for (const peer of peers) peer.end();
  });

  const using = async (ports: PortOptions[], body: (engine: Engine) => Promise<void>) => {
    const engine = native().startEngine(options(ports), () => {});
    try {
      await body(engine);
    } finally {
      engine.stop();
    }
  };
  const sum = (engine: Engine, ports: number, name: string): number[] => {
    const layout = native().counterLayout(CPUS.length, ports, LIMITS);
    const group = layout.ends.names.includes(name) ? layout.ends : layout.extra;
    const words = engine.counters();
    return CPUS.map((_, worker) =>
      Number(words[worker * layout.words + group.offset + group.names.indexOf(name)]),
    );
  };
  const total = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

  test('hugepages that are not there: coded, with what is missing and what to do', () => {
    const eal = { ...options([]).eal, hugepages: true, memory: 1 << 20 };
    try {
      native().startEngine(options([packetPort(0)], { eal }), () => {});
      assert.unreachable();
    } catch (error) {
      assert.is((error as Coded).code, 'ERR_NATIVE_HUGEPAGES');
      assert.match((error as Error).message, /1048576 MiB .*nr_hugepages/);
    }
  });

  test('a worker on a CPU that this process may not use', () => {
    const eal = { ...options([]).eal, workerCpus: [1000] };
    try {
      native().startEngine(options([packetPort(0)], { eal }), () => {});
      assert.unreachable();
    } catch (error) {
      assert.is((error as Coded).code, 'ERR_NATIVE_EAL');
      assert.match((error as Error).message, /CPU 1000/);
    }
  });

  test('two ports, two workers: each twin answers on its own port, nothing is lost', async () => {
    await using([packetPort(0), packetPort(1)], async (engine) => {
      for (const [n, peer] of peers.entries()) {
        const own = `192.0.2.${1 + 64 * n}`;
        const { status, output } = peer.try('ping', '-c', '5', '-i', '0.05', '-w', '5', own);
        assert.is(status, 0, output);
        assert.not.match(output, /DUP/);
        // Datagrams larger than a ring's frame arrive in their fragments.
        const large = peer.try('ping', '-c', '2', '-i', '0.1', '-w', '5', '-s', '5000', own);
        assert.is(large.status, 0, large.output);
      }
      assert.equal(
        engine.ports().map(({ up }) => up),
        [true, true],
      );
      assert.is(total(sum(engine, 2, 'bad_ip_length')), 0);
    });
  });

  test('without packets the workers sleep until a frame comes, not by the clock', async () => {
    await using([packetPort(0)], async (engine) => {
      const second = () => new Promise((done) => setTimeout(done, 1000));
      await second();
      const before = total(sum(engine, 1, 'idle_sleeps'));
      await second();
      const slept = total(sum(engine, 1, 'idle_sleeps')) - before;
      // Every 100 us, as `idle` says, it would be some thousands.
      assert.ok(slept > 0 && slept < 1500, `${slept} sleeps`);
      const ping = peers[0]!.try('ping', '-c', '3', '-i', '0.2', '-w', '5', '192.0.2.1');
      assert.is(ping.status, 0, ping.output);
    });
  });

  test('without a twin there is nothing of the kernel’s to follow, and nobody is kept busy', async () => {
    const { twin, ...port } = packetPort(0);
    await using([port], async () => {
      const second = () => new Promise((done) => setTimeout(done, 1000));
      await second(); // by then it has its name
      const [thread] = readdirSync('/proc/self/task')
        .map((id) => `/proc/self/task/${id}/stat`)
        .filter((path) => readFileSync(path, 'utf8').includes('(sluice-slow)')) as [string];
      const ticks = () => {
        const words = readFileSync(thread, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ');
        return Number(words[11]) + Number(words[12]); // user's and system's, a hundredth each
      };
      const before = ticks();
      await second();
      assert.ok(ticks() - before < 20, `${ticks() - before} of 100`);
    });
  });

  test('from port to port: a service whose server is behind the other one', async () => {
    await using([packetPort(0), packetPort(1)], async (engine) => {
      const [client, server] = peers as [Peer, Peer];
      client.try('ip', 'route', 'add', `${VIP}/32`, 'dev', 'c0');
      server.try('ip', 'route', 'add', 'default', 'via', '192.0.2.65');
      const echo = `require('node:dgram').createSocket('udp4')
        .on('message', (text) => process.stdout.write(text)).bind(4000);
        setTimeout(() => process.exit(), 20000);`;
      const listen = server.start(process.execPath, '-e', echo);
      let heard = '';
      listen.stdout?.on('data', (chunk: Buffer) => {
        heard += chunk;
      });
      engine.publish(
        snapshot({ services: [udpService(VIP, 4000, '192.0.2.66', 'nat')], owned: [wide(VIP)] }),
      );
      await until('the server is resolved', () =>
        /192.0.2.66 lladdr/.test(run('ip', 'neigh', 'show', 'dev', 'sltw1')),
      );
      await until('the server listens', () => server.run('ss', '-Huln').includes(':4000'));
      // Several flows: whichever worker's queue a frame comes to, its owner forwards it.
      for (let i = 0; i < 16; i++) client.try('bash', '-c', `echo ${i} > /dev/udp/${VIP}/4000`);
      await until('all are forwarded', () => total(sum(engine, 2, 'forwarded_nat')) === 16);
      await until('all have arrived', () => heard.split('\n').length === 17);
      if (CPUS.length > 1) {
        assert.ok(
          sum(engine, 2, 'forwarded_nat').every((count) => count > 0),
          'both workers',
        );
      }
      listen.kill();
    });
  });

  test('devices without an interface underneath', async () => {
    const ports: PortOptions[] = [
      { name: 'null', device: 'net_null0,no-rx=1', mtu: 1500 },
      {
        name: 'ring',
        device: 'net_ring0',
        mtu: 1500,
        twin: 'sltwr',
        addresses: ['192.0.2.129/26'],
      },
    ];
    await using(ports, async (engine) => {
      const [none, ring] = engine.ports();
      assert.match(ring!.mac, /^[0-9a-f][26ae]:/);
      assert.not.equal(ring!.mac, '00:00:00:00:00:00');
      assert.is(none!.twin, '');
      // What the twin sends comes back from the ring: ARP for a neighbour that is not there.
      spawnSync('ping', ['-c', '1', '-W', '1', '192.0.2.130']);
      assert.ok(total(sum(engine, 2, 'received')) > 0);
    });
  });

  test('a tap device: the kernel at the other end sees the port', async () => {
    await using([{ name: 'tap', device: 'net_tap0,iface=slnear', mtu: 1400 }], async (engine) => {
      run('ip', 'addr', 'add', '192.0.2.193/26', 'dev', 'slnear');
      run('ip', 'route', 'add', `${VIP}/32`, 'dev', 'slnear');
      const mac = /ether ([0-9a-f:]{17})/.exec(run('ip', 'link', 'show', 'slnear'))![1]!;
      engine.publish(
        snapshot({
          owned: [wide(VIP)],
          // A port without a twin has nobody to resolve for it.
          portAddresses: [{ address: wide('192.0.2.194'), length: 26, port: 0 }],
          neighbours: [{ address: wide('192.0.2.193'), mac: macBytes(mac), port: 0 }],
        }),
      );
      const ping = ['-c', '3', '-i', '0.1', '-w', '5', VIP];
      const { status, stdout } = spawnSync('ping', ping, { encoding: 'utf8' });
      assert.is(status, 0, stdout);
      // With -w, ping asks once more when an answer takes its time.
      assert.ok(total(sum(engine, 1, 'answered_echo')) >= 3);
      assert.is(engine.ports()[0]!.mtu, 1400);
      assert.match(run('ip', 'link', 'show', 'slnear'), /mtu 1400/);
    });
  });

  // Each in a process of its own: these end it.
  const child = (device: string, how: string) => {
    const script = `
      const { native } = await import(${JSON.stringify(new URL('../../src/native.js', import.meta.url).href)});
      const port = { name: 'p0', device: ${JSON.stringify(device)}, mtu: 1500, twin: 'slchild',
        addresses: ['192.0.2.1/26'] };
      const engine = native().startEngine({ ...${JSON.stringify(options([]))}, ports: [port] },
        () => {});
      console.log('up');
      await new Promise((done) => setTimeout(done, 300));
      ${how}`;
    return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
  };
  const gone = () => !/slchild/.test(run('ip', '-o', 'link'));

  for (const [end, code, status, signal] of [
    ['killed outright', `process.kill(process.pid, 'SIGKILL'); await 0;`, null, 'SIGKILL'],
    ['that throws', `throw new Error('enough');`, 1, null],
    ['that exits', 'process.exit(7);', 7, null],
    ['that just ends', '', 0, null],
  ] as const) {
    test(`a process ${end} leaves nothing, and the next one starts`, () => {
      const result = child('net_af_packet0,iface=f0', code);
      assert.match(result.stdout, /up/, result.stderr);
      assert.is(result.status, status);
      assert.is(result.signal, signal);
      assert.ok(gone(), 'no twin');
    });
  }

  test('AF_XDP carries traffic, also after a process on the interface was killed', () => {
    const kill = `process.kill(process.pid, 'SIGKILL'); await 0;`;
    const first = child('net_af_xdp0,iface=f0', kill);
    if (first.stderr.includes('ERR_NATIVE_PORT')) {
      skip('AF_XDP', first.stderr.split('\n').find((line) => line.includes('Error')) ?? '');
      return;
    }
    assert.is(first.stderr, '', 'its libraries keep quiet');
    const ping = `
      const { spawnSync } = await import('node:child_process');
      const { status, stdout } = spawnSync('nsenter', ['-t', '${peers[0]!.pid}', '-n', 'ping',
        '-c', '3', '-i', '0.1', '-w', '5', '192.0.2.1'], { encoding: 'utf8' });
      console.log(stdout, status === 0 ? 'answered' : 'silent');
      engine.stop();`;
    const second = child('net_af_xdp0,iface=f0', ping);
    assert.match(second.stdout, /answered/, second.stdout + second.stderr);
    assert.not.match(run('ip', 'link', 'show', 'f0'), /xdp/);
    assert.ok(gone());
  });
}

test.run();
