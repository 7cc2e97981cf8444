/** `sluice check`: all mistakes of a configuration with their places. */
import type { Command } from 'commander';
import { readApiFiles } from '../api/files.js';
import { loadConfig } from '../config/load.js';
import type { Model } from '../config/model.js';
import { ConfigError, EXIT, formatProblem, type Problem } from '../errors.js';
import { configOption, jsonOption, print, printJson } from './options.js';

interface CheckOptions {
  config: string;
  json?: true;
}

export function registerCheck(program: Command): void {
  program
    .command('check')
    .description('check a configuration: every mistake at once, as file:line:column')
    .addOption(configOption())
    .addOption(jsonOption('print {ok, problems, model} as JSON'))
    .action(check);
}

function check({ config, json }: CheckOptions): void {
  let problems: Problem[];
  let model: Model | undefined;
  try {
    const loaded = loadConfig(config);
    readApiFiles(loaded);
    problems = loaded.warnings;
    model = loaded.model;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems = error.problems;
  }
  if (!model) process.exitCode = EXIT.failed;
  if (json) {
    printJson({ ok: model !== undefined, problems, ...(model ? { model } : {}) });
    return;
  }
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const warnings = problems.length - errors;
  const also = warnings > 0 ? `, ${count(warnings, 'warning')}` : '';
  if (model) {
    const servers = model.services.reduce((sum, service) => sum + service.servers.length, 0);
    print(
      `${config}: good: ${count(model.services.length, 'service')}, ` +
        `${count(servers, 'real server')}, ${count(model.ports.length, 'port')}${also}`,
    );
  } else {
    process.stderr.write(`${config}: ${count(errors, 'error')}${also}\n`);
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
