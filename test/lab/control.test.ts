// serial: a machine that is starved on purpose
// timeout: 240
/**
 * The control plane crashes, hangs and starves while clients go on asking: nobody is refused, and
 * what the next one knows is what the last one knew.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { HistoryReport, ServiceReport, StatusReport } from '../../src/api/types.js';
import { until } from '../../src/lab/command.js';
import { type Director, sluiceCommand } from '../../src/lab/director.js';
import { fiveModesYaml } from '../../src/lab/five-modes.js';
import { HttpServer } from '../../src/lab/fixtures.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const ROLES = ['rs1', 'rs2', 'rs3'];
const FAULTS = [
  ['crash', /control plane crashed.*a test threw this/, 'ERR_CONTROL_CRASHED'],
  ['loop', /control plane hung.*no sign of life for 4 s/, 'ERR_CONTROL_HUNG'],
  ['starve', /control plane ran out of memory/, 'ERR_CONTROL_MEMORY'],
] as const;

let lab: Lab;
let director: Director;
const http = new Map<string, HttpServer>();

function yaml(): string {
  const health = `    health:
      delayLoop: 200ms
      retry: 1
      delayBeforeRetry: 100ms
      connectTimeout: 400ms
      checks: [{ type: http, path: / }]
`;
  const text = fiveModesYaml(lab, lab.path('director1.sock'), { modes: ['fullnat'] });
  return text.replace(/(- name: fullnat-http\n)/, `$1${health}`);
}

const status = async () => (await director.get('/v1/status')) as StatusReport;
const generations = async () => (await director.get('/v1/history')) as HistoryReport[];
const served = async () => {
  const services = (await director.get('/v1/services')) as ServiceReport[];
  return services.find(({ name }) => name === 'fullnat-http');
};

/** Which servers are up, as rs1 rs2 rs3: `101`. */
async function becomes(pattern: string): Promise<void> {
  let seen: string | undefined;
  const there = await until(async () => {
    // Between two control planes nobody answers.
    const service = await served().catch(() => undefined);
    seen = service?.servers.map(({ up }) => (up ? '1' : '0')).join('');
    return seen === pattern;
  }, 20_000);
  assert.ok(there, `${seen}, expected ${pattern}\n${director.log}`);
}

/** The table as ipvsadm lists it, without what the traffic changes. */
function table(): string {
  const listing = director.namespace.try([
    ...sluiceCommand(),
    'ipvsadm',
    '--socket',
    director.socket,
    '-Sn',
  ]);
  assert.is(listing.status, 0, listing.stderr);
  return listing.stdout;
}

function ipvsadm(...words: string[]): void {
  const command = [...sluiceCommand(), 'ipvsadm', '--socket', director.socket];
  const ran = director.namespace.try([...command, ...words]);
  assert.is(ran.status, 0, ran.stderr);
}

function inject(fault: string): void {
  // Put there as a whole: it is looked for all the time.
  const file = lab.write('fault.new', fault);
  renameSync(file, lab.path('fault'));
}

/** Requests one after another until `done`; how many failed, and who answered. */
async function traffic(done: () => boolean) {
  const servers = new Set<string>();
  let [asked, failed, trouble] = [0, 0, ''];
  do {
    const answers = await httpRequests(lab, `http://${VIP.fullnat}/`, 100);
    asked += answers.asked;
    failed += answers.failed;
    trouble ||= answers.trouble;
    for (const server of answers.servers.keys()) servers.add(server);
  } while (!done());
  return { asked, failed, trouble, servers: [...servers].sort() };
}

if (process.getuid?.() !== 0) {
  skip('a failing control plane in the lab', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    for (const role of ROLES) http.set(role, await HttpServer.start(lab, role));
    const faults = fileURLToPath(new URL('./faults.mjs', import.meta.url));
    lab.ns('client').sysctl({ 'net.ipv4.ip_local_port_range': '20000 49999' });
    director = lab.director({
      yaml: yaml(),
      socket: lab.path('director1.sock'),
      nodeArguments: ['--import', faults],
      runArguments: ['--control-heap', '128', '--control-timeout', '4'],
      env: { SLUICE_TEST_FAULT: lab.path('fault') },
    });
    await director.start();
  });
  test.after(() => lab.destroy());

  test('before: a server is out, and the table has been edited', async () => {
    await becomes('111');
    await http.get('rs3')?.process.stop();
    await becomes('110');
    ipvsadm('-A', '-t', '203.0.113.99:80', '-s', 'wrr');
    ipvsadm('-a', '-t', '203.0.113.99:80', '-r', '198.51.100.11:8080', '-m', '-w', '7');
    assert.match(table(), /-a -t 203\.0\.113\.99:80 -r 198\.51\.100\.11:8080 -m -w 7/);
  });

  for (const [fault, words, code] of FAULTS) {
    test(`${fault}: nobody is refused, and nothing is forgotten`, async () => {
      const before = { table: table(), history: await generations(), status: await status() };
      const counted = await served();
      const from = director.log.length;
      const said = (pattern: RegExp) => pattern.test(director.log.slice(from));
      let over = false;
      const clients = traffic(() => over);
      inject(fault);
      const back = await until(async () => said(/the control plane is back/), 60_000);
      over = true;
      const { asked, failed, trouble, servers } = await clients;
      assert.ok(back, director.log);
      assert.match(director.log.slice(from).replaceAll('\n', ' '), words);
      assert.ok(said(new RegExp(code)));
      assert.is(failed, 0, trouble);
      assert.equal(servers, ['rs1', 'rs2'], 'who was out stays out');

      const now = await status();
      assert.is(now.controlRestarts, before.status.controlRestarts + 1);
      assert.is(now.pid, before.status.pid);
      assert.is(now.generation, before.status.generation);
      assert.equal(now.edits, before.status.edits);
      assert.equal(await generations(), before.history);
      assert.is(table(), before.table);
      // Not all of them: a client's port that comes again finds its old connection.
      const more = ((await served())?.conns ?? 0) - (counted?.conns ?? 0);
      assert.ok(more > asked / 2 && more <= asked, `${more} connections counted of ${asked}`);
    });
  }

  test('a server that fails while the control plane hangs is found by the next one', async () => {
    inject('loop');
    await http.get('rs1')?.process.stop();
    http.set('rs3', await HttpServer.start(lab, 'rs3'));
    await becomes('011');
    // From ports that none of the connections of before have, which keep their server.
    lab.ns('client').sysctl({ 'net.ipv4.ip_local_port_range': '50000 60999' });
    const answers = await httpRequests(lab, `http://${VIP.fullnat}/`, 60);
    assert.is(answers.failed, 0, answers.trouble);
    assert.equal([...answers.servers.keys()].sort(), ['rs2', 'rs3']);
  });

  test('afterwards: changes and a reload as ever, and an orderly end', async () => {
    ipvsadm('-e', '-t', '203.0.113.99:80', '-r', '198.51.100.11:8080', '-m', '-w', '3');
    assert.match(table(), /198\.51\.100\.11:8080 -m -w 3/);
    writeFileSync(director.configPath, yaml().replaceAll('weight: 1', 'weight: 2'));
    director.process?.signal('SIGHUP');
    const weight = async () => (await served())?.servers[0]?.weight === 2;
    assert.ok(await until(weight, 10_000), director.log);
    assert.match(table(), /198\.51\.100\.11:8080 -m -w 3/, 'SIGHUP keeps edits');
    assert.is(await director.stop(), 0, director.log);
  });
}

test.run();
