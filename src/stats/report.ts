/** Joins the plan with the counters: what listings show. */

import type { ServicesQuery } from '../api/requests.js';
import type { PortReport, Rates, ServiceReport, StatusReport } from '../api/types.js';
import { formatCidr, formatEndpoint } from '../config/address.js';
import { formatEnd } from '../config/marks.js';
import type { Model, ServiceModel } from '../config/model.js';
import { IPIP } from '../config/tunnel.js';
import type { CheckReport } from '../health/watch.js';
import { FORWARD_WORDS, type PortStatus } from '../native.js';
import { type Planned, type SlotEntry, serverKey, serviceKey } from '../plan.js';
import type { CounterView } from './counters.js';
import { NO_RATES, type RateView } from './rates.js';

/** One after the other, as they are asked for. */
export function* serviceReports(
  model: Model,
  planned: Planned,
  counters: CounterView,
  rates: RateView,
  checksOf: (serverKey: string) => CheckReport[] = () => [],
  { match = '', offset = 0, limit = 0 }: Partial<ServicesQuery> = {},
): Generator<ServiceReport> {
  const { slots, snapshot } = planned;
  const wanted = model.services.flatMap((service, index) =>
    mentions(service, match) ? [{ service, index }] : [],
  );
  const page = wanted.slice(offset, limit > 0 ? offset + limit : undefined);
  for (const { service, index } of page) {
    const slot = (slots.services.get(serviceKey(service)) as SlotEntry).slot;
    const current = new Map(snapshot.services[index]?.servers.map((one) => [one.slot, one]));
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
      servers: service.servers.map((server) => {
        const key = serverKey(service, server);
        const own = (slots.servers.get(key) as SlotEntry).slot;
        const now = current.get(own);
        return {
          address: server.address.address,
          port: server.address.port,
          mode: server.mode,
          forward: FORWARD_WORDS[server.mode],
          tunnel: server.mode === 'tun' ? (server.tunnel ?? IPIP) : null,
          weight: now?.weight ?? server.weight,
          configuredWeight: server.weight,
          drained: server.drained ?? false,
          up: now?.up ?? true,
          checks: checksOf(key),
          upperThreshold: server.upperThreshold,
          lowerThreshold: server.lowerThreshold,
          rates: rates.server(own),
          slot: own,
          ...counters.server(own),
        };
      }),
    };
  }
}

/** Whether the name or an address of a service or one of its servers has the text in it. */
function mentions({ name, protocol, listen, servers }: ServiceModel, text: string): boolean {
  return (
    text === '' ||
    name.includes(text) ||
    `${protocol} ${formatEnd(protocol, listen)}`.includes(text) ||
    servers.some(({ address }) => formatEndpoint(address).includes(text))
  );
}

/** Sums over all services, and how many servers are as they should be. */
export function totals(
  model: Model,
  { slots, snapshot }: Planned,
  rates: RateView,
): StatusReport['totals'] {
  const sum: StatusReport['totals'] = {
    services: model.services.length,
    servers: 0,
    serversUp: 0,
    serversDrained: 0,
    rates: { ...NO_RATES },
  };
  for (const [index, service] of model.services.entries()) {
    const own = rates.service((slots.services.get(serviceKey(service)) as SlotEntry).slot);
    for (const key of Object.keys(sum.rates) as (keyof Rates)[]) sum.rates[key] += own[key];
    sum.servers += service.servers.length;
    // A sorry server comes after those of the Model.
    const planned = snapshot.services[index]?.servers ?? [];
    service.servers.forEach(({ drained }, at) => {
      if (drained) sum.serversDrained++;
      if (planned[at]?.up) sum.serversUp++;
    });
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
export function serviceNames(model: Model, planned: Planned): Map<number, string> {
  return new Map(
    model.services.map((service) => [
      (planned.slots.services.get(serviceKey(service)) as SlotEntry).slot,
      service.name,
    ]),
  );
}
