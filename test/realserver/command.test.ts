// lab
// timeout: 180
/** `sluice realserver` as a program: its errors, its life, its ways to hang on an interface. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { until } from '../../src/lab/command.js';
import { sluiceCommand } from '../../src/lab/director.js';
import { VIP } from '../../src/lab/topology.js';
import { native } from '../../src/native.js';
import type { RealserverNative } from '../../src/realserver/types.js';
import { skip } from '../support/skip.js';
import { CLIENT, DIP, labOrSkip, PORT, RIP, type UdpResult } from './support.js';

const lab = await labOrSkip('sluice realserver');
const WHOLE = ['--interface', 'b0', '--director', DIP, '--vip', VIP.enat];

if (lab) {
  const rs1 = lab.lab.ns('rs1');
  const sluice = (...args: string[]) =>
    rs1.try([...sluiceCommand(), 'realserver', ...args], { timeout: 20_000 });
  test.after(() => lab.destroy());
  test.after.each(() => lab.stopAgents());

  for (const [sentence, args, status, said] of [
    [
      'an interface that is not there',
      ['--interface', 'nosuch0', '--director', DIP, '--vip', VIP.enat],
      1,
      /no interface nosuch0.*\[ERR_REALSERVER_INTERFACE\]/,
    ],
    [
      'a cgroup that is none',
      [...WHOLE, '--cgroup', '/tmp'],
      1,
      /\/tmp is not in a cgroup2.*\[ERR_REALSERVER_CGROUP\]/,
    ],
    ['a cgroup that is not there', [...WHOLE, '--cgroup', '/nosuch'], 1, /ERR_REALSERVER_CGROUP/],
    ['a folder that is in no bpf file system', [...WHOLE, '--pin', '/tmp/x'], 1, /SERVER_PIN\]/],
    ['an address that is none', [...WHOLE, '--vip', '203.0.113'], 2, /Not an IPv4 address/],
    ['a prefix that is none', [...WHOLE, '--director', '198.51.100.0/33'], 2, /Neither an IPv4/],
    ['a mode that is none', [...WHOLE, '--mode', 'tun,dr'], 2, /'dr' is none of tun, toa, enat/],
    ['a kind TCP uses itself', [...WHOLE, '--toa-kind', '8'], 2, /from 9 to 254/],
    ['no interface', ['--director', DIP, '--vip', VIP.enat], 2, /--interface/],
  ] as const) {
    test(`refuses ${sentence}`, () => {
      const result = sluice(...args);
      assert.is(result.status, status, result.stderr);
      assert.match(result.stderr, said);
      assert.not.match(result.stderr, /\n {4}at /);
    });
  }

  test('says what is missing without privilege', () => {
    const nobody = ['setpriv', '--reuid=65534', '--clear-groups', '--bounding-set=-all'];
    const argv = [...nobody, '--inh-caps=-all', ...sluiceCommand(), 'realserver', ...WHOLE];
    const result = rs1.try(argv, { timeout: 20_000 });
    // An unprivileged user may not even be able to read the checkout; then Node says so.
    if (/EACCES|Cannot find module/.test(result.stderr)) {
      skip('says what is missing without privilege', 'nobody may not read this checkout');
      return;
    }
    assert.match(result.stderr, /ERR_REALSERVER_PRIVILEGE/);
  });

  test('says which BPF object is missing', () => {
    const addon = native() as unknown as RealserverNative;
    try {
      addon.realserverAttach({
        ...{ interfaces: ['lo'], objectDir: '/nosuch', directors: [], vips: [] },
        ...{ toaKind: 254, modes: ['tun'] },
      });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code: string }).code, 'ERR_REALSERVER_OBJECT');
      assert.match((error as Error).message, '/nosuch/client.bpf.o');
    }
  });

  test('prints what it did, counts on SIGUSR1, takes all off on SIGINT', async () => {
    const agent = rs1.spawn([...sluiceCommand(), 'realserver', ...WHOLE]);
    assert.ok(await until(() => agent.stdout.includes('ready\n'), 10_000), agent.output);
    for (const program of ['client_ingress', 'client_egress', 'tunnel_ingress', 'getpeername4']) {
      assert.match(agent.stdout, new RegExp(`${program} +on (b0|/) +by (tcx|cgroup)`));
    }
    agent.signal('SIGUSR1');
    assert.ok(await until(() => agent.stdout.includes('nothing counted yet')));
    agent.signal('SIGINT');
    assert.is(await agent.wait(), 0);
    assert.match(agent.stdout, /detached\n$/);
  });

  test('attaches what the chosen modes need and no more', async () => {
    const agent = await lab.agent([VIP.tun], ['--mode', 'tun']);
    assert.equal(
      agent.attachments.map(({ program }) => program),
      ['client_egress', 'tunnel_ingress'],
    );
  });

  for (const attach of ['tcx', 'clsact']) {
    test(`by ${attach} all of it works, and nothing is left behind`, async () => {
      await lab.direct([
        { protocol: 6, listen: [VIP.fullnat, 80], mode: 'fullnat', server: [RIP, PORT] },
        { protocol: 17, listen: [VIP.fullnat, 80], mode: 'fullnat', server: [RIP, PORT] },
        { protocol: 6, listen: [VIP.enat, 80], mode: 'enat', server: [RIP, PORT] },
        { protocol: 6, listen: [VIP.tun, PORT], mode: 'tun', server: [RIP, PORT] },
      ]);
      const agent = await lab.agent([VIP.fullnat, VIP.enat, VIP.tun], ['--attach', attach]);
      assert.equal(
        agent.attachments.filter(({ where }) => where === 'b0').map(({ how }) => how),
        [attach, attach, attach],
      );
      for (const [vip, port] of [
        [VIP.fullnat, 80],
        [VIP.enat, 80],
        [VIP.tun, PORT],
      ] as const) {
        const result = await lab.client('tcp', vip, port, '--give', 100_000, '--take', 100_000);
        assert.equal([result.error, result.given, result.taken], [undefined, 100_000, true]);
        assert.equal(result.seen.getpeername, result.own);
      }
      const udp = await lab.client<UdpResult>('udp', VIP.fullnat, 80);
      assert.is(udp.seen[0]![0], CLIENT);
      assert.is(await agent.stop(), 0);
      assert.not.match(rs1.exec(['tc', 'qdisc', 'show', 'dev', 'b0']), 'clsact');
    });
  }

  test('clsact of others stays where it is', async () => {
    rs1.exec(['tc', 'qdisc', 'add', 'dev', 'b0', 'clsact']);
    try {
      const agent = await lab.agent([VIP.enat], ['--attach', 'clsact']);
      await agent.stop();
      assert.match(rs1.exec(['tc', 'qdisc', 'show', 'dev', 'b0']), 'clsact');
      assert.is(rs1.exec(['tc', 'filter', 'show', 'dev', 'b0', 'ingress']), '');
    } finally {
      rs1.exec(['tc', 'qdisc', 'del', 'dev', 'b0', 'clsact']);
    }
  });

  test('killed outright, it leaves nothing attached', async () => {
    await lab.direct([
      { protocol: 6, listen: [VIP.fullnat, 80], mode: 'fullnat', server: [RIP, PORT] },
    ]);
    const agent = await lab.agent([VIP.fullnat]);
    const before = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(before.seen.accept, before.own);
    agent.process.signal('SIGKILL');
    await agent.process.wait();
    const after = await lab.client('tcp', VIP.fullnat, 80);
    assert.equal(after.seen.accept, lab.flows.at(-1)!.local);
  });
}

test.run();
