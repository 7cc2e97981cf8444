// lab
// timeout: 180
/** ENAT: requests come by the director, replies leave straight for the client as VIP:vport. */
import { mkdirSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sleep, until } from '../../src/lab/command.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { VIP } from '../../src/lab/topology.js';
import {
  badChecksums,
  CLIENT,
  type Dissected,
  labOrSkip,
  mssOf,
  PORT,
  RIP,
  type Service,
  type TcpResult,
  type UdpResult,
} from './support.js';

const lab = await labOrSkip('ENAT on a real server');
const SECOND_VIP = '203.0.113.51';

const service = (protocol: 6 | 17, port: number, more: Partial<Service> = {}): Service => ({
  protocol,
  listen: [VIP.enat, port],
  mode: 'enat',
  server: [RIP, PORT],
  ...more,
});

const toClient = (packets: Dissected[]) => packets.filter(({ dst }) => dst === CLIENT);

/** A TCP connection that waits for `--hold` seconds before it gives its bytes. */
const held = (port: number, ...more: (string | number)[]) =>
  lab!.client('tcp', VIP.enat, port, ...more);

if (lab) {
  const client = lab.lab.ns('client');
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('a TCP connection: the reply tuple, its checksums, and none of it at the director', async () => {
    await lab.direct([service(6, 80)]);
    const agent = await lab.agent([VIP.enat]);
    const wire = await lab.capture('client', 'c0', 'tcp');
    const back = await lab.capture('director1', 'b0', `tcp and src ${RIP}`);
    const front = await lab.capture('router', 'b0', `tcp and src ${VIP.enat}`);
    const counted = await agent.counting(async () => {
      const result = await held(80, '--give', 300_000, '--take', 300_000);
      assert.is(result.error, undefined);
      assert.is(result.given, 300_000);
      assert.is(result.taken, true);
      assert.equal(result.seen.accept, result.own);
      assert.equal(result.seen.getpeername, result.own);
      assert.equal(result.seen.local, [RIP, PORT]);
    });
    const replies = toClient(await wire.end(lab.lab));
    assert.ok(replies.length > 100);
    assert.equal(
      [...new Set(replies.map(({ src, sport }) => `${src}:${sport}`))],
      [`${VIP.enat}:80`],
    );
    assert.equal(badChecksums(replies), []);
    assert.equal(await back.end(lab.lab), []);
    // On the server's own side of the router the reply has its final form already.
    const leaving = await front.end(lab.lab);
    assert.is(leaving.length, replies.length);
    assert.equal(badChecksums(leaving), []);
    assert.is(mssOf(replies.find(({ flags }) => flags === 'SA')), 1440);
    assert.equal(Object.keys(counted).sort(), [
      'enatLearned',
      'enatReplies',
      'enatRequests',
      'mssLowered',
    ]);
    // Fewer than on the wire: the kernel cuts its segments after the agent has seen them whole.
    assert.ok(counted.enatReplies! > 3 && counted.enatReplies! < replies.length);
  });

  test('without local addresses the VIP itself is the source', async () => {
    await lab.direct([service(6, 80, { source: 'vip' }), service(17, 80, { source: 'vip' })]);
    await lab.agent([VIP.enat]);
    const tcp = await held(80, '--give', 100_000);
    assert.equal([tcp.seen.accept, tcp.given], [tcp.own, 100_000]);
    assert.is(lab.flows.at(-1)!.local[0], VIP.enat);
    const udp = await lab.client<UdpResult>('udp', VIP.enat, 80, '--times', 2);
    assert.equal(udp.seen, [udp.own, udp.own]);
  });

  test('nginx answers curl and logs the client', async () => {
    const nginx = await HttpServer.start(lab.lab, 'rs1');
    await lab.direct([service(6, 80, { server: [RIP, 8080] })]);
    await lab.agent([VIP.enat]);
    assert.is(client.exec(['curl', '-s', `http://${VIP.enat}/`]), `rs1 ${CLIENT}\n`);
    const fetched = client.exec([
      ...['curl', '-s', '-o', '/dev/null', '-w', '%{size_download}', `http://${VIP.enat}/big`],
    ]);
    assert.is(fetched, String(4 << 20));
    assert.equal([...(await nginx.seen(1)).keys()], [CLIENT]);
    await nginx.process.stop();
  });

  test('UDP: options taken out, also the repeated ones, and the reply tuple', async () => {
    await lab.direct([service(17, 90)]);
    const agent = await lab.agent([VIP.enat]);
    const wire = await lab.capture('client', 'c0', 'udp');
    const counted = await agent.counting(async () => {
      const { own, seen } = await lab.client<UdpResult>('udp', VIP.enat, 90, '--times', 70);
      assert.equal(seen, Array(70).fill(own));
    });
    // The first three, and the 33rd and 65th.
    assert.equal(counted, {
      enatLearned: 1,
      enatRequests: 70,
      enatReplies: 70,
      optionsStripped: 5,
    });
    const replies = toClient(await wire.end(lab.lab));
    assert.is(replies.length, 70);
    assert.equal(badChecksums(replies), []);
    for (const { src, sport } of replies) assert.equal([src, sport], [VIP.enat, 90]);
  });

  test('UDP larger than the MTU passes in fragments, both ways', async () => {
    await lab.direct([service(17, 90)]);
    await lab.agent([VIP.enat]);
    const result = await lab.client<UdpResult>(
      ...['udp', VIP.enat, 90, '--send', 5000, '--size', 9000, '--times', 2, '--warm'],
    );
    assert.equal(result.got, [5000, 5000]);
    assert.equal(result.bytes, [9000, 9000]);
  });

  test('a port nobody listens on refuses, from the VIP', async () => {
    await lab.direct([service(6, 80, { server: [RIP, 9] })]);
    await lab.agent([VIP.enat]);
    const wire = await lab.capture('client', 'c0', 'tcp');
    const result = await held(80);
    assert.is(result.error, 'Connection refused');
    const [reset] = toClient(await wire.end(lab.lab));
    assert.equal([reset!.src, reset!.sport, reset!.flags], [VIP.enat, 80, 'RA']);
    assert.equal(badChecksums([reset!]), []);
  });

  test('one client port over two VIPs to one server: both connections live', async () => {
    await lab.direct([service(6, 80), service(6, 80, { listen: [SECOND_VIP, 80] })]);
    const agent = await lab.agent([VIP.enat, SECOND_VIP]);
    const counted = await agent.counting(async () => {
      const both = [VIP.enat, SECOND_VIP].map(async (vip, i) => {
        await sleep(i * 300);
        return lab.client(
          ...['tcp', vip, 80, '--from', 40_000, '--give', 200_000, '--take', 200_000, '--hold', 1],
        );
      });
      await sleep(800);
      const sockets = lab.lab
        .ns('rs1')
        .exec(['ss', '-Htn', 'state', 'established', 'sport', '=', `:${PORT}`]);
      const ports = [...sockets.matchAll(/198\.18\.0\.2:(\d+)/g)].map(([, port]) => Number(port));
      assert.is(ports.length, 2);
      assert.ok(ports.includes(40_000));
      assert.is(new Set(ports).size, 2);
      for (const result of await Promise.all(both)) {
        assert.is(result.error, undefined);
        assert.equal([result.given, result.taken], [200_000, true]);
        // Told the true port, though the second socket has a substitute.
        assert.equal(result.seen.getpeername, [CLIENT, 40_000]);
        assert.equal(result.seen.accept, [CLIENT, 40_000]);
      }
    });
    assert.is(counted.collisions, 1);
    assert.is(counted.collisionDrops, undefined);
  });

  test('a client port used again after the end is no collision', async () => {
    await lab.direct([service(6, 80, { fresh: false })]);
    const agent = await lab.agent([VIP.enat]);
    const counted = await agent.counting(async () => {
      for (let i = 0; i < 3; i++) {
        const result = await held(80, '--from', 40_100, '--give', 1000);
        assert.equal([result.error, result.given], [undefined, 1000]);
        assert.equal(result.seen.accept, [CLIENT, 40_100]);
      }
    });
    assert.is(counted.collisions, undefined);
  });

  test('a connection goes on over another director with another local port', async () => {
    await lab.direct([service(6, 80)]);
    const agent = await lab.agent([VIP.enat]);
    let result: TcpResult | undefined;
    const counted = await agent.counting(async () => {
      const slow = lab.client('tcp', VIP.enat, 80, '--wait', 2.5, '--take', 400_000);
      await sleep(700);
      await lab.direct([service(6, 80)]);
      result = await slow;
    });
    assert.equal([result!.error, result!.taken], [undefined, true]);
    assert.is(counted.enatLearned, 2);
    assert.is(counted.collisions, undefined);
  });

  test('an option that names no VIP of ours is not believed', async () => {
    await lab.direct([service(6, 80, { tell: ['203.0.113.99', 80] })]);
    const agent = await lab.agent([VIP.enat]);
    const counted = await agent.counting(async () => {
      assert.ok((await held(80, '--timeout', 0.7)).error);
    });
    assert.ok(counted.enatNotVip! >= 1);
    assert.is(counted.enatLearned, undefined);
  });

  test('pinned, programs and flows outlive the agent, and the next one takes over', async () => {
    // A bpf file system in the mount namespace of a process that holds it: gone with that process.
    const bpf = lab.lab.path('bpf');
    mkdirSync(bpf);
    const mount = `mount -t bpf none ${bpf} && echo mounted && exec sleep 120`;
    const holder = lab.lab.ns('rs1').spawn(['sh', '-c', mount]);
    assert.ok(await until(() => holder.stdout.includes('mounted')), holder.output);
    const pinned = () =>
      lab.agent([VIP.enat], ['--pin', `${bpf}/rs1`], {
        within: ['nsenter', '-t', String(holder.pid), '-m', '--'],
      });
    await lab.direct([service(6, 80, { source: 'vip' })]);
    const first = await pinned();
    const slow = held(80, '--wait', 5, '--take', 100_000);
    await sleep(500);
    first.process.signal('SIGKILL');
    await first.process.wait();
    const alone = await held(80, '--give', 1000);
    assert.equal([alone.error, alone.given], [undefined, 1000]);
    const second = await pinned();
    const counted = await second.counting(async () => {
      const result = await slow;
      assert.equal([result.error, result.taken], [undefined, true]);
    });
    assert.is(counted.enatLearned, undefined);
    assert.ok(counted.enatRequests! > 50);
    await second.stop();
    await holder.stop();
    assert.ok((await held(80, '--timeout', 0.5)).error);
  });

  test('not pinned, flows are lost with the agent, and their packets from a VIP dropped', async () => {
    await lab.direct([service(6, 80, { source: 'vip' })]);
    const first = await lab.agent([VIP.enat]);
    const slow = held(80, '--wait', 2, '--take', 1000, '--timeout', 3);
    await sleep(500);
    await first.stop();
    const second = await lab.agent([VIP.enat]);
    const counted = await second.counting(async () => {
      assert.is((await slow).error, 'timed out');
    });
    assert.ok(counted.enatStateless! > 0);
  });
}

test.run();
