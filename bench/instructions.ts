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

/** mode/protocol/direction/flows */
export const CASES = [
  'fullnat/udp/request/1000',
  'fullnat/tcp/request/1000',
  'dr/udp/request/1000',
  'tun/udp/request/1000',
  'nat/tcp/reply/1000',
];

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

/** Instructions of each part that the program has ended by name, in order. */
export function partsOf(dump: string): { name: string; instructions: number }[] {
  const parts: { name: string; instructions: number }[] = [];
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
function difference(parts: { name: string; instructions: number }[], prefix: string): number {
  const found = parts.filter(({ name }) => name.startsWith(prefix));
  if (found.length !== 3) {
    const message = `callgrind has ${found.length} parts of '${prefix}' instead of 3: was the build without valgrind's headers?`;
    throw new BenchError('ERR_BENCH_NATIVE', message);
  }
  return found[2]!.instructions - found[1]!.instructions;
}

export function countInstructions(cases = CASES, packets = 8192): Record<string, number> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-callgrind-'));
  try {
    const output = join(directory, 'out');
    const args = ['--tool=callgrind', '--instr-atstart=no', '--combine-dumps=yes'];
    args.push(`--callgrind-out-file=${output}`, benchBinary(), 'forward');
    args.push('--instructions', String(packets), '--cases', cases.join(','));
    const { status, stderr, error } = spawnSync('valgrind', args, { encoding: 'utf8' });
    if (status !== 0) throw new BenchError('ERR_BENCH_NATIVE', stderr ?? String(error));
    const parts = partsOf(readFileSync(output, 'utf8'));
    return Object.fromEntries(
      cases.map((one) => {
        const director = difference(parts, `${one}/64 director `);
        const floor = difference(parts, `${one}/64 floor `);
        return [one, round((director - floor) / packets, 1)];
      }),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
