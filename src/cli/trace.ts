/** `sluice trace`: packets of a flow as they come, and what each of them met. */
import { type Command, Option } from 'commander';
import { ControlClient } from '../api/client.js';
import type { TraceLine } from '../api/watch.js';
import { formatTraced } from './format-trace.js';
import {
  jsonOption,
  print,
  type TargetOptions,
  targetOf,
  targetOptions,
  wholeNumber,
} from './options.js';
import { untilInterrupted } from './watching.js';

interface TraceOptions extends TargetOptions {
  from?: string;
  to?: string;
  proto?: 'tcp' | 'udp' | 'sctp' | 'icmp';
  count?: number;
  seconds?: number;
  rate?: number;
  json?: true;
}

type Counts = Extract<TraceLine, { counts: unknown }>['counts'];

export function registerTrace(program: Command): void {
  const command = program
    .command('trace')
    .description('watch packets of a flow through the running director, with every decision')
    .option('--from <address[:port]>', 'the client (default: any)')
    .option('--to <address[:port]>', 'the virtual service (default: any)')
    .addOption(new Option('--proto <name>', 'only these').choices(['tcp', 'udp', 'sctp', 'icmp']))
    .option('--count <n>', 'end after n packets', wholeNumber('--count', 1, 1e9))
    .option('--seconds <n>', 'end after so long (default: 30)', wholeNumber('--seconds', 1, 86_400))
    .option('--rate <n>', 'packets a second (default: 200)', wholeNumber('--rate', 1, 10_000))
    .addOption(jsonOption('a JSON object a packet'));
  for (const option of targetOptions()) command.addOption(option);
  command.action(async (options: TraceOptions) => {
    const { from, to, proto, count, seconds, rate, json } = options;
    const client = new ControlClient(targetOf(options));
    let counts: Counts | undefined;
    await untilInterrupted(async (signal) => {
      const asked = { from, to, protocol: proto, count, seconds, rate };
      for await (const line of client.trace(asked, signal)) {
        if ('packet' in line) print(json ? JSON.stringify(line.packet) : formatTraced(line.packet));
        else if ('counts' in line) counts = line.counts;
        else process.stderr.write(`watching for ${line.watching.seconds} s\n`);
      }
    });
    if (counts) process.stderr.write(`${lost(counts)}\n`);
  });
}

function lost({ seen, matched, taken, overRate, noRoom }: Counts): string {
  const text = `${taken} of ${matched} packets shown, ${seen} looked at`;
  if (overRate + noRoom === 0) return text;
  return `${text}; ${overRate} more than --rate allows, ${noRoom} read too slowly`;
}
