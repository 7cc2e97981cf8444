/** `sluice repl`: a JavaScript prompt with a running director in it. */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type REPLEval, type REPLServer, start, writer } from 'node:repl';
import type { Command } from 'commander';
import { attachTo, type RunningDirector } from '../api/attach.js';
import { describe, SluiceError } from '../errors.js';
import { type TargetOptions, targetOf, targetOptions } from './options.js';

export function registerRepl(program: Command): void {
  const command = program
    .command('repl')
    .description('a JavaScript prompt with the live objects of a running director')
    .action(repl);
  for (const option of targetOptions()) command.addOption(option);
}

async function repl(options: TargetOptions): Promise<void> {
  const director = await attachTo(targetOf(options));
  process.stdout.write(
    `Attached to director ${director.name}. Try director, director.services, ` +
      `director.connections({ client: '192.0.2.7' }), .help; .exit leaves.\n`,
  );
  const server = start({ prompt: `${director.name}> `, ignoreUndefined: true, writer: show });
  prepare(server, director);
  await new Promise<void>((resolve) => server.once('exit', resolve));
}

/** A coded error is a sentence for people; only bugs show a stack. */
function show(this: REPLServer, value: unknown): string {
  return value instanceof SluiceError ? describe(value) : writer.call(this, value);
}

function prepare(server: REPLServer, director: RunningDirector): void {
  server.context.director = director;
  const evaluate = server.eval as REPLEval;
  // Promises are awaited before they are shown: `director.services` needs no await.
  (server as { eval: REPLEval }).eval = function (this: REPLServer, code, context, file, callback) {
    evaluate.call(this, code, context, file, (error, result) => {
      if (error || !(result instanceof Promise)) {
        callback(error, result);
        return;
      }
      result.then(
        (value) => callback(null, value),
        (reason: unknown) => {
          process.stdout.write(`${describe(reason)}\n`);
          callback(null, undefined);
        },
      );
    });
  };
  const directory = process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  try {
    mkdirSync(join(directory, 'sluice'), { recursive: true });
    // Without a place to keep it there is simply no history.
    server.setupHistory(join(directory, 'sluice', 'repl_history'), () => {});
  } catch {
    // The same.
  }
}
