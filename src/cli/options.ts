/** Options that several commands share. */
import { Option } from 'commander';
import { loadConfig } from '../config/load.js';
import { SluiceError } from '../errors.js';

export const DEFAULT_SOCKET = '/run/sluice/sluice.sock';

export const configOption = () =>
  new Option(
    '-c, --config <file>',
    'configuration: director.yaml or keepalived.conf',
  ).makeOptionMandatory();

export const jsonOption = (what: string) => new Option('--json', what);

export interface TargetOptions {
  socket?: string | undefined;
  config?: string;
}

/** Which running director: its socket, or the configuration that names it. */
export const targetOptions = () => [
  new Option(
    '--socket <path>',
    `control socket of the director (default: $SLUICE_SOCKET, or ${DEFAULT_SOCKET})`,
  ),
  new Option('-c, --config <file>', 'its configuration, which names the socket').conflicts(
    'socket',
  ),
];

export function targetSocket({ socket, config }: TargetOptions): string {
  if (config !== undefined) return loadConfig(config).model.director.socket;
  return socket ?? process.env.SLUICE_SOCKET ?? DEFAULT_SOCKET;
}

export function wholeNumber(name: string, low: number, high: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= low && value <= high) return value;
    throw new SluiceError(
      'ERR_USAGE',
      `${name} is ${JSON.stringify(text)}, expected a whole number from ${low} to ${high}`,
    );
  };
}

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') || text === '' ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}
