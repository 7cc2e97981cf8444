/** Marks and the rules of them, as director.yaml has them. */
import { z } from 'zod';
import { bitsOf, parseAddress, parseAnyCidr } from './address.js';
import { integer, name, oneOf, section, text } from './kinds.js';

export const LARGEST_MARK = 0xffff_ffff;

const addressOrNetwork = (example: string) =>
  text(`an address or network such as ${example}`, (input) => {
    const parsed = parseAddress(input);
    if ('fault' in parsed) return parseAnyCidr(input);
    return { value: { address: parsed.value, length: bitsOf(parsed.value) } };
  });

const RANGE = 'a port or a range such as 8000-8010';

function rangeOf(input: unknown): { low: number; high: number } | undefined {
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(input)) ?? [];
  const range = { low: Number(low), high: Number(high ?? low) };
  return range.low >= 1 && range.low <= range.high && range.high <= 65_535 ? range : undefined;
}

/** One range, or a list of them; each wrong one is told. */
const portRanges = z.unknown().transform((input, context) => {
  const given = Array.isArray(input) ? input : [input];
  const message = `expected ${RANGE}${given.length === 0 ? ', or a list of them' : ''}`;
  if (given.length === 0) context.addIssue({ code: 'custom', message });
  return given.flatMap((one, index) => {
    const range = rangeOf(one);
    if (range) return [range];
    context.addIssue({ code: 'custom', message, path: Array.isArray(input) ? [index] : [] });
    return [];
  });
});

export const mark = () => integer(1, LARGEST_MARK);

export const markRule = section({
  mark: mark(),
  to: addressOrNetwork('203.0.113.10'),
  protocol: oneOf(['tcp', 'udp', 'sctp']).optional(),
  ports: portRanges.optional(),
  from: addressOrNetwork('192.0.2.0/24').optional(),
  port: name().optional(),
});
