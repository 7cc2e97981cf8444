// timeout: 180
// The scenario at its smallest: that it measures, accounts for every request, and leaves nothing.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BenchError } from '../../bench/errors.js';
import { readWrk } from '../../bench/lab/measure.js';
import { type LabResult, lab } from '../../bench/scenarios/lab.js';
import { run, until } from '../../src/lab/command.js';
import { directoryOf, LABS_DIRECTORY } from '../../src/lab/registry.js';
import { skip } from '../support/skip.js';

const RUN = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

/** `contestant mode/path port measure` of the cases chosen. */
const chosen = (filters: Parameters<typeof lab.cases>[0], long = false) =>
  lab.cases(filters, long).map(({ station: { contestant, lane, measure } }) => {
    return `${contestant.name} ${lane.mode}/${lane.path} ${contestant.port} ${measure}`;
  });

test('the usual selection has every mode, testpmd and a peer', () => {
  const names = new Set(chosen({}).map((name) => name.split(' ').slice(0, 2).join(' ')));
  assert.equal(
    [...names],
    [
      'sluice nat/both',
      'sluice dr/requests',
      'sluice tun/requests',
      'sluice fullnat/both',
      'sluice enat/requests',
      'testpmd mac/both',
      'testpmd mac/requests',
      'nftables-dnat nat/both',
    ],
  );
});

test('testpmd comes along on the same path, port and measure', () => {
  assert.equal(chosen({ mode: ['tun'], measure: ['connect'] }), [
    'sluice tun/requests af_packet connect',
    'testpmd mac/requests af_packet connect',
  ]);
  assert.equal(chosen({ mode: ['fullnat'], port: ['af_xdp'], measure: ['iperf-down'] }), [
    'sluice fullnat/both af_xdp iperf-down',
    'testpmd mac/both af_xdp iperf-down',
  ]);
  assert.equal(chosen({ contestant: ['haproxy-tcp'], measure: ['keepalive'] }), [
    'haproxy-tcp proxy/both kernel keepalive',
  ]);
});

test('an unknown value is refused with the choice', () => {
  try {
    lab.cases({ contestant: ['envoy'] }, false);
    assert.unreachable();
  } catch (error) {
    assert.is((error as BenchError).code, 'ERR_BENCH_ARGUMENT');
    assert.match((error as Error).message, /--contestant envoy: sluice, testpmd/);
  }
});

const WRK = `Running 1s test @ http://203.0.113.10/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.01ms    1.40ms  20.10ms   88.00%
    Req/Sec    31.87k     1.50k   33.10k    80.00%
  Latency Distribution
     50%  870.00us
     75%    2.10ms
     90%    3.00ms
     99%    1.20s
  31870 requests in 1.00s, 6.50MB read
`;

test("wrk's words: rates, percentiles in any unit, every kind of failure", () => {
  const good = readWrk(`${WRK}Requests/sec:  31870.12\nTransfer/sec:      6.50MB\n`);
  assert.equal(good, { value: 31870.12, p50Us: 870, p99Us: 1_200_000, failed: 0 });
  const bad = readWrk(
    `${WRK}  Socket errors: connect 1, read 20, write 300, timeout 4000\n` +
      '  Non-2xx or 3xx responses: 50000\nRequests/sec:  31870.12\n',
  );
  assert.is(bad.failed, 54_321);
  assert.throws(() => readWrk('unable to connect'), /unable to connect/);
});

/** Ids of the labs that a process holds. */
function labsOf(pid: number): string[] {
  const ids = existsSync(LABS_DIRECTORY) ? readdirSync(LABS_DIRECTORY) : [];
  return ids.filter((id) => {
    const path = join(directoryOf(id), 'lab.json');
    return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).pid === pid;
  });
}

function start(...args: string[]) {
  const argv = ['--import', 'tsx', RUN, 'lab', '--json', '--runs', '1', ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.stderr += chunk;
  });
  const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)));
  const held = async () => {
    await until(() => labsOf(child.pid!).length > 0, 30_000);
    const [id] = labsOf(child.pid!);
    assert.ok(id, `no lab was made: ${said.stderr}`);
    return id;
  };
  return { child, said, ended, held };
}

function assertGone(id: string): void {
  assert.not(existsSync(directoryOf(id)));
  assert.not.match(run(['ip', 'netns', 'list']), `sl${id}-`);
}

if (process.getuid?.() !== 0) {
  skip('the lab scenario', 'network namespaces need root');
} else {
  test('one mode against testpmd: all fields, no request failed, nothing is left', async () => {
    const { said, ended, held } = start('--mode', 'fullnat', '--measure', 'keepalive,iperf-up');
    const id = await held();
    assert.is(await ended, 0, said.stderr);
    const results = said.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as LabResult);
    assert.is(results.length, 4);
    for (const result of results) {
      assert.equal(Object.keys(result), [
        'scenario',
        'contestant',
        'mode',
        'path',
        'port',
        'measure',
        'value',
        'unit',
        'madValue',
        'toTestpmd',
        'p50Us',
        'p99Us',
        'runs',
        'failed',
      ]);
      assert.equal([result.scenario, result.port, result.runs], ['lab', 'af_packet', 1]);
      assert.equal([result.path, result.failed], ['both', 0]);
      assert.ok(result.value > 0 && result.toTestpmd! > 0);
      assert.is(result.unit, result.measure === 'keepalive' ? 'requests/s' : 'Gb/s');
      assert.is(result.p50Us !== null && result.p99Us !== null, result.measure === 'keepalive');
    }
    assert.equal(
      results.map(({ contestant, mode }) => `${contestant} ${mode}`),
      ['sluice fullnat', 'sluice fullnat', 'testpmd mac', 'testpmd mac'],
    );
    assertGone(id);
  });

  test('interrupted in the middle it leaves nothing either', async () => {
    const { child, said, ended, held } = start('--mode', 'dr', '--measure', 'keepalive');
    const id = await held();
    await until(() => said.stderr.includes('testpmd'), 60_000);
    child.kill('SIGINT');
    assert.is(await ended, 130, said.stderr);
    assertGone(id);
  });
}

test.run();
