/** `sluice reload`: what SIGHUP does, with the answer on the terminal. */
import type { Command } from 'commander';
import { ControlClient } from '../api/client.js';
import { print, type TargetOptions, targetOptions, targetSocket } from './options.js';

export function registerReload(program: Command): void {
  const command = program
    .command('reload')
    .description('have a running director read its configuration again')
    .action(reload);
  for (const option of targetOptions()) command.addOption(option);
}

async function reload(options: TargetOptions): Promise<void> {
  const report = await new ControlClient(targetSocket(options)).reload();
  for (const warning of report.warnings) process.stderr.write(`${warning}\n`);
  print(`reloaded: ${report.summary}`);
}
