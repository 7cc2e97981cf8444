/**
 * Instructions a packet, counted by callgrind: a figure that no other program on the machine can
 * change, so that a test can hold on to it. From the director's runs of N and of 2 N packets the
 * difference is taken, and the floor's is taken off: what is left is the director alone.
 *
 *   npx tsx bench/instructions.ts            shows the figures beside the recorded ones
 *   npx tsx bench/instructions.ts --record   writes bench/instructions.json
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { BenchError } from './errors.js';
import { benchBinary } from './native.js';
import { round } from './statistics.js';

/** Established flows: mode/protocol/direction/flows, of IPv6 with the frame's bytes and the 6. */
const FORWARD = [
  'fullnat/udp/request/1000',
  'fullnat/tcp/request/1000',
  'dr/udp/request/1000',
  'tun/udp/request/1000',
  'nat/tcp/reply/1000',
  'enat/udp/request/1000',
  'fullnat/udp/mixed/1000',
  'dr/udp/request/1000/64/6',
  'fullnat/tcp/request/1000/64/6',
  'nat/tcp/reply/1000/64/6',
];
/** New ones, a packet each, as many expiring: connect/mode/protocol/connections. */
const CONNECT = ['connect/fullnat/udp/10000'];

export const CASES = [...FORWARD, ...CONNECT];

const RECORD = fileURLToPath(new URL('instructions.json', import.meta.url));

export interface Recorded {
  /** A figure may grow by this part before the test fails. */
  margin: number;
  instructionsPerPacket: Record<string, number>;
}

export function recorded(): Recorded {
  return JSON.parse(readFileSync(RECORD, 'utf8')) as Recorded;
}

/** Why nothing can be counted here; undefined when it can. */
export function whyNot(): string | undefined {
  if (spawnSync('valgrind', ['--version']).status !== 0) return 'valgrind is not installed';
  return undefined;
}

export interface Part {
  name: string;
  instructions: number;
}

/** Instructions of each part that the program has ended by name, in order. */
export function partsOf(dump: string): Part[] {
  const parts: Part[] = [];
  let name = '';
  for (const line of dump.split('\n')) {
    const trigger = /^desc: Trigger: Client Request: (.+)$/.exec(line);
    if (trigger) name = trigger[1]!;
    const total = /^totals: (\d+)/.exec(line);
    if (total && name !== '') {
      parts.push({ name, instructions: Number(total[1]) });
      name = '';
    }
  }
  return parts;
}

/** The longer run less the shorter; the first run of a kind only warms up. */
function difference(parts: readonly Part[], prefix: string): number {
  const found = parts.filter(({ name }) => name.startsWith(prefix));
  if (found.length !== 3) {
    const message = `callgrind has ${found.length} parts of '${prefix}' instead of 3: was the build without valgrind's headers?`;
    throw new BenchError('ERR_BENCH_NATIVE', message);
  }
  return found[2]!.instructions - found[1]!.instructions;
}

/** What one sluice_bench under callgrind has counted. */
function partsUnderCallgrind(args: string[]): Part[] {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-callgrind-'));
  try {
    const output = join(directory, 'out');
    const options = ['--tool=callgrind', '--instr-atstart=no', '--combine-dumps=yes'];
    options.push(`--callgrind-out-file=${output}`, benchBinary());
    const { status, stderr, error } = spawnSync('valgrind', [...options, ...args], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new BenchError('ERR_BENCH_NATIVE', stderr ?? String(error));
    return partsOf(readFileSync(output, 'utf8'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function countInstructions(packets = 8192): Record<string, number> {
  const length = ['--instructions', String(packets)];
  const parts = partsUnderCallgrind(['forward', ...length, '--cases', FORWARD.join(',')]);
  for (const one of CONNECT) {
    const [, mode = '', protocol = '', connections = ''] = one.split('/');
    const args = ['--mode', mode, '--protocol', protocol, '--connections', connections];
    parts.push(...partsUnderCallgrind(['connect', ...length, ...args]));
  }
  return Object.fromEntries(
    CASES.map((one) => {
      const name = FORWARD.includes(one) && !one.endsWith('/64/6') ? `${one}/64` : one;
      const director = difference(parts, `${name} director `);
      const floor = difference(parts, `${name} floor `);
      return [one, round((director - floor) / packets, 1)];
    }),
  );
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const counted = countInstructions();
  const before = recorded();
  for (const [one, instructions] of Object.entries(counted)) {
    const was = before.instructionsPerPacket[one] ?? 'none';
    process.stdout.write(`${one.padEnd(28)} ${instructions} (recorded: ${was})\n`);
  }
  if (argv.includes('--record')) {
    const next: Recorded = { ...before, instructionsPerPacket: counted };
    writeFileSync(RECORD, `${JSON.stringify(next, null, 2)}\n`);
  }
}
