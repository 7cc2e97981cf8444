/** `sluice replay`: what would the director do with these packets? */
import { type Command, Option } from 'commander';
import { loadConfig } from '../config/load.js';
import { formatProblem, SluiceError } from '../errors.js';
import { FORWARD_WORDS } from '../native.js';
import { readCapture } from '../replay/pcap.js';
import { type ReplaySummary, runReplay, type Verdict } from '../replay/replay.js';
import { table } from './format.js';
import { configOption, print, wholeNumber } from './options.js';

interface ReplayCommandOptions {
  config: string;
  in: string[];
  out: string;
  json?: true;
  burst: number;
  seed: number;
  workers: number;
  rss?: true;
}

export function registerReplay(program: Command): void {
  program
    .command('replay')
    .description("run captures through the director's own code: no root, no hugepages, no traffic")
    .addOption(configOption())
    .addOption(
      new Option('--in <port=file>', 'capture of a port’s arriving frames; once a port')
        .argParser((value: string, all: string[] = []) => [...all, value])
        .makeOptionMandatory(),
    )
    .requiredOption('--out <directory>', 'where PORT.pcap and PORT.twin.pcap are written')
    .option('--json', 'print a verdict a packet, as JSON lines')
    .addOption(
      new Option('--burst <n>', 'most packets of one time and port that arrive together')
        .argParser(wholeNumber('--burst', 1, 32))
        .default(32),
    )
    .addOption(
      new Option('--seed <n>', 'seed of what the director picks by chance')
        .argParser(wholeNumber('--seed', 0, 0xffff_ffff))
        .default(1),
    )
    .addOption(
      new Option('--workers <n>', 'workers that share the flows')
        .argParser(wholeNumber('--workers', 1, 16))
        .default(1),
    )
    .option('--rss', 'frames come to the workers as a NIC spreads them over its queues')
    .action(replay);
}

async function replay(options: ReplayCommandOptions): Promise<void> {
  const loaded = loadConfig(options.config);
  for (const warning of loaded.warnings) process.stderr.write(`${formatProblem(warning)}\n`);
  const inputs = options.in.map((text) => {
    const [, port, file] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (port && file) return { port, file, frames: readCapture(file) };
    throw new SluiceError('ERR_USAGE', `--in ${text}: expected PORT=FILE, such as front=in.pcap`);
  });
  for (const { file, frames } of inputs) {
    const cut = frames.filter(({ bytes, wireLength }) => bytes.length < wireLength).length;
    if (cut > 0) {
      process.stderr.write(
        `${file}: warning: the capture cut ${cut} frames short (snaplen); they arrive short here, too\n`,
      );
    }
  }
  const tally = new Tally();
  const { out, burst, seed, workers } = options;
  const distribution = options.rss ? 'nic' : 'inTurn';
  const onVerdict = options.json ? printVerdict : (verdict: Verdict) => tally.add(verdict);
  const summary = runReplay(loaded, inputs, {
    out,
    burst,
    seed,
    workers,
    distribution,
    onVerdict,
  });
  if (!options.json) print(tally.format(summary));
}

function printVerdict(verdict: Verdict): void {
  print(JSON.stringify(verdict));
}

/** Counts verdicts by what they were and by where they went. */
class Tally {
  readonly #ends = new Map<string, { row: string[]; count: number }>();
  readonly #ways = new Map<string, { row: string[]; count: number }>();

  add(verdict: Verdict): void {
    count(this.#ends, [verdict.verdict, verdict.reason]);
    if (verdict.verdict !== 'forwarded' || verdict.service === null) return;
    const forward = verdict.mode ? FORWARD_WORDS[verdict.mode] : '-';
    count(this.#ways, [verdict.service, verdict.server ?? '-', forward]);
  }

  format({ received, files }: ReplaySummary): string {
    const parts = [
      `${received} packets in`,
      table(['Verdict', 'Reason', 'Packets'], rows(this.#ends)),
    ];
    if (this.#ways.size > 0) {
      parts.push(table(['Service', 'Server', 'Forward', 'Packets'], rows(this.#ways)));
    }
    parts.push(
      table(
        ['Written', 'Packets'],
        files.map(({ file, frames }) => [file, `${frames}`]),
      ),
    );
    return parts.join('\n\n');
  }
}

function count(into: Map<string, { row: string[]; count: number }>, row: string[]): void {
  const key = row.join('\0');
  const entry = into.get(key) ?? { row, count: 0 };
  entry.count++;
  into.set(key, entry);
}

function rows(from: Map<string, { row: string[]; count: number }>): string[][] {
  return [...from.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, entry]) => [...entry.row, `${entry.count}`]);
}
