/**
 * Marks: which first packets a service for a mark is for. What netfilter marks on a Linux director;
 * here rules of director.yaml, of which the first that fits counts.
 */
import { z } from 'zod';
import {
  bitsOf,
  type Cidr,
  type Endpoint,
  formatEndpoint,
  inNetwork,
  isSix,
  parseAddress,
  parseAnyCidr,
} from './address.js';
import { integer, name, oneOf, section, text } from './kinds.js';
import type { ServiceModel } from './model.js';

export interface MarkModel {
  mark: number;
  to: Cidr;
  /** undefined: TCP and UDP. */
  protocol: 'tcp' | 'udp' | 'sctp' | undefined;
  /** Destination ports. */
  ports: { low: number; high: number }[];
  /** undefined: from anywhere. */
  from: Cidr | undefined;
  /** The director's port that a packet comes by; undefined: any. */
  port: string | undefined;
}

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

export function buildMarks(rules: z.output<typeof markRule>[] = []): MarkModel[] {
  return rules.map(({ ports, ...rule }) => ({
    mark: rule.mark,
    to: rule.to,
    protocol: rule.protocol,
    ports: ports ?? [{ low: 0, high: 65_535 }],
    from: rule.from,
    port: rule.port,
  }));
}

/** Where a mark's service stands in for an address and port: none, and the mark. */
export function markEnd(value: number, six: boolean): Endpoint {
  return { address: six ? '::' : '0.0.0.0', port: value };
}

/** A service's end as people read it: `203.0.113.10:80`, or the mark. */
export function formatEnd(protocol: ServiceModel['protocol'], { address, port }: Endpoint): string {
  if (protocol !== 'fwmark') return formatEndpoint({ address, port });
  return isSix(address) ? `${port} IPv6` : `${port}`;
}

export function isMarked({ protocol }: Pick<ServiceModel, 'protocol'>): boolean {
  return protocol === 'fwmark';
}

/** Rules that send packets to the service. */
export function rulesOf(
  { protocol, listen }: Pick<ServiceModel, 'protocol' | 'listen'>,
  marks: readonly MarkModel[],
): MarkModel[] {
  if (protocol !== 'fwmark') return [];
  return marks.filter(
    (rule) => rule.mark === listen.port && isSix(rule.to.address) === isSix(listen.address),
  );
}

/** The addresses that a service is reached at, and that the director answers for. */
export function addressesOf(
  service: Pick<ServiceModel, 'protocol' | 'listen'>,
  marks: readonly MarkModel[],
): string[] {
  if (service.protocol !== 'fwmark') return [service.listen.address];
  const single = rulesOf(service, marks).filter(({ to }) => to.length === bitsOf(to.address));
  return [...new Set(single.map(({ to }) => to.address))];
}

/** A packet as a rule sees it; which of our ports it comes by is not known. */
export interface MarkedFlow {
  protocol: string;
  from: Endpoint;
  to: Endpoint;
}

/** The first rule that fits. */
export function ruleFor(
  { protocol, from, to }: MarkedFlow,
  marks: readonly MarkModel[],
): MarkModel | undefined {
  return marks.find(
    (rule) =>
      (rule.protocol === undefined ? protocol !== 'sctp' : rule.protocol === protocol) &&
      rule.ports.some(({ low, high }) => low <= to.port && to.port <= high) &&
      inNetwork(to.address, rule.to) &&
      (rule.from === undefined || inNetwork(from.address, rule.from)),
  );
}
