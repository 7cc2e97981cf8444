/** `sluice reload`, `apply`, `diff`, `rollback`, `history`: changes of a running director. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { ControlClient } from '../api/client.js';
import type { Target } from '../api/target.js';
import type { ReloadReport } from '../api/types.js';
import type { EditPolicy } from '../edits/policies.js';
import { formatChange, formatDiffReport, formatHistory } from './format-changes.js';
import {
  jsonOption,
  print,
  printJson,
  remoteOptions,
  type TargetOptions,
  targetOf,
  targetOptions,
  wholeNumber,
} from './options.js';

interface EditOptions extends TargetOptions {
  keepEdits?: true;
  discardEdits?: true;
}

export function registerReload(program: Command): void {
  const reload = program
    .command('reload')
    .description('have a running director read its file again')
    .action((options: EditOptions) => load(options, 'sluice reload', undefined));
  for (const option of [...targetOptions(), ...editOptions()]) reload.addOption(option);

  const apply = program
    .command('apply')
    .description('have a running director run a file from now on, whole or not at all')
    .action((options: EditOptions) => load(options, 'sluice apply', options.config));
  for (const option of [...fileOptions(), ...editOptions()]) apply.addOption(option);

  const differ = program
    .command('diff')
    .description('what a file would change and how many connections that touches; run-time edits')
    .option('--discard-edits', 'as if run-time edits were dropped')
    .addOption(jsonOption('print JSON'))
    .action(diff);
  for (const option of fileOptions()) differ.addOption(option);

  const back = program
    .command('rollback')
    .description('run an earlier generation again (sluice history lists them)')
    .argument('[generation]', 'the last one unless given', wholeNumber('generation', 1, 1e9))
    .action(async (generation: number | undefined, options: TargetOptions) => {
      said(await new ControlClient(targetOf(options)).rollback(generation), 'rolled back');
    });
  const past = program
    .command('history')
    .description('the generations kept, what made each, what it changed')
    .addOption(jsonOption('print JSON'))
    .action(history);
  for (const option of targetOptions()) {
    back.addOption(option);
    past.addOption(option);
  }
}

const editOptions = () => [
  new Option('--keep-edits', 'run-time edits stay where the file has no change').conflicts(
    'discardEdits',
  ),
  new Option('--discard-edits', 'run-time edits are dropped'),
];

/** The file in question, which also names the socket. */
const fileOptions = () => [
  new Option('--socket <path>', "control socket of the director (default: the file's)"),
  new Option('-c, --config <file>', 'the file; the one it runs unless given'),
  ...remoteOptions().map((option) => option.conflicts('socket')),
];

function directorOf({ config, ...named }: TargetOptions): Target {
  const { socket, director } = named;
  const elsewhere = socket ?? director ?? process.env.SLUICE_DIRECTOR;
  return targetOf(elsewhere === undefined && config !== undefined ? { config } : named);
}

async function load(options: EditOptions, cause: string, file: string | undefined): Promise<void> {
  const edits: EditPolicy = options.keepEdits
    ? 'keep'
    : options.discardEdits
      ? 'discard'
      : 'refuse';
  const client = new ControlClient(directorOf(options));
  const path = file === undefined ? undefined : resolve(file);
  said(await client.reload({ file: path, edits, cause }), 'reloaded');
}

function said(report: ReloadReport, what: string): void {
  for (const warning of report.warnings) process.stderr.write(`${warning}\n`);
  print(formatChange(report, what));
}

async function diff(options: EditOptions & { json?: true }): Promise<void> {
  const client = new ControlClient(directorOf(options));
  const file = options.config === undefined ? undefined : resolve(options.config);
  const report = await client.diff(file, options.discardEdits ?? false);
  if (options.json) printJson(report);
  else print(formatDiffReport(report));
}

async function history(options: TargetOptions & { json?: true }): Promise<void> {
  const generations = await new ControlClient(targetOf(options)).history();
  if (options.json) {
    printJson(generations);
    return;
  }
  print(formatHistory(generations));
}
