// timeout: 300
/** VRRP between Sluice and Debian's keepalived: each takes over from the other. */
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { VrrpReport } from '../../src/api/types.js';
import { sleep, until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { Lab } from '../../src/lab/lab.js';
import type { LabProcess } from '../../src/lab/namespace.js';
import {
  holder,
  keepalivedConf,
  type PairOptions,
  pairPorts,
  pairYaml,
  SHARED,
  said,
  startKeepalived,
  startSluice,
} from '../../src/lab/pair.js';
import { directorFront, directorMac, ROUTER } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

type Case = PairOptions & { what: string; name: string; shared: string };

/** All in one pair: an instance each, with an address each. */
const CASES: Case[] = (
  [
    ['version 3, multicast', { version: 3, advertMs: 100 }],
    ['version 3, a group of its own', { version: 3, advertMs: 100, group: '239.1.2.3' }],
    ['version 3, unicast', { version: 3, advertMs: 100, unicast: true }],
    ['version 3, virtual MAC', { version: 3, advertMs: 100, virtualMac: true }],
    ['version 2 with a password', { version: 2, advertMs: 1000, password: 's3cret' }],
    ['version 2 by AH', { version: 2, advertMs: 1000, password: 's3cret', ah: true }],
    ['AH, unicast', { version: 2, advertMs: 1000, password: 's3cret', ah: true, unicast: true }],
    ['IPv6, multicast', { version: 3, advertMs: 100, v6: true }],
    ['IPv6, a group of its own', { version: 3, advertMs: 100, v6: true, group: 'ff02::112' }],
    ['IPv6, unicast', { version: 3, advertMs: 100, v6: true, unicast: true }],
    ['IPv6, virtual MAC', { version: 3, advertMs: 100, v6: true, virtualMac: true }],
  ] as [string, PairOptions][]
).map(([what, options], index) => {
  const shared = `${options.v6 ? '2001:db8:1::1' : '192.0.2.1'}${10 + index}`;
  return { what, ...options, name: `VI_${1 + index}`, routerId: 51 + index, shared };
});
/** AH with another password on each side. */
const STRANGERS: PairOptions = {
  version: 2,
  advertMs: 1000,
  name: 'VI_STRANGE',
  routerId: 99,
  shared: '192.0.2.199',
  password: 's3cret',
  otherPassword: 's3creT',
  ah: true,
};
const byAh = CASES.find(({ what }) => what === 'version 2 by AH') as Case;

const LEASE_MS = 500;
const REPLAY = new URL('replay.py', import.meta.url).pathname;

const answers = (lab: Lab, address = SHARED) =>
  until(() => lab.ns('router').try(['ping', '-c', '1', '-W', '1', address]).status === 0, 10_000);

const others: LabProcess[] = [];

function other(lab: Lab, options: PairOptions, text?: string): LabProcess {
  const started = startKeepalived(lab, 2, options, text);
  others.push(started);
  return started;
}

/** Every frame of VRRP on the link, dissected. */
async function dissect(lab: Lab) {
  const filter = 'proto 112 or proto 51 or ip6 proto 112 or (icmp6 and ip6[40] == 136)';
  const argv = ['-i', 'f0', '-l', '-V', '-o', 'ip.check_checksum:TRUE', '-f', filter];
  const dump = lab.ns('router').spawn(['tshark', ...argv]);
  await until(() => dump.output.includes('Capturing'), 10_000);
  return dump;
}

/** Hears an advert by AH, to play it again. */
const recorder = (lab: Lab, source: string) => {
  const argv = ['python3', REPLAY, 'f0', source, String(byAh.routerId)];
  const started = lab.ns('router').spawn(argv);
  others.push(started);
  return started;
};

/** A pair in which both have an instance of each case. */
class Interop {
  readonly lab: Lab;
  keepalived!: LabProcess;
  director!: Director;
  dump!: LabProcess;
  #theirs!: LabProcess;
  #ours!: LabProcess;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  /** keepalived is master, and the router knows where all addresses are. */
  async begin(): Promise<void> {
    const { lab } = this;
    const all: PairOptions[] = [...CASES, STRANGERS];
    this.#theirs = recorder(lab, directorFront(2));
    this.keepalived = other(lab, { v6: true }, keepalivedConf(2, all[0], all.slice(1)));
    for (const { name } of all) await said(this.keepalived, `(${name}) Entering MASTER`);
    // The router has to know an address, to be told of another holder.
    for (const { what, shared } of CASES) assert.ok(await answers(lab, shared), what);
    await said(this.#theirs, 'heard');
    this.dump = await dissect(lab);
    this.director = await startSluice(lab, 1, all[0] as PairOptions, all.slice(1));
    for (const { name } of all) await said(this.director, `(${name}) Entering MASTER STATE`);
    this.#ours = recorder(lab, directorFront(1));
  }

  async reportOf(name: string | undefined) {
    const { instances } = (await this.director.get('/v1/vrrp')) as VrrpReport;
    return instances.find((one) => one.name === name) as VrrpReport['instances'][0];
  }

  async sluiceIsMaster(one: Case): Promise<void> {
    const { lab, keepalived, director } = this;
    const { name, shared, v6 = false, virtualMac, routerId = 0 } = one;
    await said(keepalived, `(${name}) Entering BACKUP STATE`, 2);
    assert.ok(await answers(lab, shared), director.log);
    const virtual = `00:00:5e:00:0${v6 ? 2 : 1}:${routerId.toString(16)}`;
    const mac = virtualMac ? virtual : directorMac(1, 'front');
    await until(() => holder(lab, shared) === mac, 10_000);
    assert.is(holder(lab, shared), mac);
    const { state, dropped, source } = await this.reportOf(name);
    assert.equal([state, dropped], ['MASTER', {}]);
    assert.is(source, v6 ? 'fe80::ff:fe00:101' : '192.0.2.1');
    if (one.unicast) return;
    const seen = () => this.dump.output.includes(`Source Address: ${source}`);
    assert.ok(await until(seen, 10_000));
  }

  async replaysAreRefused(): Promise<void> {
    this.#theirs.signal('SIGUSR1');
    const counted = async () => ((await this.reportOf(byAh.name)).dropped.replay ?? 0) > 0;
    assert.ok(await until(counted, 10_000), this.director.log);
    await said(this.director, 'it was sent before');
    await said(this.#ours, 'heard');
    this.#ours.signal('SIGUSR1');
    await said(this.keepalived, `(${byAh.name}) IPSEC-AH : sequence number`);
    const { state, becameMaster } = await this.reportOf(byAh.name);
    assert.equal([state, becameMaster], ['MASTER', 1]);
  }

  async anotherKeyIsRefused(): Promise<void> {
    await said(this.keepalived, `(${STRANGERS.name}) IPSEC-AH : invalid`);
    const { state, dropped } = await this.reportOf(STRANGERS.name);
    assert.equal([state, Object.keys(dropped)], ['MASTER', ['auth']]);
    await said(this.director, 'another password, or it was changed');
  }

  async keepalivedIsMaster({ name, shared }: Case): Promise<void> {
    await said(this.keepalived, `(${name}) Entering MASTER STATE`, 2);
    assert.ok(await answers(this.lab, shared));
  }

  async end(): Promise<void> {
    await this.dump.stop();
    assert.match(this.dump.output, /Authentication Header/);
    assert.not.match(this.dump.output, /\[incorrect|Malformed|Expert Info \((Warn|Error)/i);
  }
}

/** As in a tutorial, one for both but for what has to differ. */
const tutorial = (
  n: 1 | 2,
  folder: string,
  priority: number,
) => `! Configuration File for keepalived
global_defs {
   router_id LVS_${n}
   script_user root
}

vrrp_script chk_service {
    script "true"          # a command of PATH
    interval 1
    weight 2
}

vrrp_instance VI_1 {
    state ${n === 1 ? 'MASTER' : 'BACKUP'}
    interface f0
    virtual_router_id 51
    priority ${priority}
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1111
    }
    virtual_ipaddress {
        ${SHARED}/24 dev f0 label f0:1
    }
    track_script {
        chk_service
    }
    notify ${folder}/notify.sh
}
`;

const NOTIFY = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/told"\n';

async function sameFile(lab: Lab): Promise<void> {
  for (const n of [1, 2]) {
    const script = lab.write(`told${n}/notify.sh`, NOTIFY);
    lab.ns(`director${n}`).exec(['chmod', '755', script]);
  }
  const told = (n: number) =>
    readFileSync(lab.path(`told${n}`, 'told'), 'utf8')
      .trim()
      .split('\n');
  const text = (n: 1 | 2, priority: number) => tutorial(n, lab.path(`told${n}`), priority);
  const keepalived = other(lab, {}, text(2, 100));
  const socket = lab.path('director1.sock');
  const yaml = pairPorts(lab, 1, socket);
  const director = lab.director({ yaml, keepalivedConf: text(1, 150), socket, number: 1 });
  await director.start();
  await said(director, '(VI_1) Entering MASTER STATE');
  assert.ok(await answers(lab), director.log);
  // Its script has been good: 150 and 2.
  const { instances } = (await director.get('/v1/vrrp')) as VrrpReport;
  assert.is(instances[0]?.effectivePriority, 152);
  // A reload with a lower priority gives the role away, and nothing else happens.
  // Once more if it was the first to be started, and Sluice came late.
  const before = keepalived.output.split('Entering MASTER STATE').length - 1;
  lab.write('director1/keepalived.conf', text(1, 50));
  await director.reload();
  await said(keepalived, 'Entering MASTER STATE', before + 1);
  await said(director, 'Entering BACKUP STATE', 2);
  assert.match(
    director.log,
    /Master received advert from 192\.0\.2\.2 with higher priority 102, ours 52/,
  );
  await until(() => told(1).length >= 3, 10_000);
  assert.equal(told(1), [
    'INSTANCE VI_1 BACKUP 150',
    'INSTANCE VI_1 MASTER 152',
    'INSTANCE VI_1 BACKUP 52',
  ]);
  assert.match(told(2).join('\n'), /INSTANCE VI_1 BACKUP 10[02]/);
}

/** One end of a session at 50 ms. */
function startBird(lab: Lab, role: string, iface: string, own: string, neighbour: string) {
  const conf = lab.write(
    `${role}/bird.conf`,
    `router id ${own};
protocol device {}
protocol bfd {
  interface "${iface}" { min rx interval 50 ms; min tx interval 50 ms; multiplier 3; };
  neighbor ${neighbour} dev "${iface}" local ${own};
}
`,
  );
  const files = ['-c', conf, '-s', birdSocket(lab, role), '-P', lab.path(role, 'bird.pid')];
  const started = lab.ns(role).spawn(['bird', '-f', ...files]);
  others.push(started);
  return started;
}

const birdSocket = (lab: Lab, role: string) => lab.path(role, 'bird.ctl');

async function followBfd(lab: Lab): Promise<void> {
  const socket = lab.path('director1.sock');
  const bird = birdSocket(lab, 'director1');
  const tracker = `{ name: upstream, type: bfd, neighbour: ${ROUTER.front}, socket: ${bird} }`;
  const yaml = pairYaml(lab, 1, socket, { advertMs: 100 })
    .replace('vrrp:\n', `vrrp:\n  trackers: [${tracker}]\n`)
    .replace('      addresses:', '      track: [{ tracker: upstream }]\n      addresses:');
  const director = lab.director({ yaml, socket, number: 1 });
  await director.start();
  // Nobody keeps the session yet.
  await said(director, '(VI_1) Entering FAULT STATE');
  await said(director, '(VI_1) tracker upstream failed');
  startBird(lab, 'director1', 'slfront', directorFront(1), ROUTER.front);
  let router = startBird(lab, 'router', 'f0', ROUTER.front, directorFront(1));
  for (const times of [1, 2]) {
    await said(director, '(VI_1) Entering MASTER STATE', times);
    const { instances } = (await director.get('/v1/vrrp')) as VrrpReport;
    assert.equal(
      instances[0]?.tracked.map(({ name, good }) => `${name} ${good}`),
      ['upstream true'],
    );
    if (times === 2) break;
    await router.stop();
    await said(director, '(VI_1) Entering FAULT STATE', 2);
    router = startBird(lab, 'router', 'f0', ROUTER.front, directorFront(1));
  }
}

if (process.getuid?.() !== 0 || !existsSync('/usr/sbin/keepalived')) {
  skip('VRRP with keepalived', 'needs root and keepalived');
} else {
  let lab: Lab;
  let interop: Interop;
  test.before(async () => {
    lab = await Lab.create({ directors: 2, realServers: 0 });
    interop = new Interop(lab);
  });
  test.after(() => lab.destroy());
  const stopAll = async () => {
    await Promise.all(lab.directors.map((director) => director.stop()));
    await Promise.all(others.splice(0).map((one) => one.stop()));
  };
  /** A test with a pair of its own. */
  const alone = (what: string, run: () => Promise<void>) =>
    test(what, async () => {
      try {
        await run();
      } finally {
        await stopAll();
      }
    });

  test('Sluice takes over from keepalived in all ways', () => interop.begin());
  for (const one of CASES) {
    test(`${one.what}: Sluice is the master, and the router knows`, () =>
      interop.sluiceIsMaster(one));
  }
  test('an advert of AH that is played again: refused by both, and counted', () =>
    interop.replaysAreRefused());
  test('AH with another password: refused by both, and counted', () =>
    interop.anotherKeyIsRefused());
  test('Sluice stops', async () => {
    await interop.director.stop();
  });
  for (const one of CASES) {
    test(`${one.what}: keepalived takes over`, () => interop.keepalivedIsMaster(one));
  }
  test('no advert of either is complained of by tshark', async () => {
    await interop.end();
    await stopAll();
  });

  alone('the same keepalived.conf for both, and a reload of it', () => sameFile(lab));

  alone('a BFD session that BIRD keeps: without it the instance is in FAULT', () => followBfd(lab));

  alone(
    'a master that is killed is replaced, and one that hangs comes back as a backup',
    async () => {
      const options: PairOptions = { version: 3, advertMs: 100, leaseMs: LEASE_MS };
      const keepalived = other(lab, options);
      await said(keepalived, 'Entering MASTER');
      const director = await startSluice(lab, 1, options);
      await said(director, '(VI_1) Entering MASTER STATE');
      director.process?.signal('SIGSTOP');
      await said(keepalived, 'Entering MASTER STATE', 2);
      await sleep(2 * LEASE_MS);
      director.process?.signal('SIGCONT');
      await said(director, 'the VRRP lease has run out');
      // It has the higher priority: once it has listened, it is master again.
      await said(director, '(VI_1) Entering MASTER STATE', 2);
      await said(keepalived, 'Entering BACKUP STATE', 3);
      await director.kill9();
      await said(keepalived, 'Entering MASTER STATE', 3);
      assert.ok(await answers(lab));
    },
  );
}

test.run();
