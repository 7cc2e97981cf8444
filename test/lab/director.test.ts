// timeout: 240
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { DropsReport, ServiceReport } from '../../src/api/types.js';
import { sleep, until } from '../../src/lab/command.js';
import {
  ALL_MODES,
  type FiveModes,
  fiveModesYaml,
  startFiveModes,
} from '../../src/lab/five-modes.js';
import { BIG_BYTES, IPERF_PORT } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { dnsQueries, download, httpRequests } from '../../src/lab/load.js';
import { CLIENT, VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

/** One lab for the whole file: a director's start takes longer than most tests. */
let lab: Lab;
let bench: FiveModes;

const interfaces = () =>
  lab
    .ns('director1')
    .exec(['ip', '-br', 'link'])
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(/[@ ]/)[0]!)
    .sort();

const hugepageFiles = () => {
  try {
    return readdirSync('/dev/hugepages');
  } catch {
    return [];
  }
};

const services = async () => (await bench.director.get('/v1/services')) as ServiceReport[];

if (process.getuid?.() !== 0) {
  skip('the director in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    bench = await startFiveModes(lab);
  });
  test.after(() => lab.destroy());

  for (const mode of ALL_MODES) {
    test(`${mode}: HTTP reaches every server, which sees the client`, async () => {
      const answers = await httpRequests(lab, `http://${VIP[mode]}/`, 90);
      assert.is(answers.failed, 0, answers.trouble);
      assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
      assert.equal([...answers.clients], [[CLIENT, 90]]);
    });

    test(`${mode}: DNS by UDP reaches every server, which sees the client`, async () => {
      const before = [...bench.dns.values()].map((server) => server.clients().get(CLIENT) ?? 0);
      const answers = await dnsQueries(lab, VIP[mode], 30);
      assert.is(answers.failed, 0, answers.trouble);
      assert.equal([...answers.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
      const after = [...bench.dns.values()].map((server) => server.clients().get(CLIENT) ?? 0);
      assert.is(
        after.reduce((sum, n, i) => sum + n - before[i]!, 0),
        30,
      );
    });

    test(`${mode}: a file of 4 MiB arrives whole`, async () => {
      assert.is(await download(lab, VIP[mode]), BIG_BYTES);
    });

    test(`${mode}: the director answers echo for the VIP`, () => {
      const ping = lab.ns('client').try(['ping', '-c', '2', '-i', '0.2', '-W', '2', VIP[mode]]);
      assert.is(ping.status, 0, ping.stdout);
    });
  }

  test('what is not ours goes to the kernel by the twin, and its answer comes back', () => {
    const ping = lab.ns('router').try(['ping', '-c', '2', '-i', '0.2', '-W', '2', '192.0.2.1']);
    assert.is(ping.status, 0, ping.stdout);
    // AF_PACKET copies: a kernel that handled the original as well would answer a second time.
    assert.not.match(ping.stdout, /DUP|duplicates/);
  });

  test('a port without a service resets TCP at once', () => {
    const curl = ['curl', '-sS', '-m', '5', `http://${VIP.nat}:81/`];
    const { status, stderr } = lab.ns('client').try(curl);
    assert.is(status, 7, stderr);
    assert.match(stderr, /refused|Couldn't connect/);
  });

  test('every mode is counted, and every packet received in exactly one end', async () => {
    const drops = async () => (await bench.director.get('/v1/drops')) as DropsReport;
    const { ends } = await drops();
    for (const mode of ALL_MODES) {
      const end = ends.find(({ name }) => name === `forwarded_${mode}`);
      assert.ok(end && end.count > 100, `${mode}: ${end?.count}`);
    }
    // Read while the worker runs: an ARP request may come between two figures, but not for long.
    let figures = '';
    const equal = async () => {
      const { ends: all, extra } = await drops();
      const ended = all.reduce((sum, { count }) => sum + count, 0);
      figures = `${ended} ended, ${extra.received} received`;
      return ended === extra.received;
    };
    assert.ok(await until(equal, 2000), figures);
  });

  test('figures for Prometheus and for readers of /proc/net/ip_vs', async () => {
    const ask = [
      'curl',
      '-sS',
      '--fail',
      '--unix-socket',
      bench.director.socket,
      'http://d/metrics',
    ];
    const text = lab.ns('director1').exec(ask);
    for (const mode of ALL_MODES) {
      const line = new RegExp(`^sluice_packets_total{end="forwarded_${mode}",.*} [1-9]`, 'm');
      assert.match(text, line);
    }
    assert.match(text, /^node_ipvs_backend_weight{local_address="203\.0\.113\.10",.*} 1$/m);
    const table = () => readFileSync(join(lab.directory, 'proc', 'net', 'ip_vs'), 'utf8');
    assert.ok(await until(() => /^TCP {2}CB00710A:0050 rr $/m.test(table())), table());
  });

  test('weight 0 drains a server after a reload; a bad file changes nothing', async () => {
    const yaml = fiveModesYaml(lab, bench.director.socket);
    bench.director.configure(yaml.replaceAll(/(198\.51\.100\.[12]1:\d+", weight:) 1/g, '$1 0'));
    await bench.director.reload();
    const drained = await httpRequests(lab, `http://${VIP.fullnat}/`, 30);
    assert.is(drained.failed, 0, drained.trouble);
    assert.equal([...drained.servers.keys()].sort(), ['rs2', 'rs3']);

    bench.director.configure(yaml.replaceAll('weight: 1', 'weight: many'));
    let refusal = '';
    await bench.director.reload().catch((error: Error) => {
      refusal = error.message;
    });
    assert.match(refusal, /director\.yaml:\d+:\d+: .*weight/);
    const same = await httpRequests(lab, `http://${VIP.fullnat}/`, 30);
    assert.equal([...same.servers.keys()].sort(), ['rs2', 'rs3']);

    bench.director.configure(yaml);
    bench.director.process?.signal('SIGHUP');
    const back = await until(async () =>
      (await services()).every(({ servers }) => servers.every(({ weight }) => weight === 1)),
    );
    assert.ok(back, 'SIGHUP did not bring the weights back');
    const all = await httpRequests(lab, `http://${VIP.fullnat}/`, 30);
    assert.equal([...all.servers.keys()].sort(), ['rs1', 'rs2', 'rs3']);
  });

  test('kill -9 in the middle of a transfer: a restart brings every mode back', async () => {
    const before = hugepageFiles();
    const argv = ['iperf3', '-c', VIP.nat, '-p', String(IPERF_PORT), '-t', '20'];
    const transfer = lab.ns('client').spawn(argv, { timeout: 30 });
    await sleep(1500);
    assert.is(transfer.status, undefined, transfer.output);
    await bench.director.kill9();
    // The TAPs end with the process that had them open.
    assert.ok(await until(() => interfaces().join() === 'b0,f0,lo'), interfaces().join());
    assert.equal(hugepageFiles(), before);

    await bench.director.start();
    // The new director knows nothing of the connection: it is reset, the client does not hang.
    assert.ok(await until(() => transfer.status !== undefined, 10_000), 'the transfer hangs');
    for (const mode of ALL_MODES) {
      const answers = await httpRequests(lab, `http://${VIP[mode]}/`, 30);
      assert.is(answers.failed, 0, `${mode}: ${answers.trouble}`);
      const dns = await dnsQueries(lab, VIP[mode], 9);
      assert.is(dns.failed, 0, `${mode}: ${dns.trouble}`);
    }
  });

  test('SIGTERM ends it in order: status 0, no TAP, no socket', async () => {
    assert.is(await bench.director.stop(), 0);
    assert.equal(interfaces(), ['b0', 'f0', 'lo']);
    assert.not(readdirSync(lab.directory).includes('director1.sock'));
  });
}

test.run();
