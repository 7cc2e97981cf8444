/**
 * Kinds of values in director.yaml. Each schema's message says only what was expected; load.ts
 * puts the place and the given value before it.
 */
import { z } from 'zod';
import {
  type AddressFault,
  parseAddress,
  parseAnyCidr,
  parseEndpoint,
  parseIPv4,
  parseMac,
  parseWideEndpoint,
} from './address.js';

export const expected = (text: string) => ({ error: () => `expected ${text}` });

export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  const last = values[values.length - 1];
  return z.enum(values, expected(`${values.slice(0, -1).join(', ')} or ${last}`));
}

export const integer = (low: number, high: number, of = 'a whole number') =>
  z
    .int(expected(`${of} from ${low} to ${high}`))
    .min(low)
    .max(high);

export const flag = () => z.boolean(expected('true or false'));

/** A string that `parse` understands; an IPv6 address gets a message of its own. */
export function text<T>(
  what: string,
  parse: (text: string) => { value: T } | { fault: AddressFault },
) {
  return z.string(expected(what)).transform((input, context) => {
    const result = parse(input);
    if ('value' in result) return result.value;
    context.addIssue(
      result.fault === 'ipv6'
        ? {
            code: 'custom',
            message: `IPv6 is not supported here, expected ${what}`,
            params: { code: 'ERR_CONFIG_IPV6' },
          }
        : { code: 'custom', message: `expected ${what}` },
    );
    return z.NEVER;
  });
}

/** A string of a pattern. */
export const word = (what: string, pattern: RegExp) => z.string(expected(what)).regex(pattern);

export const absolute = () => word('an absolute path', /^\/./);

export const name = () =>
  word(
    'a name of letters, digits, dots, dashes and underscores that starts with a letter',
    /^[A-Za-z][A-Za-z0-9._-]{0,62}$/,
  );
export const address = () => text('an IPv4 address such as 192.0.2.1', parseIPv4);
/** Of either family. */
export const anyAddress = () => text('an address such as 192.0.2.1', parseAddress);
export const network = () => text('a network such as 192.0.2.0/24', parseAnyCidr);
/** Of either family; port 0 is any. */
export const wideEndpoint = (example: string) =>
  text(`an address and port such as ${example}`, parseWideEndpoint);
export const endpoint = (example: string) =>
  text(`an IPv4 address and port such as ${example}`, parseEndpoint);

export const mac = () =>
  text<string>('a unicast MAC address such as 02:00:00:00:01:01', (input) => {
    const bytes = parseMac(input);
    const unicast = bytes && ((bytes[0] as number) & 1) === 0 && bytes.some((byte) => byte !== 0);
    return unicast ? { value: input.toLowerCase() } : { fault: 'invalid' };
  });

const UNITS: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6 };

/** `50us`, `1ms`, `15m`; a bare number counts in `unit`. Gives microseconds. */
export function duration(what: string, unit: string | undefined, lowUs: number, highUs: number) {
  return z.union([z.number(), z.string()], expected(what)).transform((input, context) => {
    const match = /^(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?$/.exec(String(input).trim());
    const factor = match && UNITS[match[2] ?? (Number(match[1]) === 0 ? 's' : (unit ?? ''))];
    const us = match && factor ? Math.round(Number(match[1]) * factor) : Number.NaN;
    if (us >= lowUs && us <= highUs) return us;
    context.addIssue({ code: 'custom', message: `expected ${what}` });
    return z.NEVER;
  });
}

export const section = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, expected('a block of keys'));
export const list = <T extends z.ZodType>(of: T, what: string) =>
  z.array(of, expected(`a list of ${what}`));
