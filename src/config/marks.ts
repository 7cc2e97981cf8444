/**
 * Marks: which first packets a service for a mark is for. What netfilter marks on a Linux director;
 * here rules of director.yaml, of which the first that fits counts.
 */
import type { z } from 'zod';
import { bitsOf, type Endpoint, formatEndpoint, inNetwork, isSix } from './address.js';
import type { markRule } from './marks-schema.js';
import type { MarkModel, ServiceModel } from './model.js';

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
