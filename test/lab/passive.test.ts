// timeout: 120
/** Passive checks in the lab: no check asks, and yet a server that fails clients is taken out. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import type { Director } from '../../src/lab/director.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const ROLES = ['rs1', 'rs2', 'rs3'];
const passive =
  '    health: { passive: { failures: 3, ejection: 4s, maxEjection: 8s, maxEjected: 67 } }\n';

let lab: Lab;
let director: Director;
const http = new Map<string, HttpServer>();

const upOf = async () =>
  ((await director.get('/v1/services')) as ServiceReport[])
    .find(({ name }) => name === 'fullnat-http')
    ?.servers.map(({ up }) => (up ? '1' : '0'))
    .join('');

/** Clients try until the servers are as expected; a try takes a second at the most. */
async function becomes(pattern: string): Promise<void> {
  const there = await until(async () => {
    const argv = ['curl', '-s', '-o', '/dev/null', '--max-time', '1.5', `http://${VIP.fullnat}/`];
    const tries = Array.from({ length: 6 }, () => lab.ns('client').spawn(argv).wait());
    await Promise.all(tries);
    return (await upOf()) === pattern;
  }, 30_000);
  assert.ok(there, `${await upOf()}, expected ${pattern}: ${director.log}`);
}

/** Thirty requests in a row are answered, by all of these. A server may be back on probation before. */
async function served(expected: string[]): Promise<void> {
  let seen = '';
  const there = await until(async () => {
    const answers = await httpRequests(lab, `http://${VIP.fullnat}/`, 30);
    seen = `${[...answers.servers.keys()].sort()}; ${answers.failed} failed ${answers.trouble}`;
    return answers.failed === 0 && seen.startsWith(`${expected};`);
  }, 30_000);
  assert.ok(there, `${seen}, expected ${expected}: ${director.log}`);
}

if (process.getuid?.() !== 0) {
  skip('passive checks in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    for (const role of ROLES) http.set(role, await HttpServer.start(lab, role));
    const socket = lab.path('director1.sock');
    const yaml = fiveModesYaml(lab, socket, { modes: ['fullnat'] });
    director = lab.director({
      yaml: yaml.replace(/(- name: fullnat-http\n)/, `$1${passive}`),
      socket,
    });
    await director.start();
    await served(ROLES);
  });
  test.after(() => lab.destroy());

  test('nginx stopped: its resets take it out; started again, it is back after its time', async () => {
    await http.get('rs1')?.process.stop();
    await becomes('011');
    assert.match(
      director.log,
      /PASSIVE_CHECK on service \[198\.51\.100\.11\]:tcp:8080 failed: \d+ connections in a row refused or unanswered; out for 4 s\./,
    );
    http.set('rs1', await HttpServer.start(lab, 'rs1'));
    await becomes('111');
    await served(ROLES);
  });

  test('port filtered: clients repeat their SYNs, which nobody answers', async () => {
    const rules =
      'add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in tcp dport 8080 drop';
    lab.ns('rs2').exec(['nft', rules]);
    await becomes('101');
    await served(['rs1', 'rs3']);
    lab.ns('rs2').exec(['nft', 'delete table ip t']);
    await becomes('111');
  });
}

test.run();
