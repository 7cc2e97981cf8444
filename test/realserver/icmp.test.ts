// lab
// timeout: 180
/**
 * ICMP errors about packets of rewritten flows, both ways: what the server sends quotes what the
 * director or the client sent, and what it is sent reaches the socket.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VIP } from '../../src/lab/topology.js';
import { badChecksums, CLIENT, labOrSkip, PORT, RIP, type UdpResult } from './support.js';

const lab = await labOrSkip('ICMP errors on a real server');
const CLOSED = 9;
const NARROW = 1300;

if (lab) {
  const client = lab.lab.ns('client');
  const router = lab.lab.ns('router');
  const rs1 = lab.lab.ns('rs1');
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('FullNAT UDP: port unreachable is addressed to the director and quotes its packet', async () => {
    await lab.direct([
      { protocol: 17, listen: [VIP.fullnat, 53], mode: 'fullnat', server: [RIP, CLOSED] },
    ]);
    const agent = await lab.agent([VIP.fullnat]);
    const wire = await lab.capture('director1', 'b0', `icmp and src ${RIP}`);
    const counted = await agent.counting(async () => {
      const result = await lab.client<UdpResult>('udp', VIP.fullnat, 53, '--send', 100);
      assert.is(result.error, 'Connection refused');
    });
    assert.is(counted.icmpOut, 1);
    const [lip, lport] = lab.flows.at(-1)!.local;
    const [error] = await wire.end(lab.lab);
    assert.equal([error!.src, error!.dst, error!.icmp], [RIP, lip, [3, 3]]);
    assert.equal(error!.quoted, {
      ...{ src: lip, sport: lport, dst: RIP, dport: CLOSED, protocol: 17 },
      ...{ ipGood: true, l4Good: true },
    });
    assert.equal(badChecksums([error!]), []);
  });

  test('ENAT UDP: it goes straight to the client, from the VIP, about what the client sent', async () => {
    await lab.direct([
      { protocol: 17, listen: [VIP.enat, 53], mode: 'enat', server: [RIP, CLOSED] },
    ]);
    const agent = await lab.agent([VIP.enat]);
    const wire = await lab.capture('client', 'c0', 'icmp');
    const counted = await agent.counting(async () => {
      const result = await lab.client<UdpResult>(
        ...['udp', VIP.enat, 53, '--from', 42_000, '--send', 100],
      );
      assert.is(result.error, 'Connection refused');
    });
    assert.is(counted.icmpOut, 1);
    const [error] = await wire.end(lab.lab);
    assert.equal([error!.src, error!.dst, error!.icmp], [VIP.enat, CLIENT, [3, 3]]);
    assert.equal(error!.quoted, {
      ...{ src: CLIENT, sport: 42_000, dst: VIP.enat, dport: 53, protocol: 17 },
      ...{ ipGood: true, l4Good: true },
    });
    assert.equal(badChecksums([error!]), []);
  });

  test('ENAT TCP: a narrow link on the way to the client is found', async () => {
    await lab.direct([{ protocol: 6, listen: [VIP.enat, 80], mode: 'enat', server: [RIP, PORT] }]);
    const agent = await lab.agent([VIP.enat]);
    const wire = await lab.capture('rs1', 'b0', 'icmp');
    router.ip(`link set c0 mtu ${NARROW}`);
    try {
      const counted = await agent.counting(async () => {
        const result = await lab.client('tcp', VIP.enat, 80, '--give', 500_000);
        assert.equal([result.error, result.given], [undefined, 500_000]);
      });
      assert.ok(counted.icmpIn! >= 1);
      assert.match(rs1.exec(['ip', 'route', 'get', CLIENT]), new RegExp(`mtu ${NARROW}`));
    } finally {
      router.ip('link set c0 mtu 1500');
    }
    // tcpdump sees it before the agent: it still quotes the director's local address.
    const [error] = await wire.end(lab.lab);
    assert.is(error!.quoted!.dst, lab.flows.at(-1)!.local[0]);
    rs1.exec(['ip', 'route', 'flush', 'cache']);
  });

  test('FullNAT UDP: a narrow link is found, and answers come in fragments', async () => {
    await lab.direct([
      { protocol: 17, listen: [VIP.fullnat, 53], mode: 'fullnat', server: [RIP, PORT] },
    ]);
    const agent = await lab.agent([VIP.fullnat]);
    router.ip(`link set c0 mtu ${NARROW}`);
    try {
      const ask = () =>
        lab.client<UdpResult>(
          ...['udp', VIP.fullnat, 53, '--from', 42_001, '--size', 1400, '--timeout', 0.5],
        );
      const counted = await agent.counting(async () => {
        assert.is((await ask()).error, 'timed out');
        assert.equal((await ask()).bytes, [1400]);
      });
      assert.is(counted.icmpIn, 1);
      assert.is(counted.fragments, 1);
    } finally {
      router.ip('link set c0 mtu 1500');
    }
  });

  test('errors about packets that are nobody’s flow pass unchanged', async () => {
    const agent = await lab.agent([VIP.enat, VIP.fullnat]);
    const counted = await agent.counting(async () => {
      const result = await lab.client<UdpResult>('udp', RIP, CLOSED);
      assert.is(result.error, 'Connection refused');
      client.try(['ping', '-c', '1', '-W', '1', RIP]);
    });
    assert.equal(counted, {});
  });
}

test.run();
