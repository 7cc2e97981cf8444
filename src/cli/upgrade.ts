/** `sluice upgrade`: another process takes over from a running director, with its connections. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { ControlClient } from '../api/client.js';
import type { UpgradeReport } from '../api/types.js';
import {
  jsonOption,
  print,
  printJson,
  remoteOptions,
  type TargetOptions,
  targetOf,
} from './options.js';

interface UpgradeOptions extends TargetOptions {
  program?: string;
  discardEdits?: true;
  json?: true;
}

export function registerUpgrade(program: Command): void {
  const upgrades = program
    .command('upgrade')
    .description('have a new process take over from a running director, with its connections')
    .option('--socket <path>', 'control socket of the director (default: $SLUICE_SOCKET)')
    .addOption(
      new Option('-c, --config <file>', "the new process's file; the one that runs unless given"),
    )
    .option('--program <path>', 'the sluice to start; the one that runs, as installed now')
    .option('--discard-edits', 'run-time edits are dropped')
    .addOption(jsonOption('print JSON'))
    .action(upgrade);
  for (const option of remoteOptions()) upgrades.addOption(option.conflicts('socket'));
}

async function upgrade({ config, ...options }: UpgradeOptions): Promise<void> {
  const client = new ControlClient(targetOf(options));
  const report = await client.upgrade({
    file: config === undefined ? undefined : resolve(config),
    program: options.program === undefined ? undefined : resolve(options.program),
    discardEdits: options.discardEdits ?? false,
  });
  if (options.json) printJson(report);
  else print(sentences(report));
}

function sentences(report: UpgradeReport): string {
  const { pid, version, formerPid, formerVersion, connections, refused, gapMs } = report;
  const lines = [
    `process ${pid} (${version}) has taken over from ${formerPid} (${formerVersion}), generation ${report.generation}`,
    `${connections} connections, packet gap ${gapMs.toFixed(1)} ms, ${report.seconds.toFixed(1)} s in all`,
  ];
  if (refused > 0) lines.push(`${refused} connections of services or servers that are no more`);
  return lines.join('\n');
}
