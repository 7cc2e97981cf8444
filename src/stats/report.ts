/** Joins the plan with the counters: what listings show. */

import type { PortReport, Rates, ServerReport, ServiceReport, StatusReport } from '../api/types.js';
import { formatCidr } from '../config/address.js';
import type { Model, ServiceModel } from '../config/model.js';
import { IPIP } from '../config/tunnel.js';
import type { CheckReport } from '../health/watch.js';
import { FORWARD_WORDS, type PortStatus } from '../native.js';
import type { Planned } from '../plan.js';
import type { CounterView } from './counters.js';
import { allCounts, inEffect, partAt, serverCounts } from './effect.js';
import { NO_RATES, type RateView } from './rates.js';
import type { Chosen } from './selection.js';

export interface ReportSources {
  model: Model;
  planned: Planned;
  counters: CounterView;
  rates: RateView;
  checksOf: (serverKey: string) => CheckReport[];
}

/** A report whose servers are made as they are asked for. */
export type ServiceListing = Omit<ServiceReport, 'servers'> & { servers: Iterable<ServerReport> };

/** One after the other, as they are asked for. */
export function* serviceReports(
  sources: ReportSources,
  chosen: Iterable<Chosen>,
): Generator<ServiceListing> {
  const { model, planned, counters, rates } = sources;
  for (const { index, servers } of chosen) {
    const service = model.services[index] as ServiceModel;
    const part = partAt(planned, index);
    const { slot } = part.service;
    yield {
      name: service.name,
      protocol: service.protocol,
      address: service.listen.address,
      port: service.listen.port,
      scheduler: service.scheduler,
      flags: flags(service),
      persistence: service.persistence && {
        timeoutS: service.persistence.timeoutS,
        netmask: service.persistence.netmask,
        engine: service.persistence.engine,
      },
      localAddresses: service.localAddresses,
      rates: rates.service(slot),
      slot,
      ...counters.service(slot),
      serverCounts: serverCounts(service, part),
      servers: serverReports(sources, index, servers),
    };
  }
}

/** Those at `places`, in that order. */
function* serverReports(
  { model, planned, counters, rates, checksOf }: ReportSources,
  index: number,
  places: Iterable<number>,
): Generator<ServerReport> {
  const { servers } = model.services[index] as ServiceModel;
  const part = partAt(planned, index);
  const effect = inEffect(part);
  for (const at of places) {
    const server = servers[at] as ServiceModel['servers'][number];
    const now = effect(at);
    const { slot } = part.servers[at] as { slot: number };
    yield {
      address: server.address.address,
      port: server.address.port,
      mode: server.mode,
      forward: FORWARD_WORDS[server.mode],
      tunnel: server.mode === 'tun' ? (server.tunnel ?? IPIP) : null,
      weight: now?.weight ?? server.weight,
      configuredWeight: server.weight,
      drained: server.drained ?? false,
      up: now?.up ?? true,
      checks: checksOf(part.serverKeys[at] as string),
      upperThreshold: server.upperThreshold,
      lowerThreshold: server.lowerThreshold,
      rates: rates.server(slot),
      slot,
      ...counters.server(slot),
    };
  }
}

/** Sums over all services, and how many servers are as they should be. */
export function totals(model: Model, planned: Planned, rates: RateView): StatusReport['totals'] {
  const sum: StatusReport['totals'] = {
    services: model.services.length,
    servicesDown: 0,
    servers: 0,
    serversUp: 0,
    serversDrained: 0,
    rates: { ...NO_RATES },
  };
  for (const [index, { all, up, taking, drained }] of allCounts(model, planned).entries()) {
    const own = rates.service(partAt(planned, index).service.slot);
    for (const key of Object.keys(sum.rates) as (keyof Rates)[]) sum.rates[key] += own[key];
    sum.servers += all;
    sum.serversUp += up;
    sum.serversDrained += drained;
    if (all > 0 && taking === 0) sum.servicesDown++;
  }
  return sum;
}

/** Only sh and mh have names for their flags. */
function flags({ scheduler, ...service }: ServiceModel): string[] {
  const named = scheduler === 'sh' || scheduler === 'mh';
  return [
    ...(service.scheduleFallback ? [named ? `${scheduler}-fallback` : 'flag-1'] : []),
    ...(service.schedulePort ? [named ? `${scheduler}-port` : 'flag-2'] : []),
    ...(service.onePacket ? ['ops'] : []),
    ...(service.synProxy ? ['synproxy'] : []),
  ];
}

export function portReports(
  model: Model,
  statuses: PortStatus[],
  counters: CounterView,
): PortReport[] {
  return statuses.map((status, index) => ({
    ...status,
    addresses: model.ports[index]?.addresses.map(formatCidr) ?? [],
    counters: counters.port(index),
  }));
}

/** Slots → service names, of services that exist now. */
export function serviceNames({ services }: Model, planned: Planned): Map<number, string> {
  return new Map(
    services.map(({ name }, index) => [partAt(planned, index).service.slot, name] as const),
  );
}
