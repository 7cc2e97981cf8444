/**
 * libFuzzer over the reading of SIP messages (native/fuzz/sip.cc), under the address and
 * undefined-behaviour sanitizers: a header alone, so it is compiled here. Bounded in time
 * (SLUICE_FUZZ_SECONDS), from messages as they are.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const SECONDS = Math.min(30, Number(process.env.SLUICE_FUZZ_SECONDS ?? 5));
const SEEDS = [
  'INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9\r\nCall-ID: a84b4c76e66710@pc33\r\n\r\n',
  'OPTIONS\ni \t:\r\n x \r\nCall-ID: y\n',
  '\r\n\r\nBYE\rcALL-id:<"a">\r\r',
];

function run(command: string, args: string[], seconds: number): string {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: seconds * 1000 });
  const said = `${result.stdout}\n${result.stderr}`;
  assert.is(result.status, 0, `${command} ended with ${result.status}:\n${said.slice(-8000)}`);
  return said;
}

test('a bounded run from messages finds nothing', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'sluice-sip-'));
  try {
    const [fuzzer, corpus] = [join(scratch, 'fuzz'), join(scratch, 'corpus')];
    const sanitize = '-fsanitize=fuzzer,address,undefined';
    const flags = ['-std=c++20', '-O1', '-g', '-march=x86-64-v3', sanitize, '-Inative'];
    run('clang++', [...flags, join('native', 'fuzz', 'sip.cc'), '-o', fuzzer], 240);
    mkdirSync(corpus);
    SEEDS.forEach((seed, at) => {
      writeFileSync(join(corpus, `${at}`), seed);
    });
    const limits = [`-max_total_time=${SECONDS}`, '-max_len=6000', '-timeout=20', '-seed=1'];
    const said = run(fuzzer, [...limits, `-artifact_prefix=${scratch}/`, corpus], SECONDS + 180);
    const runs = Number(/Done (\d+) runs/.exec(said)?.[1] ?? 0);
    assert.ok(runs > 100, `only ${runs} runs:\n${said.slice(-2000)}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

test.run();
