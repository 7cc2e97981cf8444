/** `sluice run`: a director in the foreground, until SIGTERM or SIGINT. */
import { type Command, Option } from 'commander';
import { Director } from '../director.js';
import { describe, EXIT } from '../errors.js';
import { createLogger, LEVELS, type Level } from '../log.js';
import { onHangup } from './hangup.js';
import { configOption } from './options.js';

/** The last lines of the log get so long to leave. */
const FLUSH_MS = 500;

interface RunOptions {
  config: string;
  logLevel: Level;
  logJson?: true;
}

export function registerRun(program: Command): void {
  program
    .command('run')
    .description('run a director in the foreground; SIGHUP reloads, SIGTERM stops')
    .addOption(configOption())
    .addOption(
      new Option('--log-level <level>', 'least level logged').choices(LEVELS).default('info'),
    )
    .option('--log-json', 'log JSON lines instead of text')
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  // A log nobody reads any more (a closed pipe, a full disk) is no reason to stop, nor to complain
  // about in the log.
  process.stderr.on('error', () => {});
  const log = createLogger({ level: options.logLevel, json: options.logJson ?? false });

  const director = await Director.start(options.config, log);

  const stop = async (signal: NodeJS.Signals) => {
    log.info(`${signal}: stopping`);
    let status: number = EXIT.ok;
    try {
      await director.stop();
    } catch (error) {
      log.error(`stopping: ${describe(error)}`);
      status = EXIT.internal;
    }
    log.end(() => process.exit(status));
    setTimeout(() => process.exit(status), FLUSH_MS);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  // The workers do not need JavaScript: whatever goes wrong here, packets go on.
  const survive = (error: unknown) => {
    log.error(`a bug, please report it; forwarding goes on: ${describe(error)}`);
  };
  process.on('uncaughtException', survive);
  process.on('unhandledRejection', survive);
  onHangup(() => reload(director));
}

function reload(director: Director): void {
  try {
    director.reload();
  } catch {
    // reload() has logged it, with places; the running state is untouched.
  }
}
