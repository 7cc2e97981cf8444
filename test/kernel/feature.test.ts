/** Addresses, routes and rules in a kernel of their own: a namespace, iproute2 and nothing else. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseConfig } from '../../src/config/load.js';
import { KernelState } from '../../src/kernel/feature.js';
import type { Run } from '../../src/kernel/run.js';
import { until } from '../../src/lab/command.js';
import type { Logger } from '../../src/log.js';
import { Memory } from '../../src/supervisor/memory.js';
import { BASE } from '../config/support.js';
import { skip } from '../support/skip.js';

const SPACE = `sl-kernel-${process.pid}`;
const ip = (...args: string[]) => spawnSync('ip', ['-n', SPACE, ...args], { encoding: 'utf8' });
const run: Run = async (args, input = '') => {
  const { status, stdout, stderr } = spawnSync('ip', ['-n', SPACE, ...args], {
    input,
    encoding: 'utf8',
  });
  return { status: status ?? undefined, output: stdout, errors: stderr };
};

const logged: string[] = [];
const say = (text: string) => logged.push(text);
const log = { info: say, warn: say, error: say } as unknown as Logger;

const begin = (memory = new Memory()) => new KernelState({ log, memory, run });
const model = (text: string) => parseConfig(`${BASE}${text}`, 'x.yaml').model;
const NONE = new Set<string>();
const MASTER = new Set(['VI_1']);
const instance = (keys: string) =>
  `vrrp: { instances: [{ name: VI_1, port: front, routerId: 51, addresses: [192.0.2.100], ${keys} }] }\n`;
const VIRTUAL = instance(
  `routes: ['198.18.1.0/24 via 10.99.0.2 dev k0', 'unreachable 198.18.2.0/24', '2001:db8:5::/48 dev k0'], rules: ['from 198.18.0.0/16 table 5 priority 100']`,
);

const routes = (family: string, ...more: string[]) =>
  ip(`-${family}`, 'route', 'show', 'table', 'all', 'proto', '112', ...more)
    .stdout.split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
const rules = () => ip('-4', 'rule', 'show').stdout.match(/.*proto 112/g) ?? [];
const all = () => [...routes('4'), ...routes('6'), ...rules()];
const becomes = async (count: number) => {
  await until(() => all().length === count, 10_000);
  assert.is(all().length, count, `${all().join('\n')}\n${logged.join('\n')}`);
};

if (process.getuid?.() !== 0) {
  skip('routes in a kernel', 'namespaces need root');
} else {
  test.before(() => {
    assert.is(spawnSync('ip', ['netns', 'add', SPACE]).status, 0);
    ip('link', 'add', 'k0', 'type', 'veth', 'peer', 'name', 'k1');
    for (const name of ['lo', 'k0', 'k1']) ip('link', 'set', name, 'up');
    ip('address', 'add', '10.99.0.1/24', 'dev', 'k0');
  });
  test.after(() => {
    spawnSync('ip', ['netns', 'delete', SPACE]);
  });

  test('they come with the role, and go with it; a reload changes what it says', async () => {
    const kernel = begin();
    kernel.adopt(model(VIRTUAL));
    kernel.follow(MASTER);
    assert.equal(all(), [], 'nothing before it may');
    kernel.open();
    await becomes(4);
    assert.equal(routes('4'), ['198.18.1.0/24 via 10.99.0.2 dev k0', 'unreachable 198.18.2.0/24']);
    assert.match(routes('6').join(), /^2001:db8:5::\/48 dev k0/);
    assert.match(rules().join(), /^100:\s+from 198.18.0.0\/16 lookup 5 proto 112$/);
    kernel.follow(NONE);
    await becomes(0);
    kernel.follow(MASTER);
    await becomes(4);
    kernel.adopt(
      model(instance(`routes: ['unreachable 198.18.2.0/24', 'unreachable 198.18.3.0/24']`)),
    );
    kernel.follow(MASTER);
    const left = 'unreachable 198.18.2.0/24,unreachable 198.18.3.0/24';
    await until(() => all().join() === left, 10_000);
    assert.is(all().join(), left);
    await kernel.stop();
    assert.equal(all(), []);
  });

  test('the next control plane finds them in place, and nothing moves', async () => {
    const memory = new Memory();
    const first = begin(memory);
    first.adopt(model(VIRTUAL));
    first.follow(MASTER);
    first.open();
    await becomes(4);
    const monitor: string[] = [];
    const next = new KernelState({
      log,
      memory,
      run: async (args, input) => {
        const before = all();
        const ran = await run(args, input);
        if (before.join() !== all().join()) monitor.push(`${args} ${input}`);
        return ran;
      },
    });
    next.adopt(model(VIRTUAL));
    next.follow(MASTER);
    next.open();
    await next.stop();
    // Only the end has moved anything.
    assert.is(monitor.filter((one) => !one.includes(' del ')).length, 0, monitor.join('\n'));
    assert.equal(all(), []);
  });

  test('what a director has left that died goes at the next start, and nothing of others', async () => {
    ip('route', 'add', 'unreachable', '198.18.9.0/24', 'proto', '112');
    ip('route', 'add', 'unreachable', '198.18.10.0/24', 'proto', 'static');
    ip('-6', 'route', 'add', 'unreachable', '2001:db8:9::/48', 'proto', '112');
    ip('route', 'add', '198.18.11.0/24', 'dev', 'k0', 'table', '77', 'proto', '112');
    ip('rule', 'add', 'from', '198.18.9.0/24', 'table', '77', 'protocol', '112');
    ip('rule', 'add', 'from', '198.18.10.0/24', 'table', '77');
    await becomes(4);
    const kernel = begin();
    kernel.adopt(model(instance(`routes: ['unreachable 198.18.2.0/24']`)));
    kernel.follow(NONE);
    kernel.open();
    await becomes(0);
    assert.match(logged.join('\n'), /2 routes and 1 rules of a director that has died are removed/);
    assert.match(ip('route').stdout, /198\.18\.10\.0/);
    assert.match(ip('rule').stdout, /198\.18\.10\.0/);
    await kernel.stop();
  });

  test('what the kernel refuses is told once, with its line; the others are added', async () => {
    logged.length = 0;
    const kernel = begin();
    const lines = [
      '198.18.1.0/24 via 10.77.0.2 dev k0',
      '198.18.2.0/24 dev nosuch',
      'unreachable 198.18.3.0/24',
    ];
    // iproute2 itself ends at this one.
    const last = '198.18.4.0/24 dev k0 encap ip id 5 flags 4';
    kernel.adopt(
      model(
        instance(
          `routes: [${[...lines, last].map((one) => `'${one}'`).join()}, 'unreachable 198.18.5.0/24']`,
        ),
      ),
    );
    kernel.follow(MASTER);
    kernel.open();
    await until(() => logged.length >= 4, 10_000);
    await becomes(2);
    const told = logged.join('\n');
    assert.match(
      told,
      /kernel: route 198\.18\.1\.0\/24 via 10\.77\.0\.2 dev k0: .*(gateway|unreachable)/i,
    );
    assert.match(told, /kernel: route 198\.18\.2\.0\/24 dev nosuch: Cannot find device "nosuch"/);
    assert.match(told, /kernel: route 198\.18\.4\.0\/24 dev k0 encap .*: .*flags/);
    const count = logged.length;
    kernel.adopt(model(instance(`routes: [${lines.map((one) => `'${one}'`).join()}]`)));
    kernel.follow(MASTER);
    await until(() => logged.length > count, 10_000);
    await becomes(1);
    assert.equal(
      logged.slice(count).filter((line) => line.includes('nosuch')),
      [],
    );
    await kernel.stop();
    assert.equal(all(), []);
  });

  test('static addresses, routes and rules: at start, kept by a reload, gone at the end', async () => {
    const text = (more: string) =>
      `kernel:\n  addresses: [198.51.100.77/24 dev k0, 10.99.0.1/24 dev k0${more}]\n  routes: ['198.18.20.0/24 via 198.51.100.78']\n`;
    const addresses = () => ip('-4', '-o', 'address', 'show', 'dev', 'k0').stdout;
    const kernel = begin();
    kernel.adopt(model(text('')));
    kernel.follow(NONE);
    kernel.open();
    await becomes(1);
    assert.match(addresses(), /198\.51\.100\.77\/24/);
    kernel.adopt(model(text(', 198.51.100.79/24 dev k0')));
    kernel.follow(NONE);
    await until(() => addresses().includes('100.79'), 5_000);
    assert.match(addresses(), /100\.77[\s\S]*100\.79/);
    await kernel.stop();
    assert.equal(all(), []);
    assert.not.match(addresses(), /198\.51\.100/);
    assert.match(addresses(), /10\.99\.0\.1/, 'what was there before stays');
  });
}

test.run();
