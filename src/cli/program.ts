/**
 * The command line: one file a command. A user's mistake gets a sentence and an exit status (see
 * errors.ts), never a stack trace; stdout has only what was asked for.
 */
import { Command, CommanderError } from 'commander';
import { describe, ERRORS, EXIT, exitStatus } from '../errors.js';
import { runIpvsadm } from '../ipvsadm/main.js';
import { realserverCommand } from '../realserver/command.js';
import { VERSION } from '../version.js';
import { registerCapture } from './capture.js';
import { registerCheck } from './check.js';
import { registerConvert } from './convert.js';
import { registerDrain } from './drain.js';
import { registerExplain } from './explain.js';
import { registerOpenapi } from './openapi.js';
import { withoutTarget } from './options.js';
import { registerReload } from './reload.js';
import { registerRepl } from './repl.js';
import { registerReplay } from './replay.js';
import { registerRun } from './run.js';
import { registerShow, withShow } from './show.js';
import { registerSnmp } from './snmp.js';
import { registerTop } from './top.js';
import { registerTrace } from './trace.js';
import { registerUpgrade } from './upgrade.js';

export const EXAMPLES = `
Examples:
  sluice check -c director.yaml                      all mistakes of a file, with their places
  sluice run -c director.yaml                        forward, until SIGTERM; SIGHUP reloads
  sluice convert keepalived.conf                     as director.yaml; and the other way round
  sluice show services                               as ipvsadm -Ln
  sluice show connections --client 192.0.2.7         as ipvsadm -Lnc
  sluice ipvsadm -a -t 203.0.113.10:80 -r 198.51.100.13:8080 -m
                                                     change the running director
  sluice drain web 198.51.100.13 --wait; sluice undrain web 198.51.100.13
  sluice diff -c director.yaml; sluice apply -c director.yaml; sluice rollback
  sluice explain --from 192.0.2.7:40000 --to 203.0.113.10:80
                                                     where would it go, and why?
  sluice trace --from 192.0.2.7 --to 203.0.113.10:80
                                                     where do its packets go now?
  sluice capture --write web.pcapng tcp port 80      what comes and goes, and its end
  sluice replay -c director.yaml --in front=in.pcap --out DIR
                                                     what would it do with these packets?
  sluice --director https://192.0.2.1:8443 --token-file ops.token top
                                                     from another machine
  sluice repl                                        look around in a running director

--director URL, --token-file FILE and --ca FILE may also stand before the command, and the word
show may be left out: 'sluice services'.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 no running director reached, 70 a bug of Sluice.
'sluice errors' explains every ERR_ code.
`;

export function buildProgram(): Command {
  const program = new Command('sluice')
    .description('A layer-4 load balancer for Linux Virtual Server users, on DPDK')
    .version(VERSION)
    .showHelpAfterError("('sluice help' and 'sluice help COMMAND' tell more)")
    .configureHelp({
      sortSubcommands: false,
      helpWidth: Math.min(process.stdout.columns ?? 100, 100),
    })
    .addHelpText('after', EXAMPLES)
    .exitOverride();
  registerRun(program);
  registerCheck(program);
  registerConvert(program);
  registerShow(program);
  registerTop(program);
  registerDrain(program);
  registerExplain(program);
  registerTrace(program);
  registerCapture(program);
  registerOpenapi(program);
  registerReload(program);
  registerUpgrade(program);
  registerReplay(program);
  registerRepl(program);
  registerSnmp(program);
  program
    .command('ipvsadm')
    .description('ipvsadm for a running director, verbatim; --socket PATH may come first')
    .helpOption(false)
    .argument('[words...]', 'as ipvsadm takes them');
  program.addCommand(realserverCommand());
  program
    .command('errors')
    .description('list every error code with its meaning')
    .action(() => {
      const width = Math.max(...Object.keys(ERRORS).map((code) => code.length));
      for (const [code, meaning] of Object.entries(ERRORS)) {
        process.stdout.write(`${code.padEnd(width)}  ${meaning}\n`);
      }
    });
  for (const command of descendants(program)) command.exitOverride();
  return program;
}

function* descendants(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child;
    yield* descendants(child);
  }
}

export async function main(): Promise<void> {
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
  });
  try {
    // Its options follow rules of their own, which commander must not judge.
    const words = withoutTarget(process.argv.slice(2));
    if (words[0] === 'ipvsadm') return await runIpvsadm(words.slice(1));
    const program = buildProgram();
    await program.parseAsync(withShow(words, program), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // It has printed its message. --help and --version also come this way, with status 0.
      process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    process.stderr.write(`sluice: ${describe(error)}\n`);
    process.exitCode = exitStatus(error);
  }
}
