// timeout: 200
// What TUN sends, to a real server of Linux (in User-Mode-Linux): its own gre, fou and ipip take the
// packets out again, and its TCP and UDP answer the client from the VIP.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { IPIP, type Tunnel, tunnelText } from '../../src/config/tunnel.js';
import { dissect } from '../support/dissect.js';
import { pattern } from '../support/packet.js';
import { skip } from '../support/skip.js';
import { web } from './scenarios/common.js';
import { type Scenario, Scene } from './scene.js';
import { runSluice } from './sluice.js';
import { BACK, BACK_MAC, serverAddress, serverMac, topology } from './topology.js';
import { type Frame, Uml, umlUnavailable } from './uml.js';

const RIP = serverAddress('A');
const local = `local ${RIP} remote ${BACK}`;
const TUNNELS: [Tunnel, device: string][] = [
  [IPIP, `type ipip ${local}`],
  [{ type: 'gre', port: 0, checksum: 'nocsum' }, `type gre ${local}`],
  [{ type: 'gre', port: 0, checksum: 'csum' }, `type gre ${local} icsum`],
  [{ type: 'gue', port: 6080, checksum: 'nocsum' }, `type ipip ${local}`],
  [{ type: 'gue', port: 6080, checksum: 'csum' }, `type ipip ${local}`],
];

const scene = new Scene(0, 'tun');

/** What a director sends to the server: a SYN, a datagram, one in two fragments. */
function sentBy(tunnel: Tunnel): Frame[] {
  const scenario: Scenario = {
    say: '',
    services: web('tun', { tunnel }),
    mtu: { back: 1400 },
    steps: (s) => [
      s.tcp('S', { df: true }),
      s.udp({ df: true }),
      s.udp({ payload: pattern(1400) }),
    ],
  };
  return runSluice(scenario, scene).outcomes.flatMap((outcome) =>
    'sent' in outcome ? outcome.sent.map(({ bytes }) => ({ port: 'back' as const, bytes })) : [],
  );
}

const reason = umlUnavailable();
if (reason) {
  skip('decapsulation by Linux', reason);
} else {
  let uml: Uml;
  test.before(async () => {
    uml = await Uml.boot({
      ...topology,
      back: { ...topology.back, mac: serverMac('A'), address: `${RIP}/24` },
      neighbours: [
        ...topology.neighbours.filter(({ port }) => port === 'front'),
        { address: BACK, mac: BACK_MAC, port: 'back' },
      ],
      vips: [scene.vip],
    });
    await uml.sh(
      'modprobe -d /run/root ip_gre && modprobe -d /run/root fou && ip fou add port 6080 gue',
    );
  });
  test.after(() => uml?.close());

  for (const [tunnel, device] of TUNNELS) {
    test(tunnelText(tunnel), async () => {
      await uml.sh(
        `ip link add wrapped ${device} && ip link set wrapped up && ` +
          'echo 0 >/proc/sys/net/ipv4/conf/wrapped/rp_filter',
      );
      try {
        const frames = sentBy(tunnel);
        assert.is(frames.length, 4);
        const answers = (await uml.play(frames)).flat().map(({ bytes }) => dissect(bytes).ip);
        const told = answers.map((ip) => [ip?.src, ip?.dst, ip?.tcp?.flags ?? ip?.icmp?.code]);
        const [vip, client] = [scene.vip, scene.client()];
        assert.equal(told, [
          [vip, client, 'RA'],
          [vip, client, 3],
          [vip, client, 3],
        ]);
        if (tunnel.checksum === 'nocsum') return;
        // Linux looks at the checksum, so it was right: GRE's reserved word, GUE's source port.
        const [syn] = frames as [Frame];
        const wrong = Uint8Array.from(syn.bytes);
        const at = tunnel.type === 'gre' ? 41 : 35;
        wrong[at] = (wrong[at] as number) ^ 1;
        assert.equal((await uml.play([{ port: 'back', bytes: wrong }])).flat(), []);
      } finally {
        await uml.sh('ip link del wrapped');
      }
    });
  }
}

test.run();
