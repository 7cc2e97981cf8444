/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { BenchError } from './errors.js';

/** Dimensions that cases can be narrowed by; each takes values separated by commas. */
export const FILTERS = [
  'mode',
  'protocol',
  'family',
  'flows',
  'bytes',
  'direction',
  'factor',
  'load',
  'contestant',
  'port',
  'measure',
  'connections',
  'advert',
] as const;
export type Filter = (typeof FILTERS)[number];
export type Filters = Partial<Record<Filter, string[]>>;

export interface Arguments {
  scenarios: string[];
  filters: Filters;
  /** The whole matrix rather than the usual selection. */
  long: boolean;
  /** A part of the usual selection, in less than ten minutes; nothing of it is kept. */
  short: boolean;
  json: boolean;
  /** Only cases whose kept result is of another dataplane, or had a noisy floor. */
  again: boolean;
  help: boolean;
  /** Measured runs a case, and the length of each. */
  runs: number;
  milliseconds: number;
  /** Where to measure; undefined: the last CPUs that this process may use. */
  cpus: number[] | undefined;
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least) {
    throw new BenchError(
      'ERR_BENCH_ARGUMENT',
      `--${option} ${text}: a whole number from ${least} on`,
    );
  }
  return value;
}

function parsed(argv: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...(Object.fromEntries(FILTERS.map((name) => [name, text])) as Record<Filter, typeof text>),
        long: flag,
        short: flag,
        json: flag,
        again: flag,
        help: { ...flag, short: 'h' },
        runs: text,
        milliseconds: text,
        cpu: text,
      },
    });
  } catch (error) {
    throw new BenchError('ERR_BENCH_ARGUMENT', (error as Error).message);
  }
}

export function parseArguments(argv: string[], known: readonly string[]): Arguments {
  const { values, positionals } = parsed(argv);
  for (const name of positionals) {
    if (known.includes(name)) continue;
    const message = `there is no scenario '${name}': ${known.join(', ')}`;
    throw new BenchError('ERR_BENCH_ARGUMENT', message);
  }
  const filters: Filters = {};
  for (const name of FILTERS) {
    const value = values[name];
    if (value !== undefined) filters[name] = value.split(',');
  }
  if (values.long && values.short) {
    throw new BenchError('ERR_BENCH_ARGUMENT', '--long and --short: one of them');
  }
  const { runs = values.short ? '3' : '5', milliseconds = values.short ? '150' : '300' } = values;
  return {
    scenarios: positionals.length > 0 ? positionals : [...known],
    filters,
    long: values.long,
    short: values.short,
    json: values.json,
    again: values.again,
    help: values.help,
    runs: wholeNumber('runs', runs, 1),
    milliseconds: wholeNumber('milliseconds', milliseconds, 1),
    cpus: values.cpu?.split(',').map((cpu) => wholeNumber('cpu', cpu, 0)),
  };
}
