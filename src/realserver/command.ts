/** The command line of `sluice realserver`. */
import { isIP } from 'node:net';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type RealserverOptions, runRealserver } from './run.js';
import { REALSERVER_ATTACH, REALSERVER_MODES, type RealserverMode } from './types.js';

const collect =
  (check: (value: string) => string) =>
  (value: string, before: string[] = []) => [...before, check(value)];

function anything(value: string): string {
  return value;
}

function address(value: string): string {
  if (isIP(value) !== 4) throw new InvalidArgumentError('Not an IPv4 address.');
  return value;
}

function prefix(value: string): string {
  const [base = '', length = '32', ...rest] = value.split('/');
  if (isIP(base) !== 4 || !/^\d{1,2}$/.test(length) || Number(length) > 32 || rest.length > 0) {
    throw new InvalidArgumentError('Neither an IPv4 address nor a prefix such as 198.51.100.0/28.');
  }
  return value;
}

function integer(least: number, most: number) {
  return (value: string): number => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < least || number > most) {
      throw new InvalidArgumentError(`Not a number from ${least} to ${most}.`);
    }
    return number;
  };
}

function modes(value: string): RealserverMode[] {
  const words = value.split(',');
  for (const word of words) {
    if (!(REALSERVER_MODES as readonly string[]).includes(word)) {
      throw new InvalidArgumentError(`'${word}' is none of ${REALSERVER_MODES.join(', ')}.`);
    }
  }
  return words as RealserverMode[];
}

/** TOA's kind: not one that TCP uses itself, nor the one ENAT's second option has. */
function toaKind(value: string): number {
  const kind = integer(9, 254)(value);
  if (kind === 253) throw new InvalidArgumentError('253 tells the virtual service (ENAT).');
  return kind;
}

/** For `program.addCommand()`. Errors are thrown to whoever parses. */
export function realserverCommand(): Command {
  return new Command('realserver')
    .description("the real server's side: TUN decapsulation, client addresses, ENAT replies")
    .requiredOption('--interface <name>', 'where requests come in (repeatable)', collect(anything))
    .requiredOption(
      '--director <address>',
      'address or prefix a director sends from: DIPs and LIPs (repeatable)',
      collect(prefix),
    )
    .requiredOption('--vip <address>', 'virtual service address (repeatable)', collect(address))
    .option('--mode <list>', 'tun, toa, enat', modes, [...REALSERVER_MODES])
    .option('--toa-kind <number>', 'TCP option kind of TOA', toaKind, 254)
    .option('--flows <number>', 'flows remembered at once', integer(64, 1 << 24))
    .option('--cgroup <path>', "cgroup2 folder of the servers' programs (default: the root)")
    .addOption(
      new Option('--attach <how>', 'to interfaces: TCX links (Linux 6.6) or clsact filters')
        .choices(REALSERVER_ATTACH)
        .default('auto'),
    )
    .option('--pin <directory>', 'folder in a bpf file system; stay attached when this ends')
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nSIGUSR1 prints the counters. Needs root and Linux 5.14; 6.6 for attachments that end with\n' +
        'the process whatever ends it.',
    )
    .action((options: RealserverOptions) => runRealserver(options));
}

export { type RealserverOptions, runRealserver };
