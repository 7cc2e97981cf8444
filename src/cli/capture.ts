/** `sluice capture`: frames of a running director's ports, as pcapng or as lines. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { ControlClient } from '../api/client.js';
import type { CapturedFrame, CaptureLine } from '../api/watch.js';
import { SluiceError } from '../errors.js';
import { VERSION } from '../version.js';
import { readHeaders } from '../watch/headers.js';
import { interfaceBlock, packetBlock, sectionHeader, statisticsBlock } from '../watch/pcapng.js';
import { clock } from './format-trace.js';
import { print, type TargetOptions, targetOf, targetOptions, wholeNumber } from './options.js';
import { untilInterrupted } from './watching.js';

interface CaptureOptions extends TargetOptions {
  port: string;
  direction: 'in' | 'out' | 'both';
  write?: string;
  count?: number;
  seconds?: number;
  snaplen?: number;
  rate?: number;
}

type Watching = Extract<CaptureLine, { watching: unknown }>['watching'];
type Counts = Extract<CaptureLine, { counts: unknown }>['counts'];

/** Where frames go. */
interface Output {
  begin(watching: Watching): void;
  frame(frame: CapturedFrame): void;
  end(counts: Counts): void;
}

export function registerCapture(program: Command): void {
  const command = program
    .command('capture')
    .description('frames that a tcpdump filter takes, from inside the workers, as pcapng')
    .argument('[filter...]', "as tcpdump takes it, such as 'tcp port 80 and host 192.0.2.7'")
    .option('--port <name>', 'of the configuration, or all', 'all')
    .addOption(
      new Option('--direction <d>', 'which way').choices(['in', 'out', 'both']).default('both'),
    )
    .option('--write <file>', 'pcapng to a file, or to - for stdout (default: lines of text)')
    .option('--count <n>', 'end after n frames', wholeNumber('--count', 1, 1e9))
    .option('--seconds <n>', 'end after so long (default: 60)', wholeNumber('--seconds', 1, 86_400))
    .option(
      '--snaplen <n>',
      'bytes kept of a frame (default: 262)',
      wholeNumber('--snaplen', 1, 65_535),
    )
    .option('--rate <n>', 'frames a second (default: 10000)', wholeNumber('--rate', 1, 1e6));
  for (const option of targetOptions()) command.addOption(option);
  command.action(async (words: string[], options: CaptureOptions) => {
    const { port, direction, count, seconds, snaplen, rate } = options;
    const filter = words.join(' ');
    const client = new ControlClient(targetOf(options));
    const output = outputOf(options.write, filter);
    let counts: Counts = [];
    let taken = 0;
    await untilInterrupted(async (signal) => {
      const asked = { port, direction, filter, count, seconds, snaplen, rate };
      for await (const line of client.capture(asked, signal)) {
        if ('frame' in line) {
          taken++;
          output.frame(line.frame);
        } else if ('counts' in line) {
          counts = line.counts;
        } else {
          const { ports, seconds, machineCode } = line.watching;
          const how = machineCode ? '' : '; the filter is interpreted';
          process.stderr.write(`capturing on ${ports.join(', ')} for ${seconds} s${how}\n`);
          output.begin(line.watching);
        }
      }
    });
    output.end(counts);
    process.stderr.write(`${summary(taken, counts)}\n`);
  });
}

function summary(taken: number, counts: Counts): string {
  const sum = (of: (one: Counts[number]) => number) =>
    counts.reduce((all, one) => all + of(one), 0);
  const matched = sum((one) => one.matched);
  const overRate = sum((one) => one.overRate);
  const noRoom = sum((one) => one.noRoom);
  return (
    `${taken} frames captured, ${matched} taken by the filter of ${sum((one) => one.seen)}; ` +
    `${overRate + noRoom} dropped (${overRate} more than --rate allows, ${noRoom} read too slowly)`
  );
}

function outputOf(file: string | undefined, filter: string): Output {
  if (file === undefined)
    return { begin() {}, frame: (frame) => print(frameLine(frame)), end() {} };
  if (file === '-' && process.stdout.isTTY) {
    throw new SluiceError('ERR_USAGE', '--write - writes pcapng, which a terminal cannot show');
  }
  return new PcapngOutput(file, filter);
}

function frameLine({ time, port, direction, verdict, wireBytes, bytes }: CapturedFrame): string {
  const headers = readHeaders(Buffer.from(bytes, 'base64'));
  const outer = headers?.outer ? `${headers.outer}, ` : '';
  const what = headers?.what ? ` ${headers.what}` : '';
  const about = headers
    ? `${outer}${headers.protocol} ${headers.from} → ${headers.to}${what}`
    : 'cut short';
  const end = verdict === '' ? '' : `  [${verdict}]`;
  return `${clock(time)} ${port} ${direction.padEnd(3)} ${about}, ${wireBytes} bytes${end}`;
}

class PcapngOutput implements Output {
  readonly #file: string;
  readonly #filter: string;
  readonly #descriptor: number;
  #ports: string[] = [];

  constructor(file: string, filter: string) {
    this.#file = file;
    this.#filter = filter;
    this.#descriptor = file === '-' ? 1 : this.#guarded(() => openSync(file, 'w', 0o600));
  }

  begin({ ports, snaplen }: Watching): void {
    this.#ports = ports;
    this.#write(sectionHeader(`Sluice ${VERSION}`));
    for (const port of ports) this.#write(interfaceBlock(port, snaplen, this.#filter));
  }

  frame({ time, port, direction, verdict, wireBytes, bytes }: CapturedFrame): void {
    this.#write(
      packetBlock({
        port: this.#ports.indexOf(port),
        time: BigInt(time),
        direction,
        wireBytes,
        bytes: Buffer.from(bytes, 'base64'),
        comment: verdict,
      }),
    );
  }

  end(counts: Counts): void {
    const now = BigInt(Date.now()) * 1_000_000n;
    for (const { port, ...figures } of counts) {
      this.#write(statisticsBlock(this.#ports.indexOf(port), now, figures));
    }
    if (this.#file !== '-') this.#guarded(() => closeSync(this.#descriptor));
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      at += this.#guarded(() => writeSync(this.#descriptor, bytes, at));
    }
  }

  #guarded<T>(action: () => T): T {
    try {
      return action();
    } catch (cause) {
      const message = `cannot write ${this.#file}: ${(cause as Error).message}`;
      throw new SluiceError('ERR_CAPTURE_OUTPUT', message, { cause });
    }
  }
}
