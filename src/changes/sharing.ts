/**
 * Equal parts of two Models made the same object. A file that is read again is nothing but new
 * objects; with what has not changed shared, whoever comes next (check, plan, diff, health, the
 * ledger) has to look at what has.
 */
import type { Model, ServiceModel } from '../config/model.js';
import { serviceKey } from '../plan.js';
import { sameData } from '../same-data.js';

/** `next`, of which all that `old` says too is `old`'s own; `old` itself where nothing differs. */
export function sharing(next: Model, old: Model): Model {
  if (next === old) return old;
  const shared = { ...next, services: shareServices(next.services, old.services) };
  return shareMembers(shared, old);
}

function shareServices(next: ServiceModel[], old: ServiceModel[]): ServiceModel[] {
  let byKey: Map<string, ServiceModel> | undefined;
  const find = (service: ServiceModel, at: number): ServiceModel | undefined => {
    const there = old[at];
    if (there === service || (there && isSame(there, service))) return there;
    byKey ??= new Map(old.map((one) => [serviceKey(one), one]));
    return byKey.get(serviceKey(service));
  };
  return shareList(next, old, (service, at) => {
    const before = find(service, at);
    if (before === undefined || before === service) return service;
    const servers = shareList(service.servers, before.servers, (server, index) => {
      const one = before.servers[index];
      return one && sameData(one, server) ? one : server;
    });
    return shareMembers({ ...service, servers }, before);
  });
}

function isSame(one: ServiceModel, other: ServiceModel): boolean {
  const { protocol, listen } = one;
  return (
    protocol === other.protocol &&
    listen.address === other.listen.address &&
    listen.port === other.listen.port
  );
}

function shareList<Item>(next: Item[], old: Item[], share: (item: Item, at: number) => Item) {
  const shared = next.map(share);
  return shared.length === old.length && shared.every((one, at) => one === old[at]) ? old : shared;
}

/** Members that say the same are the old one's; all of them: it is the old one. */
function shareMembers<Whole extends object>(next: Whole, old: Whole): Whole {
  const shared = { ...next };
  let same = Object.keys(old).every((key) => key in next);
  for (const key of Object.keys(next) as (keyof Whole)[]) {
    if (sameData(next[key], old[key])) shared[key] = old[key];
    else same = false;
    same &&= key in old;
  }
  return same ? old : shared;
}
