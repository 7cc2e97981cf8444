/** `sluice openapi`: the description of the control API, for programs that make clients of it. */
import type { Command } from 'commander';
import { openApi } from '../api/openapi.js';
import { printJson } from './options.js';

export function registerOpenapi(program: Command): void {
  program
    .command('openapi')
    .description('the control API as an OpenAPI 3.1 document; a director has it at /openapi.json')
    .action(() => printJson(openApi()));
}
