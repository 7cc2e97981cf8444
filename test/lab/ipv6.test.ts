// timeout: 300
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endSuccessor, upgradeUnderLoad } from '../../bench/upgrade/course.js';
import type { ServiceReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { BIG_BYTES, DnsServer, HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { dnsQueries, download, httpRequests } from '../../src/lab/load.js';
import {
  addSix,
  CLIENT6,
  LOCAL6,
  SIX_MODES,
  sixIsReachable,
  sixYaml,
  VIP6,
} from '../../src/lab/six.js';
import { CLIENT, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

/** TCP connections a mode that an upgrade must not break. */
const HELD = 8;

let lab: Lab;
let director: Director;
const decapsulate = fileURLToPath(new URL('decapsulate6.py', import.meta.url));

const services = async () => (await director.get('/v1/services')) as ServiceReport[];

if (process.getuid?.() !== 0) {
  skip('IPv6 in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    addSix(lab);
    for (const { role } of lab.spaces.realServers) {
      await HttpServer.start(lab, role);
      await DnsServer.start(lab, role);
      const tunnel = lab.ns(role).spawn(['python3', decapsulate]);
      assert.ok(await until(() => tunnel.stdout.includes('listening')), tunnel.output);
    }
    const socket = lab.path('director1.sock');
    director = lab.director({ yaml: sixYaml(lab, socket, 2), socket });
    await director.start();
    assert.ok(await sixIsReachable(lab), director.log);
  });
  test.after(async () => {
    if (director) await endSuccessor(director);
    await lab.destroy();
  });

  for (const mode of SIX_MODES) {
    test(`${mode}: HTTP over IPv6 reaches every server`, async () => {
      const answers = await httpRequests(lab, `http://[${VIP6[mode]}]/`, 60);
      assert.is(answers.failed, 0, answers.trouble);
      assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
      // Servers have no agent for IPv6: FullNAT's see the local address.
      assert.equal([...answers.clients], [[mode === 'fullnat' ? LOCAL6 : CLIENT6, 60]]);
    });

    test(`${mode}: DNS by UDP over IPv6 reaches every server`, async () => {
      const answers = await dnsQueries(lab, VIP6[mode], 30);
      assert.is(answers.failed, 0, answers.trouble);
      assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
    });

    test(`${mode}: a file of 4 MiB arrives whole, whatever its path's MTU`, async () => {
      assert.is(await download(lab, `[${VIP6[mode]}]`), BIG_BYTES);
    });

    test(`${mode}: the director answers echo for the VIP`, () => {
      const ping = lab
        .ns('client')
        .try(['ping', '-6', '-c', '2', '-i', '0.2', '-W', '2', VIP6[mode]]);
      assert.is(ping.status, 0, ping.stdout);
    });
  }

  test('IPv4 in IPv6: clients of an IPv4 service reach servers by tunnels in IPv6', async () => {
    const answers = await httpRequests(lab, `http://${VIP.tun}/`, 60);
    assert.is(answers.failed, 0, answers.trouble);
    assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
    assert.equal([...answers.clients], [[CLIENT, 60]]);
    assert.is(await download(lab, VIP.tun), BIG_BYTES);
    const listed = director.cli('show', 'services').stdout;
    assert.match(listed, /TCP {2}203\.0\.113\.30:80 rr\n {2}-> \[2001:db8:2::11\]:80 +Tunnel/);
  });

  test('the ports’ own addresses are the kernel’s', () => {
    const ping = lab
      .ns('router')
      .try(['ping', '-6', '-c', '2', '-i', '0.2', '-W', '2', '2001:db8:1::1']);
    assert.is(ping.status, 0, ping.stdout);
  });

  test('upgraded twice under load: no connection is lost, addresses and routes stay', async () => {
    const more = SIX_MODES.map((mode) => VIP6[mode]);
    const options = { modes: [], more, held: HELD, rate: 50 };
    const { reports, seen } = await upgradeUnderLoad(lab, director, options, 2);
    for (const one of seen) {
      const text = JSON.stringify(one);
      assert.is(one.held, HELD, text);
      assert.is(one.broken, 0, text);
      assert.is(one.failed, 0, text);
      assert.ok((one.udp?.answered ?? 0) >= (one.udp?.sent ?? 0) * 0.98, text);
    }
    for (const { connections, refused } of reports) {
      assert.ok(connections >= HELD * more.length, `${connections} connections`);
      assert.is(refused, 0);
    }
    const shown = (what: string) =>
      director.namespace.exec(['ip', '-6', ...what.split(' '), 'show', 'dev', 'slback']);
    assert.match(shown('address'), /2001:db8:2::1\/64/);
    assert.match(shown('route'), /2001:db8:2::\/64/);
  });

  test('services and connections are listed, health checks go to IPv6 servers', async () => {
    const listing = director.cli('show', 'services').stdout;
    assert.match(listing, /^TCP {2}\[2001:db8:f::10\]:80 rr/m);
    assert.match(listing, /^ {2}-> \[2001:db8:2::21\]:8080 +Masq +1 /m);
    const [nat] = (await services()).filter(({ name }) => name === 'nat6-http');
    assert.is.not(nat!.conns, 0);
    const connections = director.cli('show', 'connections').stdout;
    assert.match(connections, /2001:db8:c::2/);
    lab.ns('rs1').exec(['ip', 'addr', 'del', '2001:db8:2::21/128', 'dev', 'b0']);
    const down = async () =>
      (await services()).find(({ name }) => name === 'nat6-http')!.servers.some(({ up }) => !up);
    assert.ok(await until(down, 30_000), director.cli('show', 'health').stdout);
    const answers = await httpRequests(lab, `http://[${VIP6.nat}]/`, 20);
    assert.is(answers.failed, 0, answers.trouble);
    assert.equal([...answers.servers.keys()].sort(), ['rs2', 'rs3']);
  });

  test('what was lost has a name that says nothing went wrong', async () => {
    const drops = director.cli('show', 'drops').stdout;
    assert.not.match(drops, /no_headroom|transmit_full|bad_/);
  });

  test.run();
}
