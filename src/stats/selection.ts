/** Which services and servers a listing has, in which order: decided in slices, and by no report. */

import type { ServicesQuery } from '../api/requests.js';
import { formatEndpoint } from '../config/address.js';
import { formatEnd } from '../config/marks.js';
import type { Model, ServerModel, ServiceModel } from '../config/model.js';
import type { Planned } from '../plan.js';
import { pacer } from '../slices.js';
import { partAt, serverCounts } from './effect.js';
import type { Rates, RateView } from './rates.js';
import type { Sort } from './sorts.js';

/** By their places in the configuration. */
export interface Chosen {
  index: number;
  servers: Iterable<number>;
}

/** What is busiest comes first. */
const BUSY: Record<Exclude<Sort, 'configured' | 'name'>, (rates: Rates) => number> = {
  packets: ({ inPps, outPps }) => inPps + outPps,
  bits: ({ inBps, outBps }) => inBps + outBps,
  connections: ({ cps }) => cps,
};

/** All, as they are configured. */
export function* everything({ services }: Model): Generator<Chosen> {
  for (const [index, { servers }] of services.entries()) yield { index, servers: servers.keys() };
}

export async function select(
  model: Model,
  planned: Planned,
  rates: Pick<RateView, 'service'>,
  query: ServicesQuery,
): Promise<Chosen[]> {
  const { match, state, offset, limit } = query;
  const rest = pacer();
  const found: number[] = [];
  for (const [index, service] of model.services.entries()) {
    if (isIn(state, service, planned, index) && mentions(service, match)) found.push(index);
    const pause = rest();
    if (pause) await pause;
  }
  sort(found, query.sort, model, (index) => rates.service(partAt(planned, index).service.slot));
  const page = found.slice(offset, limit > 0 ? offset + limit : undefined);
  return fitting(model, page, query);
}

function isIn(
  state: ServicesQuery['state'],
  service: ServiceModel,
  planned: Planned,
  index: number,
): boolean {
  if (state === 'any') return true;
  const { all, up, taking } = serverCounts(service, partAt(planned, index));
  return (all > 0 && taking === 0) || (state === 'degraded' && up < all);
}

/** Whether the name or an address of a service or one of its servers has the text in it. */
function mentions(service: ServiceModel, text: string): boolean {
  return text === '' || isNamed(service, text) || service.servers.some((one) => isAt(one, text));
}

function isNamed({ name, protocol, listen }: ServiceModel, text: string): boolean {
  return name.includes(text) || `${protocol} ${formatEnd(protocol, listen)}`.includes(text);
}

const isAt = ({ address }: ServerModel, text: string) => formatEndpoint(address).includes(text);

function sort(
  found: number[],
  by: Sort,
  { services }: Model,
  ratesOf: (index: number) => Rates,
): void {
  if (by === 'configured') return;
  if (by === 'name') {
    const { compare } = new Intl.Collator();
    const nameOf = (index: number) => services[index]?.name ?? '';
    found.sort((a, b) => compare(nameOf(a), nameOf(b)));
    return;
  }
  const busy = new Map(found.map((index) => [index, BUSY[by](ratesOf(index))]));
  found.sort((a, b) => (busy.get(b) ?? 0) - (busy.get(a) ?? 0));
}

/** As far as `lines` go. Of servers that do not fit, those that were looked for come first. */
function fitting(
  { services }: Model,
  page: readonly number[],
  { match, servers: most, lines }: ServicesQuery,
): Chosen[] {
  const chosen: Chosen[] = [];
  let left = lines > 0 ? lines : Number.POSITIVE_INFINITY;
  for (const index of page) {
    if (left <= 0) break;
    left--;
    const service = services[index] as ServiceModel;
    const count = Math.min(service.servers.length, most ?? Number.POSITIVE_INFINITY, left);
    left -= count;
    chosen.push({ index, servers: firstOf(service, count, match) });
  }
  return chosen;
}

function firstOf({ servers }: ServiceModel, count: number, match: string): Iterable<number> {
  if (count === servers.length) return servers.keys();
  const all = [...servers.keys()];
  if (match === '' || count === 0) return all.slice(0, count);
  const wanted = (at: number) => isAt(servers[at] as ServerModel, match);
  return [...all.filter(wanted), ...all.filter((at) => !wanted(at))].slice(0, count);
}
