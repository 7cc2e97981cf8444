// timeout: 300
/**
 * Routes and rules of a VRRP instance in a director that lives: with its role, across a control plane
 * that crashes and a hot upgrade, after it was killed, as a user who is not root.
 */
import { renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { endSuccessor } from '../../bench/upgrade/course.js';
import type { StatusReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import { pairPorts, SHARED, said } from '../../src/lab/pair.js';
import { ROUTER } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

/** `lab` belongs to the user as well. */
const USER = 'nobody';
const ROUTES = [`198.18.77.0/24 via ${ROUTER.front} dev f0`, 'unreachable 198.18.78.0/24 no_track'];

const conf = (routes: readonly string[], more = '') => `vrrp_instance VI_1 {
    interface f0
    virtual_router_id 51
    priority 200
    advert_int 1
    virtual_ipaddress {
        ${SHARED}
    }
    ${more}
    virtual_routes {
        ${routes.join('\n        ')}
    }
    virtual_rules {
        from 198.18.78.0/24 blackhole preference 300
    }
}
static_routes {
    blackhole 198.18.79.0/24 no_track
}
`;

async function walk(lab: Lab): Promise<void> {
  const socket = lab.path('director1.sock');
  // Its role stays, however busy the machine is.
  const own = pairPorts(lab, 1, socket).replace('director:\n', `director:\n  user: ${USER}\n`);
  const yaml = `${own}vrrp: { lease: 60s }\n`;
  const director = lab.director({
    yaml,
    keepalivedConf: conf(ROUTES),
    socket,
    number: 1,
    nodeArguments: ['--import', fileURLToPath(new URL('./faults.mjs', import.meta.url))],
    env: { SLUICE_TEST_FAULT: lab.path('fault') },
  });
  lab.ns('director1').exec(['chown', '-R', USER, lab.directory]);
  const space = director.namespace;
  const marked = () =>
    [
      ...space.exec(['ip', 'route', 'show', 'table', 'all', 'proto', '112']).split('\n'),
      ...(space.exec(['ip', 'rule', 'show']).match(/from .*proto 112/g) ?? []),
    ]
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .sort();
  const becomes = async (wanted: readonly string[]) => {
    await until(() => marked().join() === wanted.join(), 20_000);
    assert.equal(marked(), wanted, director.log);
  };
  const STATIC = 'blackhole 198.18.79.0/24';
  const RULE = 'from 198.18.78.0/24 blackhole proto 112';
  const ALL = [
    `198.18.77.0/24 via ${ROUTER.front} dev slfront`,
    STATIC,
    RULE,
    'unreachable 198.18.78.0/24',
  ].sort();

  await director.start();
  const owner = space.exec(['ps', '-o', 'user=', '-p', String(await pidOf(director))]);
  assert.is(owner.trim(), USER);
  await said(director, '(VI_1) Entering MASTER STATE');
  await becomes(ALL);

  // Whatever the kernel is told from here on.
  const monitor = space.spawn(['ip', 'monitor', 'route', 'rule']);
  lab.write('fault.new', 'crash');
  renameSync(lab.path('fault.new'), lab.path('fault'));
  await said(director, 'control plane crashed');
  await until(async () => (await statusOf(director))?.controlRestarts === 1, 20_000);
  const upgraded = director.cli('upgrade');
  assert.is(upgraded.status, 0, `${upgraded.stderr}${director.log}`);
  await said(director, 'has taken over');
  assert.equal(marked(), ALL);
  await quiet(monitor, director.log);

  // The new process's log is nobody's from here on, as its parent has ended.
  // A reload that no longer lists one; then the role goes, and what follows it.
  lab.write('director1/keepalived.conf', conf(ROUTES.slice(1)));
  await director.reload();
  await becomes(ALL.filter((line) => !line.includes('77')));
  lab.write('director1/keepalived.conf', conf(ROUTES, 'track_interface {\n nosuch0\n }'));
  await director.reload();
  await becomes([STATIC]);
  lab.write('director1/keepalived.conf', conf(ROUTES));
  await director.reload();
  await becomes(ALL);

  // Killed: what goes with no interface stays, until the next one finds it.
  process.kill(await pidOf(director), 'SIGKILL');
  await until(() => !marked().join().includes('slfront'), 10_000);
  assert.equal(marked(), [STATIC, RULE, 'unreachable 198.18.78.0/24'].sort());
  lab.write('director1/keepalived.conf', conf([`198.18.80.0/24 via ${ROUTER.front}`]));
  await director.kill9();
  await director.start();
  await said(director, 'of a director that has died are removed');
  await becomes([`198.18.80.0/24 via ${ROUTER.front} dev slfront`, STATIC, RULE].sort());
  await director.stop();
  assert.equal(marked(), []);
}

const statusOf = (director: Director) =>
  (director.get('/v1/status') as Promise<StatusReport>).catch(() => undefined);

async function pidOf(director: Director): Promise<number> {
  return ((await director.get('/v1/status')) as StatusReport).pid;
}

/** Nothing of what is marked has moved, unless the role did: workers of a busy machine may hang. */
async function quiet(monitor: LabProcess, log: string): Promise<void> {
  await monitor.stop();
  const moved = monitor.output.split('\n').filter((line) => /proto 112|198\.18\.7/.test(line));
  const faults = log.match(/\(VI_1\) (Entering FAULT STATE|worker \d+ hangs)/g) ?? [];
  if (faults.length === 0) assert.equal(moved, [], log);
}

if (process.getuid?.() !== 0) {
  skip('routes of a director in the lab', 'network namespaces need root');
} else {
  test('routes and rules follow the role, and nothing else moves them', async () => {
    await Lab.use({ realServers: 0 }, async (lab) => {
      try {
        await walk(lab);
      } finally {
        for (const director of lab.directors) await endSuccessor(director);
      }
    });
  });
}

test.run();
