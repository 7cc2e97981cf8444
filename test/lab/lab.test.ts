import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { run, runRaw } from '../../src/lab/command.js';
import { BIG_BYTES, DNS_NAME, DnsServer, HttpServer, IperfServer } from '../../src/lab/fixtures.js';
import { Lab, type LabOptions } from '../../src/lab/lab.js';
import { LabProcess } from '../../src/lab/namespace.js';
import { directoryOf, sweep } from '../../src/lab/registry.js';
import { CLIENT, natServer, realServer } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const namespacesOf = (id: string) =>
  run(['ip', 'netns', 'list'])
    .split('\n')
    .filter((line) => line.startsWith(`sl${id}-`));

/** Nothing of a lab is left: what is in its namespaces is found by them, so they go last. */
function assertGone(id: string): void {
  assert.equal(namespacesOf(id), []);
  assert.not(existsSync(directoryOf(id)));
}

/** Starts a process that holds a lab; resolves with the lab's id. */
async function holder(...args: string[]): Promise<{ child: ChildProcess; id: string }> {
  const argv = ['--import', 'tsx', 'test/lab/holder.ts', ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  const id = await new Promise<string>((done, fail) => {
    child.stdout!.once('data', (chunk: Buffer) => done(chunk.toString().trim()));
    child.once('exit', (code) => fail(new Error(`the holder ended with ${code}`)));
  });
  return { child, id };
}

const ended = (child: ChildProcess) =>
  new Promise<number | null>((done) => child.once('exit', (code) => done(code)));

function lives(pid: number): boolean {
  return runRaw(['kill', '-0', String(pid)]).status === 0;
}

if (process.getuid?.() !== 0) {
  skip('the lab', 'network namespaces need root');
} else {
  const lab = (name: string, options: LabOptions, body: (lab: Lab) => Promise<void>) =>
    test(name, async () => {
      const id = await Lab.use(options, async (made) => {
        await body(made);
        return made.id;
      });
      assertGone(id);
    });

  lab('the client reaches the real servers through the router', { realServers: 2 }, async (lab) => {
    for (const n of [1, 2]) {
      const { status } = lab.ns('client').try(['ping', '-c', '1', '-W', '2', realServer(n)]);
      assert.is(status, 0, `rs${n} does not answer`);
    }
  });

  lab("a server's NAT address has the director as its gateway", { realServers: 1 }, async (lab) => {
    const route = (from: string) =>
      lab.ns('rs1').exec(['ip', 'route', 'get', CLIENT, 'from', from]).split('\n')[0]!;
    assert.match(route(natServer(1)), / via 198\.51\.100\.1 /);
    assert.match(route(realServer(1)), / via 198\.51\.100\.254 /);
  });

  lab(
    'a server does not answer ARP for the VIPs on its loopback',
    { realServers: 1, loopbackVips: ['203.0.113.20'] },
    async (lab) => {
      const router = lab.ns('router');
      router.ip('route add 203.0.113.20/32 dev b0');
      const { status } = router.try(['ping', '-c', '1', '-W', '1', '203.0.113.20']);
      assert.is.not(status, 0);
      const neighbour = router.exec(['ip', 'neigh', 'show', '203.0.113.20']);
      assert.not.match(neighbour, /lladdr/);
    },
  );

  lab(
    'nginx, iperf3 and dnsmasq serve, and say whom they served',
    { realServers: 1 },
    async (lab) => {
      const client = lab.ns('client');
      const rip = realServer(1);
      const http = await HttpServer.start(lab, 'rs1');
      const dns = await DnsServer.start(lab, 'rs1');
      await IperfServer.start(lab, 'rs1');

      for (const port of [80, 8080]) {
        assert.is(client.exec(['curl', '-sS', `http://${rip}:${port}/`]), `rs1 ${CLIENT}\n`);
      }
      assert.equal([...(await http.seen(2))], [[CLIENT, 2]]);
      const big = client.exec([
        'curl',
        '-sS',
        '-o',
        '/dev/null',
        '-w',
        '%{size_download}',
        `${rip}/big`,
      ]);
      assert.is(Number(big), BIG_BYTES);

      const answer = client.exec(['dig', '+short', '+tries=1', `@${rip}`, 'TXT', DNS_NAME]);
      assert.is(answer.trim(), '"rs1"');
      assert.equal([...dns.clients()], [[CLIENT, 1]]);

      const json = client.exec(['iperf3', '-J', '-c', rip, '-n', '1M']);
      assert.ok(JSON.parse(json).end.sum_sent.bytes >= 1 << 20);
      assert.ok(JSON.parse(json).end.sum_received.bytes > 0);
    },
  );

  test('a line that comes in pieces is read when it is whole, and the last one without its end', async () => {
    const argv = ['sh', '-c', 'printf "ready "; sleep 0.3; echo 20; printf more'];
    const seen: string[] = [];
    const process = new LabProcess(spawn(argv[0]!, argv.slice(1)), argv, {});
    const watch = setInterval(() => seen.push(process.stdout), 10);
    assert.is(await process.wait(), 0);
    clearInterval(watch);
    assert.is(process.stdout, 'ready 20\nmore');
    assert.not(seen.includes('ready '), 'a piece was seen');
  });

  test('two labs at once do not touch each other', async () => {
    const [one, two] = await Promise.all([
      Lab.create({ realServers: 1 }),
      Lab.create({ realServers: 1 }),
    ]);
    assert.is.not(one.id, two.id);
    const sleeper = two.ns('rs1').spawn(['sleep', '600']);
    await one.destroy();
    assertGone(one.id);
    assert.ok(lives(sleeper.pid));
    const ping = ['ping', '-c', '1', '-W', '2', realServer(1)];
    assert.is(two.ns('client').try(ping).status, 0);
    await two.destroy();
    assertGone(two.id);
    await sleeper.wait();
    assert.not.ok(lives(sleeper.pid));
  });

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} takes the lab down`, async () => {
      const { child, id } = await holder();
      assert.ok(namespacesOf(id).length > 0);
      child.kill(signal);
      assert.is(await ended(child), status);
      assertGone(id);
    });
  }

  test('an uncaught error takes the lab down', async () => {
    const { child, id } = await holder('throw');
    assert.is(await ended(child), 1);
    assertGone(id);
  });

  test('after SIGKILL the next start removes what is left, and no living lab', async () => {
    const { child, id } = await holder();
    const other = await Lab.create({ realServers: 1 });
    assert.ok(sweep().alive.includes(id), 'its owner still lives');
    child.kill('SIGKILL');
    await ended(child);
    assert.ok(namespacesOf(id).length > 0, 'nobody has cleaned up yet');
    const { removed, alive } = sweep();
    assert.ok(removed.includes(id));
    assert.ok(alive.includes(other.id));
    assertGone(id);
    assert.ok(namespacesOf(other.id).length > 0);
    await other.destroy();
  });
}

test.run();
