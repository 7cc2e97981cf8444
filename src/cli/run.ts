/** `sluice run`: a director in the foreground, until SIGTERM or SIGINT. */
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { describe, EXIT } from '../errors.js';
import {
  createLogger,
  LEVELS,
  type Level,
  LOG_FORMATS,
  type LogFormat,
  type Logger,
} from '../log.js';
import { native } from '../native.js';
import { ServiceManager } from '../supervisor/notify.js';
import { Supervisor } from '../supervisor/supervisor.js';
import type { UpgradeRequest } from '../upgrade/departure.js';
import { Heir } from '../upgrade/heir.js';
import { onHangup } from './hangup.js';
import { configOption } from './options.js';

/** The last lines of the log get so long to leave. */
const FLUSH_MS = 500;

interface RunOptions {
  config: string;
  logLevel: Level;
  logFormat?: LogFormat;
  logJson?: true;
  controlHeap: number;
  controlTimeout: number;
  heir?: true;
}

export function registerRun(program: Command): void {
  program
    .command('run')
    .description('run a director in the foreground; SIGHUP reloads, SIGTERM stops')
    .addOption(configOption())
    .addOption(
      new Option('--log-level <level>', 'least level logged').choices(LEVELS).default('info'),
    )
    .addOption(
      new Option(
        '--log-format <format>',
        'journal where systemd reads the log, else text unless told',
      ).choices(LOG_FORMATS),
    )
    .option('--log-json', 'the same as --log-format json')
    .addOption(
      new Option('--control-heap <MiB>', 'JavaScript heap of the control plane')
        .argParser(number(32, 65_536))
        .default(1024),
    )
    .addOption(
      new Option('--control-timeout <seconds>', 'a control plane silent for so long is replaced')
        .argParser(number(1, 3_600))
        .default(20),
    )
    .addOption(new Option('--heir', 'takes over from the director that has started it').hideHelp())
    .action(run);
}

function number(low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It is a whole number from ${low} to ${high}.`);
  };
}

/** systemd says that stderr is its journal's by a variable of its own (systemd.exec(5)). */
function logFormat({ logFormat, logJson }: Pick<RunOptions, 'logFormat' | 'logJson'>): LogFormat {
  return logFormat ?? (logJson ? 'json' : process.env.JOURNAL_STREAM ? 'journal' : 'text');
}

async function run(options: RunOptions): Promise<void> {
  // A log nobody reads any more (a closed pipe, a full disk) is no reason to stop, nor to complain
  // about in the log.
  process.stderr.on('error', () => {});
  const log = createLogger({ level: options.logLevel, format: logFormat(options) });
  // What capabilities the director was given are not for the scripts that it starts.
  native().forgetAmbient();
  const manager = new ServiceManager((text) => native().notifyManager(text), process.env);
  const heir = options.heir && (await Heir.receive(native(), log));
  const supervisor = new Supervisor(
    {
      heir,
      successor: (request) => successor(options, request),
      departed: () => leave(log, EXIT.ok),
      config: options.config,
      logLevel: options.logLevel,
      heap: options.controlHeap,
      timeoutMs: options.controlTimeout * 1_000,
      workerLagMs: WORKER_LAG_MS,
    },
    log,
    manager,
  );
  await supervisor.start();

  const stop = async (signal: NodeJS.Signals) => {
    log.info(`${signal}: stopping`);
    const trouble = await supervisor.stop();
    if (trouble) log.error(`stopping: ${describe(trouble)}`);
    leave(log, trouble ? EXIT.internal : EXIT.ok);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // The workers do not need JavaScript: whatever goes wrong here, packets go on.
  const survive = (error: unknown) => {
    log.error(`a bug, please report it; forwarding goes on: ${describe(error)}`);
  };
  process.on('uncaughtException', survive);
  process.on('unhandledRejection', survive);
  onHangup(() => supervisor.reload());
}

function leave(log: Logger, status: number): void {
  log.end(() => process.exit(status));
  setTimeout(() => process.exit(status), FLUSH_MS);
}

/** What starts a process that is to take over from this one. */
function successor(
  { config, logLevel, controlHeap, controlTimeout, ...options }: RunOptions,
  { file, program }: UpgradeRequest,
): [string, ...string[]] {
  const words = ['run', '--heir', '-c', file ?? resolve(config), '--log-level', logLevel];
  words.push('--log-format', logFormat({ ...options }));
  words.push('--control-heap', String(controlHeap), '--control-timeout', String(controlTimeout));
  if (program !== undefined) return [program, ...words];
  return [process.execPath, ...process.execArgv, process.argv[1] as string, ...words];
}

/** A worker that has not come round for so long is not going to. */
const WORKER_LAG_MS = 5_000;
