// timeout: 300
// The running director changed by ipvsadm, all the time, while requests flow: none may fail.

import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ControlClient } from '../../src/api/client.js';
import { Names } from '../../src/ipvsadm/names.js';
import { ipvsadm } from '../../src/ipvsadm/run.js';
import { sleep, until } from '../../src/lab/command.js';
import { type FiveModes, startFiveModes } from '../../src/lab/five-modes.js';
import { Lab } from '../../src/lab/lab.js';
import { httpRequests } from '../../src/lab/load.js';
import { VIP } from '../../src/lab/topology.js';
import { skip } from '../support/skip.js';

const SIP = fileURLToPath(new URL('sip.py', import.meta.url));

/** One run of curl has to end within its -m seconds: in a longer one, transfers of its own fail. */
const BATCH = 400;
const BATCHES = 10;
/** A request takes a millisecond or two: whoever was half-way when its server got weight 0 is done. */
const DRAIN_MS = 300;

let lab: Lab;
let bench: FiveModes;
let client: ControlClient;

async function run(line: string, input = ''): Promise<string> {
  let out = '';
  let complaint = '';
  const status = await ipvsadm(line.split(' '), {
    client,
    names: Names.ofThisMachine(),
    out: (text) => {
      out += text;
    },
    error: (text) => {
      complaint += text;
    },
    input: async () => input,
  });
  assert.is(status, 0, `ipvsadm ${line}: ${complaint}`);
  return out;
}

/** Real servers of a service with how ipvsadm says them: `-r 198.51.100.11:8080 -b`. */
async function serversOf(vip: string): Promise<string[]> {
  const saved = (await run('-Sn'))
    .split('\n')
    .filter((line) => line.startsWith(`-a -t ${vip}:80 `));
  return saved.map((line) => line.replace(/^.* (-r \S+ (-\w|--enat)) .*$/, '$1'));
}

async function active(vip: string, server: string): Promise<number> {
  const [, address, port] = /-r ([\d.]+):(\d+)/.exec(server) ?? [];
  const service = (await client.services()).find((one) => one.address === vip && one.port === 80);
  const found = service?.servers.find(
    (one) => one.address === address && one.port === Number(port),
  );
  return found?.active ?? 0;
}

/** Services come and go, schedulers and weights change, a server is drained, removed, added. */
async function meddle(vip: string, round: number): Promise<void> {
  const servers = await serversOf(vip);
  const server = servers[round % servers.length] as string;
  const service = `-t ${vip}:80`;
  await run(`-A -t ${vip}:${9000 + (round % 10)} -s rr`);
  await run(`-E ${service} -s ${['rr', 'wrr', 'lc', 'wlc', 'sh', 'mh'][round % 6]}`);
  await run(`-e ${service} ${server} -w ${2 + (round % 5)}`);
  await run(`-D -t ${vip}:${9000 + (round % 10)}`);
  await run(`-e ${service} ${server} -w 0`);
  await sleep(DRAIN_MS);
  if (await until(async () => (await active(vip, server)) === 0, 3_000)) {
    await run(`-d ${service} ${server.split(' ').slice(0, 2).join(' ')}`);
    await run(`-a ${service} ${server} -w 1`);
  } else {
    await run(`-e ${service} ${server} -w 1`);
  }
  await run('-Z');
}

if (process.getuid?.() !== 0) {
  skip('ipvsadm on a live director', 'network namespaces need root');
} else {
  test.before(async () => {
    lab = await Lab.create();
    bench = await startFiveModes(lab);
    client = new ControlClient(bench.director.socket);
  });
  test.after(() => lab.destroy());

  for (const mode of ['nat', 'fullnat', 'dr'] as const) {
    test(`${mode}: ${BATCH * BATCHES} requests while the service is edited all the time, none fails`, async () => {
      const vip = VIP[mode];
      const failures: string[] = [];
      let done = false;
      const load = async () => {
        for (let batch = 0; batch < BATCHES; batch++) {
          const { failed, trouble } = await httpRequests(lab, `http://${vip}/`, BATCH);
          if (failed > 0) failures.push(`${failed}: ${trouble}`);
        }
        done = true;
      };
      const loading = load();
      let rounds = 0;
      while (!done) {
        await meddle(vip, rounds++);
        await sleep(10);
      }
      await loading;
      assert.equal(failures, []);
      assert.ok(rounds > 2, `${rounds} rounds`);
      assert.is((await serversOf(vip)).length, 3);
    });
  }

  test('a client that is denied gets no answer, whatever it had open; then it does again', async () => {
    const service = `-t ${VIP.nat}:80`;
    const network = '198.18.0.0/24';
    const ask = () =>
      lab.ns('client').try(['curl', '-s', '-o', '/dev/null', '-m', '2', `http://${VIP.nat}/`])
        .status;
    assert.is(ask(), 0);
    await run(`-U ${service} -k ${network}`);
    assert.match(await run(`-B ${service}`), new RegExp(`^TCP +${VIP.nat}:80 +${network} `, 'm'));
    assert.is(ask(), 28, 'a timeout, and no reset');
    assert.match(bench.director.cli('show', 'drops').stdout, /^denied +dropped +[1-9]/m);
    await run(`-V ${service} -k ${network}`);
    assert.is(ask(), 0);
  });

  test('SIP: a call has its server from whatever port it comes, other calls have others', async () => {
    const roles = ['rs1', 'rs2', 'rs3'] as const;
    const programs = roles.map((role) => lab.ns(role).spawn(['python3', SIP, 'serve', role]));
    for (const program of programs) {
      assert.ok(await until(() => program.stdout.includes('listening\n')), program.output);
    }
    const service = `-u ${VIP.nat}:5060`;
    await run(`-A ${service} -s rr -p 60 --pe sip`);
    for (const server of await serversOf(VIP.nat)) {
      await run(`-a ${service} ${server.replace(/:\d+ /, ':5060 ')}`);
    }
    const ask = (port: number, call: string, field: string) => {
      const line = ['python3', SIP, 'ask', VIP.nat, `${port}`, call, field];
      return lab.ns('client').exec(line).trim();
    };
    const calls = ['4711@192.0.2.9', 'b@c', 'd'];
    const had = calls.map((call, at) => ask(5_060 + at, call, 'Call-ID'));
    assert.equal([...had].sort(), [...roles], 'each call has another one');
    const again = calls.map((call, at) => ask(6_062 - at, call, at === 0 ? 'i' : 'CALL-ID'));
    assert.equal(again, had);
    const listed = await run('-Lnc --persistent-conn');
    for (const call of calls) assert.match(listed, new RegExp(`:5060 +sip +${call}$`, 'm'));
    await run(`-D ${service}`);
  });

  test('a whole table saved, cleared and restored while another is asked', async () => {
    const saved = await run('-Sn');
    await run(
      '-R',
      saved
        .replaceAll(/^/gm, '')
        .replace(/^-A .*\n/gm, '')
        .replaceAll('-a ', '-e '),
    );
    const answers = await httpRequests(lab, `http://${VIP.fullnat}/`, 60);
    assert.is(answers.failed, 0, answers.trouble);
    await run('-C');
    await run('-R', saved);
    assert.is(await run('-Sn'), saved);
    const again = await httpRequests(lab, `http://${VIP.fullnat}/`, 60);
    assert.is(again.failed, 0, again.trouble);
  });

  test('as programs: `ipvsadm` by the socket in the environment, `sluice ipvsadm --socket`', async () => {
    const main = fileURLToPath(new URL('../../src/ipvsadm/main.ts', import.meta.url));
    const argv = [process.execPath, '--import', import.meta.resolve('tsx'), main, '-Ln'];
    const env = `SLUICE_SOCKET=${bench.director.socket}`;
    const own = lab.ns('director1').exec(['env', env, ...argv]);
    assert.match(own, /^IP Virtual Server version \S+ \(size=\d+\)\nProt /);
    const { sluiceCommand } = await import('../../src/lab/director.js');
    const socket = ['--socket', bench.director.socket];
    const other = [
      ...sluiceCommand(),
      'ipvsadm',
      ...socket,
      '-A',
      '-t',
      '203.0.113.99:1',
      '-b',
      'flag-3',
    ];
    const refused = lab.ns('director1').try(other);
    assert.is(refused.status, 255);
    assert.match(refused.stderr, /^ERR_UNSUPPORTED: /);
  });

  test('the status and the log tell that the running state is not what the file says', async () => {
    const status = bench.director.cli('show', 'status').stdout;
    assert.match(status, /^Edited since +\S/m);
    assert.match(bench.director.cli('show', 'services').stderr, /the running state differs from /);
    const history = bench.director.cli('history').stdout;
    assert.match(history, /^\* .* ipvsadm -R \(\d+ lines\) /m);
    assert.match(bench.director.log, /ipvsadm -E -t /);
    const back = bench.director.cli('reload', '--discard-edits');
    assert.match(back.stdout, /^reloaded:/);
    assert.match(bench.director.cli('diff').stdout, /^the running director is what /);
  });
}

test.run();
