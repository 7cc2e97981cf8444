/** Joins the plan with the counters: what listings show. */

import type { PortReport, ServiceReport } from '../api/types.js';
import { formatCidr } from '../config/address.js';
import type { Model, ServiceModel } from '../config/model.js';
import type { CheckReport } from '../health/watch.js';
import { FORWARD_WORDS, type PortStatus } from '../native.js';
import { type Planned, type SlotEntry, serverKey, serviceKey } from '../plan.js';
import type { CounterView } from './counters.js';

export function serviceReports(
  model: Model,
  planned: Planned,
  counters: CounterView,
  checksOf: (serverKey: string) => CheckReport[] = () => [],
): ServiceReport[] {
  const { slots, snapshot } = planned;
  return model.services.map((service, index) => {
    const slot = (slots.services.get(serviceKey(service)) as SlotEntry).slot;
    const current = new Map(snapshot.services[index]?.servers.map((one) => [one.slot, one]));
    return {
      name: service.name,
      protocol: service.protocol,
      address: service.listen.address,
      port: service.listen.port,
      scheduler: service.scheduler,
      flags: flags(service),
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
          weight: now?.weight ?? server.weight,
          up: now?.up ?? true,
          checks: checksOf(key),
          slot: own,
          ...counters.server(own),
        };
      }),
    };
  });
}

function flags(service: ServiceModel): string[] {
  const { scheduler } = service;
  return [
    ...(service.schedulePort ? [`${scheduler}-port`] : []),
    ...(service.scheduleFallback ? [`${scheduler}-fallback`] : []),
    ...(service.onePacket ? ['ops'] : []),
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
