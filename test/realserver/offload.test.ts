// lab
// timeout: 180
/**
 * Frames as a virtual machine gets and sends them: checksums still partial, TCP segments of up to
 * 64 KB, receive merging. director.py hands them on as they are.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VIP } from '../../src/lab/topology.js';
import { labOrSkip, PORT, RIP, type Service, type UdpResult } from './support.js';

const lab = await labOrSkip('offloads on a real server');
const MEGABYTES = 20_000_000;

const service = (protocol: 6 | 17, mode: 'fullnat' | 'enat'): Service => ({
  protocol,
  listen: [VIP[mode], 80],
  mode,
  server: [RIP, PORT],
});

if (lab) {
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('the lab hands on partial checksums and large segments', async () => {
    lab.offloads('on');
    await lab.direct([
      service(6, 'fullnat'),
      service(6, 'enat'),
      service(17, 'fullnat'),
      service(17, 'enat'),
    ]);
    const wire = await lab.capture('rs1', 'b0', 'tcp');
    const result = await lab.client('tcp', VIP.fullnat, 80, '--take', 1_000_000);
    assert.is(result.taken, true);
    const packets = await wire.end(lab.lab);
    assert.ok(packets.some(({ dst, length }) => dst === RIP && length > 5000));
    assert.ok(packets.some(({ dst, l4Good }) => dst === RIP && l4Good === false));
  });

  for (const mode of ['fullnat', 'enat'] as const) {
    test(`TCP over ${mode}, both ways`, async () => {
      const agent = await lab.agent([VIP.fullnat, VIP.enat]);
      const counted = await agent.counting(async () => {
        const result = await lab.client(
          ...['tcp', VIP[mode], 80, '--give', MEGABYTES, '--take', MEGABYTES],
        );
        assert.equal([result.error, result.given, result.taken], [undefined, MEGABYTES, true]);
        assert.equal(result.seen.accept, result.own);
      });
      assert.is(counted.rewriteFailed, undefined);
      if (mode === 'enat') {
        // Far fewer packets than segments of 1448 bytes: they came and went whole.
        assert.ok(counted.enatRequests! < MEGABYTES / 1448);
        assert.ok(counted.enatReplies! < MEGABYTES / 1448);
      }
    });

    test(`UDP over ${mode}, options taken out of packets with partial checksums`, async () => {
      const agent = await lab.agent([VIP.fullnat, VIP.enat]);
      const counted = await agent.counting(async () => {
        const result = await lab.client<UdpResult>(
          ...['udp', VIP[mode], 80, '--send', 700, '--size', 1400, '--times', 10],
        );
        assert.equal(result.seen, Array(10).fill(result.own));
        assert.equal(result.bytes, Array(10).fill(1400));
      });
      assert.is(counted.optionsStripped, 3);
    });
  }

  test('the same with offloads off', async () => {
    lab.offloads('off');
    await lab.agent([VIP.fullnat, VIP.enat]);
    for (const mode of ['fullnat', 'enat'] as const) {
      const result = await lab.client(
        ...['tcp', VIP[mode], 80, '--give', 3_000_000, '--take', 3_000_000],
      );
      assert.equal([result.error, result.given, result.taken], [undefined, 3_000_000, true]);
    }
  });
}

test.run();
