// lab
// timeout: 180
/** TUN: IPIP taken off at tc ingress, for real sockets that listen on the VIP. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../src/lab/command.js';
import { VIP } from '../../src/lab/topology.js';
import {
  badChecksums,
  CLIENT,
  labOrSkip,
  mssOf,
  PORT,
  RIP,
  type Service,
  type UdpResult,
} from './support.js';

const lab = await labOrSkip('TUN on a real server');
const OTHER_VIP = '203.0.113.31';
const LATE_RIP = '198.51.100.61';

const services: Service[] = [
  { protocol: 6, listen: [VIP.tun, PORT], mode: 'tun', server: [RIP, PORT] },
  { protocol: 17, listen: [VIP.tun, PORT], mode: 'tun', server: [RIP, PORT] },
  { protocol: 17, listen: [OTHER_VIP, PORT], mode: 'tun', server: [RIP, PORT] },
];

if (lab) {
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('a connection comes out of the tunnel and is answered from the VIP', async () => {
    await lab.direct(services);
    const agent = await lab.agent([VIP.tun]);
    const wire = await lab.capture('client', 'c0', 'tcp');
    const counted = await agent.counting(async () => {
      const result = await lab.client('tcp', VIP.tun, PORT, '--give', 200_000);
      assert.is(result.error, undefined);
      assert.equal(result.seen.getpeername, result.own);
      assert.equal(result.seen.local, [VIP.tun, PORT]);
      assert.is(result.given, 200_000);
    });
    const packets = await wire.end(lab.lab);
    const replies = packets.filter(({ dst }) => dst === CLIENT);
    assert.ok(replies.length > 100);
    assert.equal(
      [...new Set(replies.map(({ src, sport }) => `${src}:${sport}`))],
      [`${VIP.tun}:${PORT}`],
    );
    assert.equal(badChecksums(replies), []);
    // The director needs 20 bytes more on the way in: 1460 less those of the outer header.
    assert.is(mssOf(replies.find(({ flags }) => flags === 'SA')), 1440);
    assert.is(counted.mssLowered, 1);
    assert.ok(counted.tunDecapsulated! > 20);
    assert.equal(Object.keys(counted).sort(), ['mssLowered', 'tunDecapsulated']);
  });

  test('an upload of full segments fits through, with 1500 bytes everywhere', async () => {
    const _agent = await lab.agent([VIP.tun]);
    const result = await lab.client('tcp', VIP.tun, PORT, '--take', 3_000_000);
    assert.is(result.taken, true);
  });

  test('congestion met in the tunnel is told to a packet that can carry it', async () => {
    await lab.direct(services, { outerTos: 3 });
    const agent = await lab.agent([VIP.tun]);
    const counted = await agent.counting(async () => {
      const marked = await lab.client<UdpResult>('udp', VIP.tun, PORT, '--tos', 0x28 | 2);
      assert.equal(marked.tos, [0x28 | 3]);
      const refused = await lab.client<UdpResult>('udp', VIP.tun, PORT, '--timeout', 0.5);
      assert.is(refused.error, 'timed out');
    });
    assert.equal(counted, { tunDecapsulated: 1, tunCongested: 2 });
    await lab.direct(services);
  });

  test('a tunnel of somebody who is no director is not opened', async () => {
    const stranger = lab.spawnAgent([
      ...['--interface', 'b0', '--director', '198.51.100.77', '--vip', VIP.tun],
    ]);
    assert.ok(await until(() => stranger.stdout.includes('"attached"'), 15_000));
    const result = await lab.client<UdpResult>('udp', VIP.tun, PORT, '--timeout', 0.5);
    assert.ok(result.error);
    assert.is(await stranger.stop(), 0);
    assert.match(stranger.stdout, /"tunForeign":1,/);
    assert.match(stranger.stdout, /"tunDecapsulated":0,/);
  });

  test('an inner address that is no VIP is dropped and counted', async () => {
    const agent = await lab.agent([VIP.tun]);
    const counted = await agent.counting(async () => {
      const result = await lab.client<UdpResult>('udp', OTHER_VIP, PORT, '--timeout', 0.5);
      assert.is(result.error, 'timed out');
    });
    assert.equal(counted, { tunNotVip: 1 });
  });

  test('an address given to the server later is one tunnels may end at', async () => {
    const _agent = await lab.agent([VIP.tun]);
    lab.lab.ns('rs1').ip(`addr add ${LATE_RIP}/32 dev b0`);
    const [mac] = JSON.parse(lab.lab.ns('rs1').exec(['ip', '-j', 'link', 'show', 'b0'])) as [
      { address: string },
    ];
    await lab.direct(
      [{ protocol: 17, listen: [VIP.tun, PORT], mode: 'tun', server: [LATE_RIP, PORT] }],
      { servers: { [LATE_RIP]: mac.address } },
    );
    const opened = await until(async () => {
      const result = await lab.client<UdpResult>('udp', VIP.tun, PORT, '--timeout', 0.4);
      return result.error === undefined;
    }, 8000);
    assert.ok(opened);
  });
}

test.run();
