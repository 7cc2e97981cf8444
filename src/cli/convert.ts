/** `sluice convert`: a configuration in the other format. */
import type { Command } from 'commander';
import { convert } from '../config/convert.js';
import { print } from './options.js';

export function registerConvert(program: Command): void {
  program
    .command('convert')
    .description('print a keepalived.conf as director.yaml, or a director.yaml as keepalived.conf')
    .argument('<file>', 'the file to convert; what has no counterpart becomes a comment')
    .action((file: string) => print(convert(file).text));
}
