// lab
// timeout: 180
/**
 * FullNAT UDP: the director's IP option is taken out, requests get the client's address as source,
 * replies go back to the local address; proved with real DNS servers.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DNS_NAME, DnsServer, listening } from '../../src/lab/fixtures.js';
import { VIP } from '../../src/lab/topology.js';
import {
  badChecksums,
  CLIENT,
  labOrSkip,
  PORT,
  RIP,
  type Service,
  type UdpResult,
} from './support.js';

const lab = await labOrSkip('UDP over FullNAT on a real server');
const SECOND_VIP = '203.0.113.41';

const service = (port: number, more: Partial<Service> = {}): Service => ({
  protocol: 17,
  listen: [VIP.fullnat, port],
  mode: 'fullnat',
  server: [RIP, PORT],
  ...more,
});

if (lab) {
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  test('a server sees the client, and its answers go back by the director', async () => {
    await lab.direct([service(90)]);
    const agent = await lab.agent([VIP.fullnat]);
    const wire = await lab.capture('director1', 'b0', 'udp');
    const counted = await agent.counting(async () => {
      const { own, seen } = await lab.client<UdpResult>('udp', VIP.fullnat, 90, '--times', 6);
      assert.equal(seen, Array(6).fill(own));
    });
    assert.equal(counted, { uoaLearned: 1, uoaRequests: 6, uoaReplies: 6, optionsStripped: 3 });
    const [lip, lport] = lab.flows.at(-1)!.local;
    const packets = await wire.end(lab.lab);
    assert.equal(badChecksums(packets), []);
    const replies = packets.filter(({ src }) => src === RIP);
    assert.is(replies.length, 6);
    for (const reply of replies) {
      assert.equal([reply.dst, reply.dport, reply.sport, reply.ihl], [lip, lport, PORT, 5]);
    }
    const requests = packets.filter(({ dst }) => dst === RIP);
    assert.equal(
      requests.map(({ ihl }) => ihl),
      [7, 7, 7, 5, 5, 5],
    );
  });

  test('a server that connects a socket to each client works as well', async () => {
    await lab.direct([service(91, { server: [RIP, PORT + 1] })]);
    const _agent = await lab.agent([VIP.fullnat]);
    const { own, seen } = await lab.client<UdpResult>('udp', VIP.fullnat, 91, '--times', 4);
    assert.equal(seen, Array(4).fill(own));
  });

  // A full fragment has no room for the option: the director tells of the client with a small one.
  test('datagrams larger than the MTU pass in fragments, both ways', async () => {
    await lab.direct([service(90)]);
    const agent = await lab.agent([VIP.fullnat]);
    const counted = await agent.counting(async () => {
      const result = await lab.client<UdpResult>(
        ...['udp', VIP.fullnat, 90, '--send', 4000, '--size', 6000, '--times', 2, '--warm'],
      );
      assert.equal(
        [result.got, result.bytes],
        [
          [4000, 4000],
          [6000, 6000],
        ],
      );
      assert.equal(result.seen, [result.own, result.own]);
    });
    // Requests of three fragments, replies of five: all but the first of each.
    assert.is(counted.fragments, 2 * 2 + 2 * 4);
  });

  test('one client port over two VIPs to one server: both are answered, by the right one', async () => {
    const second = service(90, { listen: [SECOND_VIP, 90] });
    await lab.direct([service(90), second]);
    const agent = await lab.agent([VIP.fullnat, SECOND_VIP]);
    const asking = `
import json, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(("", 41000)); sock.settimeout(3)
for vip in ["${VIP.fullnat}", "${SECOND_VIP}"] * 3:
    sock.sendto(b"who", (vip, 90))
    data, source = sock.recvfrom(2000)
    print(vip, source[0], *json.loads(data)["from"])`;
    const counted = await agent.counting(() => {
      const said = lab.lab.ns('client').exec(['python3', '-c', asking]).trim().split('\n');
      const ports = new Set<string>();
      for (const line of said) {
        const [asked, answered, client, port] = line.split(' ');
        assert.is(answered, asked);
        assert.is(client, CLIENT);
        ports.add(`${asked} ${port}`);
      }
      // The second VIP's flow is shown under one substitute port, the first under the true one.
      assert.is(ports.size, 2);
      assert.ok(ports.has(`${VIP.fullnat} 41000`));
    });
    assert.is(counted.collisions, 1);
    assert.is(counted.uoaReplies, 6);
  });

  test('without the option a server sees the local address', async () => {
    await lab.direct([service(90, { clientAddress: false })]);
    const agent = await lab.agent([VIP.fullnat]);
    const counted = await agent.counting(async () => {
      const { seen } = await lab.client<UdpResult>('udp', VIP.fullnat, 90, '--times', 2);
      assert.equal(seen, Array(2).fill(lab.flows.at(-1)!.local));
    });
    assert.equal(counted, { unlabelled: 2 });
  });

  test('dnsmasq answers and logs the client', async () => {
    const dns = await DnsServer.start(lab.lab, 'rs1');
    await lab.direct([service(53, { server: [RIP, 53] })]);
    const _agent = await lab.agent([VIP.fullnat]);
    for (let i = 0; i < 3; i++) {
      const dig = ['dig', '+short', '+tries=1', '+time=3', `@${VIP.fullnat}`, DNS_NAME, 'TXT'];
      assert.is(lab.lab.ns('client').exec(dig), '"rs1"\n');
    }
    assert.equal([...dns.clients()], [[CLIENT, 3]]);
    await dns.process.stop();
  });

  test('NSD answers, also with 3 KB in fragments', async () => {
    const directory = lab.lab.path('rs1', 'nsd');
    const words = Array.from({ length: 15 }, (_, i) => `"${String(i).padEnd(200, 'x')}"`);
    const zone = lab.lab.write(
      'rs1/nsd/example.zone',
      `$ORIGIN example.
@ 60 IN SOA ns hostmaster 1 60 60 60 60
@ 60 IN NS ns
ns 60 IN A ${RIP}
who 60 IN TXT "nsd"
big 60 IN TXT ${words.join(' ')}
`,
    );
    const config = lab.lab.write(
      'rs1/nsd/nsd.conf',
      `server:
  ip-address: 0.0.0.0
  port: 53
  server-count: 1
  username: root
  zonesdir: "${directory}"
  pidfile: "${directory}/nsd.pid"
  database: ""
  zonelistfile: "${directory}/zone.list"
  xfrdfile: "${directory}/xfrd.state"
  ipv4-edns-size: 4096
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: "${zone}"
`,
    );
    const nsd = lab.lab.ns('rs1').spawn(['nsd', '-d', '-c', config]);
    await listening(lab.lab.ns('rs1'), 'udp', 53, nsd);
    const agent = await lab.agent([VIP.fullnat]);
    const dig = (name: string) =>
      lab.lab
        .ns('client')
        .exec([
          ...['dig', '+short', '+tries=1', '+time=3', '+ignore', '+bufsize=4096'],
          ...[`@${VIP.fullnat}`, name, 'TXT'],
        ]);
    const counted = await agent.counting(() => {
      assert.is(dig('who.example'), '"nsd"\n');
      assert.is(dig('big.example'), `${words.join(' ')}\n`);
    });
    assert.is(counted.uoaLearned, 2);
    assert.is(counted.uoaReplies, 2);
    assert.is(counted.fragments, 2);
    await nsd.stop();
  });
}

test.run();
