/** Options that several commands share. */
import { Option } from 'commander';
import { remoteOf, type Target, type TargetWords } from '../api/target.js';
import { loadConfig } from '../config/load.js';
import { SluiceError } from '../errors.js';

export const DEFAULT_SOCKET = '/run/sluice/sluice.sock';

export const configOption = () =>
  new Option(
    '-c, --config <file>',
    'configuration: director.yaml or keepalived.conf',
  ).makeOptionMandatory();

export const jsonOption = (what: string) => new Option('--json', what);

export interface TargetOptions extends TargetWords {
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
  ...remoteOptions().map((option) => option.conflicts(['socket', 'config'])),
];

/** A director on another machine: before the command, or among its options. */
export const remoteOptions = () => [
  new Option('--director <url>', 'its API over TCP, https://HOST:PORT (default: $SLUICE_DIRECTOR)'),
  new Option(
    '--token-file <file>',
    'with --director: holds the token (default: $SLUICE_TOKEN_FILE)',
  ),
  new Option('--ca <file>', 'with --director: who signed its certificate (default: $SLUICE_CA)'),
];

/** What of these a director elsewhere is named by; the environment says what options don't. */
export function targetOf({ socket, config, ...words }: TargetOptions): Target {
  if (config !== undefined) return loadConfig(config).model.director.socket;
  if (socket !== undefined) return socket;
  const { SLUICE_DIRECTOR, SLUICE_TOKEN_FILE, SLUICE_CA, SLUICE_SOCKET } = process.env;
  const remote = remoteOf({
    director: words.director ?? SLUICE_DIRECTOR,
    tokenFile: words.tokenFile ?? SLUICE_TOKEN_FILE,
    ca: words.ca ?? SLUICE_CA,
  });
  return remote ?? SLUICE_SOCKET ?? DEFAULT_SOCKET;
}

const GLOBAL: Record<string, string> = {
  '--director': 'SLUICE_DIRECTOR',
  '--token-file': 'SLUICE_TOKEN_FILE',
  '--ca': 'SLUICE_CA',
};

/** Takes what names a director from the front of a command line: it counts for any command. */
export function withoutTarget(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): string[] {
  const rest = [...argv];
  for (;;) {
    const [name = '', ...inline] = (rest[0] ?? '').split('=');
    const variable = Object.hasOwn(GLOBAL, name) ? GLOBAL[name] : undefined;
    if (variable === undefined) return rest;
    rest.shift();
    const value = inline.length > 0 ? inline.join('=') : rest.shift();
    if (value === undefined) throw new SluiceError('ERR_USAGE', `${name} lacks its value`);
    environment[variable] = value;
  }
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
