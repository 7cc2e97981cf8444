/**
 * The edits that make one Model of another, in the API's own words: what was done at run time, said
 * so that it can be done again to a file that has changed meanwhile, or by another version.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatEndpoint } from '../config/address.js';
import { ANYBODY, CLIENT_LISTS, type Clients } from '../config/clients.js';
import type { Model, ServerModel, ServiceModel } from '../config/model.js';
import { unshared } from '../model-diff.js';
import type { Edit, ServerSettings, ServiceId, ServiceSettings } from '../model-edit.js';
import { serviceKey } from '../plan.js';

/** What edits can't say (settings that only a file has) is left out. */
export function editsBetween(base: Model, running: Model): Edit[] {
  if (base === running) return [];
  const [old, now] = unshared(base.services, running.services);
  const before = new Map(old.map((one) => [serviceKey(one), one]));
  const after = new Map(now.map((one) => [serviceKey(one), one]));
  const edits: Edit[] = [];
  for (const [key, service] of before) {
    if (!after.has(key)) edits.push({ edit: 'removeService', service: idOf(service) });
  }
  for (const [key, service] of after) {
    const was = before.get(key);
    if (!was) edits.push(...newService(service));
    else if (was !== service) edits.push(...changed(was, service));
  }
  return [...edits, ...timeouts(base.timeouts, running.timeouts)];
}

const idOf = ({ protocol, listen }: ServiceModel): ServiceId => ({ protocol, listen });

function settingsOf(service: ServiceModel): ServiceSettings {
  const { scheduler, schedulePort, scheduleFallback, onePacket, persistence, synProxy } = service;
  return { scheduler, schedulePort, scheduleFallback, onePacket, persistence, synProxy };
}

function serverSettingsOf(server: ServerModel): ServerSettings {
  const { mode, tunnel, weight, upperThreshold, lowerThreshold } = server;
  return { mode, ...(tunnel && { tunnel }), weight, upperThreshold, lowerThreshold };
}

/** What an edit of a service leaves as it is; one that was removed and added has the defaults. */
function restOf(service: ServiceModel): object {
  const { localAddresses: _, servers: __, name: ___, clients, ...rest } = service;
  for (const key of Object.keys(settingsOf(service))) delete rest[key as keyof typeof rest];
  const files = CLIENT_LISTS.map((list) =>
    clients[list].filter((item) => typeof item !== 'string'),
  );
  return { ...rest, files };
}

function newService(service: ServiceModel): Edit[] {
  const id = idOf(service);
  return [
    { edit: 'addService', service: id, settings: settingsOf(service) },
    ...localAddresses(id, [], service.localAddresses),
    ...clientEdits(id, ANYBODY, service.clients),
    ...service.servers.flatMap((server) => newServer(id, server)),
  ];
}

function newServer(service: ServiceId, server: ServerModel): Edit[] {
  const where = { service, server: server.address };
  return [
    { edit: 'addServer', ...where, settings: serverSettingsOf(server) },
    ...(server.drained ? [{ edit: 'drainServer', ...where } as const] : []),
  ];
}

function changed(old: ServiceModel, now: ServiceModel): Edit[] {
  const service = idOf(now);
  if (!isDeepStrictEqual(restOf(old), restOf(now))) {
    return [{ edit: 'removeService', service }, ...newService(now)];
  }
  const edits: Edit[] = [];
  if (!isDeepStrictEqual(settingsOf(old), settingsOf(now))) {
    edits.push({ edit: 'editService', service, settings: settingsOf(now) });
  }
  edits.push(...localAddresses(service, old.localAddresses, now.localAddresses));
  edits.push(...clientEdits(service, old.clients, now.clients));
  const key = ({ address }: ServerModel) => formatEndpoint(address);
  const before = new Map(old.servers.map((one) => [key(one), one]));
  const after = new Set(now.servers.map(key));
  for (const [name, { address }] of before) {
    if (!after.has(name)) edits.push({ edit: 'removeServer', service, server: address });
  }
  for (const server of now.servers) {
    const was = before.get(key(server));
    if (!was) edits.push(...newServer(service, server));
    else if (was !== server) edits.push(...changedServer(service, was, server));
  }
  return edits;
}

function changedServer(service: ServiceId, old: ServerModel, now: ServerModel): Edit[] {
  const where = { service, server: now.address };
  if (!isDeepStrictEqual(old.health, now.health)) {
    return [{ edit: 'removeServer', ...where }, ...newServer(service, now)];
  }
  const edits: Edit[] = [];
  const same = isDeepStrictEqual(serverSettingsOf(old), serverSettingsOf(now));
  // It ends draining, too.
  if (!same) edits.push({ edit: 'editServer', ...where, settings: serverSettingsOf(now) });
  const drained = same ? old.drained : undefined;
  if (now.drained && !drained) edits.push({ edit: 'drainServer', ...where });
  if (!now.drained && drained) edits.push({ edit: 'undrainServer', ...where });
  return edits;
}

function localAddresses(
  service: ServiceId,
  before: readonly string[],
  after: readonly string[],
): Edit[] {
  const change = (edit: 'addLocalAddress' | 'removeLocalAddress', list: string[]) =>
    list.map((address): Edit => ({ edit, service, address }));
  return [
    ...change(
      'addLocalAddress',
      after.filter((one) => !before.includes(one)),
    ),
    ...change(
      'removeLocalAddress',
      before.filter((one) => !after.includes(one)),
    ),
  ];
}

function clientEdits(service: ServiceId, before: Clients, after: Clients): Edit[] {
  return CLIENT_LISTS.flatMap((list) => {
    if (before[list] === after[list]) return [];
    const texts = (clients: Clients) =>
      new Set(clients[list].filter((item) => typeof item === 'string'));
    const [old, now] = [texts(before), texts(after)];
    const change = (edit: 'addClient' | 'removeClient', from: Set<string>, not: Set<string>) =>
      [...from]
        .filter((one) => !not.has(one))
        .map((client): Edit => ({ edit, service, list, client }));
    return [...change('addClient', now, old), ...change('removeClient', old, now)];
  });
}

function timeouts(before: Model['timeouts'], after: Model['timeouts']): Edit[] {
  const seconds = (key: keyof Model['timeouts']) =>
    before[key] === after[key] ? 0 : Math.round(after[key] / 1_000);
  const [tcp, tcpFin, udp] = [seconds('tcpMs'), seconds('tcpFinMs'), seconds('udpMs')];
  return tcp + tcpFin + udp === 0 ? [] : [{ edit: 'setTimeouts', tcp, tcpFin, udp }];
}
