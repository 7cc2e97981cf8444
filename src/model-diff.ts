/**
 * What differs between two Models, for people: by service and server, with the settings that
 * differ. And the merge of a file that changed with a running state that was edited.
 */

import { isDeepStrictEqual } from 'node:util';
import type { ModelChange } from './changes/change.js';
import { type FieldChange, fieldChanges, listChange } from './changes/fields.js';
import { fieldText } from './changes/words.js';
import { formatCidr, formatEndpoint } from './config/address.js';
import type { MarkModel, Model, ServerModel, ServiceModel } from './config/model.js';
import { serverKey, serviceKey } from './plan.js';
import { sameData } from './same-data.js';

/** Empty only where both say the same. */
export function diffModels(before: Model, after: Model): ModelChange[] {
  const [services, others] = unshared(before.services, after.services);
  const [old, now] = [byKey(services, serviceKey), byKey(others, serviceKey)];
  return [
    ...changes('service', old, now, ['servers']),
    ...serverChanges(old, now),
    ...changes('timeouts', one(before.timeouts), one(after.timeouts)),
    ...changes('route', byKey(before.routes, routeKey), byKey(after.routes, routeKey)),
    ...changes(
      'neighbour',
      byKey(before.neighbours, neighbour),
      byKey(after.neighbours, neighbour),
    ),
    ...changes('mark', byKey(before.marks, markKey), byKey(after.marks, markKey)),
    ...changes('vrrp', vrrpParts(before), vrrpParts(after)),
    ...changes('kernel', new Map([['', before.kernel]]), new Map([['', after.kernel]])),
    ...changes('clients', clientFiles(before), clientFiles(after)),
    ...changes('setting', settings(before), settings(after)),
    ...reordered(before, after),
  ];
}

/** Without services that both have at the same place, as long as the others have the same ones, too. */
export function unshared(
  before: readonly ServiceModel[],
  after: readonly ServiceModel[],
): [before: readonly ServiceModel[], after: readonly ServiceModel[]] {
  const aligned =
    before.length === after.length &&
    before.every((one, at) => isSame(one, after[at] as ServiceModel));
  if (!aligned) return [before, after];
  return [
    before.filter((one, at) => one !== after[at]),
    after.filter((one, at) => one !== before[at]),
  ];
}

/** Services of the same key. */
function isSame(one: ServiceModel, other: ServiceModel): boolean {
  if (one === other) return true;
  const [{ listen: a }, { listen: b }] = [one, other];
  return one.protocol === other.protocol && a.address === b.address && a.port === b.port;
}

const routeKey = ({ to }: Model['routes'][number]) => formatCidr(to);
const neighbour = ({ address }: Model['neighbours'][number]) => address;
const one = <Value>(value: Value) => new Map([['timeouts', value]]);
const byKey = <Value>(list: readonly Value[], key: (value: Value) => string) =>
  new Map(list.map((value) => [key(value), value]));

/** The whole rule: one that is another is another rule. */
function markKey({ mark, to, protocol, ports, from, port }: MarkModel): string {
  const ranges = ports.map(({ low, high }) => (low === high ? `${low}` : `${low}-${high}`));
  return [
    `${mark} to ${formatCidr(to)}`,
    ...(protocol ? [protocol] : []),
    `ports ${ranges.join(', ')}`,
    ...(from ? [`from ${formatCidr(from)}`] : []),
    ...(port ? [`by ${port}`] : []),
  ].join(' ');
}

function vrrpParts({ vrrp }: Model): Map<string, object> {
  const { instances, groups, trackers, ...rest } = vrrp;
  const named = (kind: string, list: readonly { name: string }[]) =>
    list.map((part): [string, object] => [`${kind} ${part.name}`, part]);
  return new Map([
    ['', rest],
    ...named('instance', instances),
    ...named('group', groups),
    ...named('tracker', trackers),
  ]);
}

/** By the file's path; of lines that differ some are named. */
function clientFiles({ clientFiles: files }: Model): Map<string, { text: string }> {
  return new Map(files.map(({ path, text }) => [path, { text }]));
}

/** What takes effect only at a restart, nearly all of it. */
function settings({ director, ports, sync }: Model): Map<string, object> {
  return new Map<string, object>([
    ['director', director],
    ...ports.map((port): [string, object] => [`port ${port.name}`, port]),
    ...(sync ? [['sync', sync] as [string, object]] : []),
  ]);
}

/** Services that both share have no servers that differ, and most of a large Model is shared. */
function serverChanges(
  before: ReadonlyMap<string, ServiceModel>,
  after: ReadonlyMap<string, ServiceModel>,
): ModelChange[] {
  const serversOf = (
    services: ReadonlyMap<string, ServiceModel>,
    others: ReadonlyMap<string, ServiceModel>,
  ) =>
    new Map(
      [...services].flatMap(([key, service]) =>
        others.get(key) === service
          ? []
          : service.servers.map((server): [string, ServerModel] => [
              serverKey(service, server),
              server,
            ]),
      ),
    );
  return changes('server', serversOf(before, after), serversOf(after, before));
}

export function changes(
  what: ModelChange['what'],
  before: ReadonlyMap<string, object>,
  after: ReadonlyMap<string, object>,
  ignored: readonly string[] = [],
): ModelChange[] {
  const found: ModelChange[] = [];
  for (const key of before.keys()) {
    if (!after.has(key)) found.push({ what, change: 'removed', key, fields: [], details: [] });
  }
  for (const [key, value] of after) {
    const old = before.get(key);
    if (!old) {
      found.push({ what, change: 'added', key, fields: [], details: [] });
    } else if (old !== value) {
      const fields = fieldChanges(old, value, ignored);
      if (what === 'service')
        fields.push(...serverOrder(old as ServiceModel, value as ServiceModel));
      if (fields.length > 0) found.push(changed(what, key, fields));
    }
  }
  return found;
}

function changed(what: ModelChange['what'], key: string, fields: FieldChange[]): ModelChange {
  return { what, change: 'changed', key, fields, details: fields.map(fieldText) };
}

/** rr, fo and others go by it. */
function serverOrder(before: ServiceModel, after: ServiceModel): FieldChange[] {
  const ends = ({ servers }: ServiceModel) => servers.map(({ address }) => formatEndpoint(address));
  return inAnotherOrder(ends(before), ends(after)) ? [listChange('servers', [], [])] : [];
}

/** Those that both have. */
function inAnotherOrder(before: readonly string[], after: readonly string[]): boolean {
  const [old, now] = [new Set(before), new Set(after)];
  return !sameData(
    before.filter((key) => now.has(key)),
    after.filter((key) => old.has(key)),
  );
}

/** Lists that say the same in another order, which listings show and rules of marks go by. */
function reordered(before: Model, after: Model): ModelChange[] {
  const lists: [name: string, keys: (model: Model) => string[]][] = [
    ['routes', ({ routes }) => routes.map(routeKey)],
    ['neighbours', ({ neighbours }) => neighbours.map(neighbour)],
    ['marks', ({ marks }) => marks.map(markKey)],
  ];
  const [old, now] = unshared(before.services, after.services);
  const services = inAnotherOrder(old.map(serviceKey), now.map(serviceKey)) ? ['services'] : [];
  const others = lists
    .filter(([name, keys]) => {
      const list = name as 'routes' | 'neighbours' | 'marks';
      return before[list] !== after[list] && inAnotherOrder(keys(before), keys(after));
    })
    .map(([name]) => name);
  return [...services, ...others].map((name) => changed('setting', name, [listChange('', [], [])]));
}

export interface Merged {
  model: Model;
  /** Edits that gave way to the file: keys of services and servers. */
  overruled: string[];
}

/**
 * The file's change (from `base` to `next`) made to the running state: what the file left alone
 * stays as it was edited, what it changed is as the file now says.
 */
export function mergeModels(base: Model, next: Model, running: Model): Merged {
  const overruled: string[] = [];
  const services = mergeLists(base.services, next.services, running.services, serviceKey, {
    overruled,
    merge: (old, file, now) => mergeService(old, file, now, overruled),
  });
  const timeouts = { ...running.timeouts };
  for (const key of ['tcpMs', 'tcpFinMs', 'udpMs'] as const) {
    if (next.timeouts[key] !== base.timeouts[key]) timeouts[key] = next.timeouts[key];
  }
  return { model: { ...next, timeouts, services }, overruled };
}

function mergeService(
  base: ServiceModel,
  next: ServiceModel,
  running: ServiceModel,
  overruled: string[],
): ServiceModel {
  const own = (service: ServiceModel) => ({ ...service, servers: [] });
  const fileChanged = !isDeepStrictEqual(own(base), own(next));
  const edited = !isDeepStrictEqual(own(base), own(running));
  if (fileChanged && edited) overruled.push(serviceKey(next));
  const servers = mergeLists(
    base.servers,
    next.servers,
    running.servers,
    ({ address }) => `${serviceKey(next)} ${formatEndpoint(address)}`,
    {
      overruled,
      merge: (old, file, now, key) => {
        if (isDeepStrictEqual(old, file)) return now;
        if (!isDeepStrictEqual(old, now)) overruled.push(key);
        return file;
      },
    },
  );
  return { ...(fileChanged ? next : running), servers };
}

/**
 * Things by key, in the order of the running state where the file's list has the things it had: else
 * the file's in its order, then those that only the running state has.
 */
function mergeLists<Item>(
  base: readonly Item[],
  next: readonly Item[],
  running: readonly Item[],
  keyOf: (item: Item) => string,
  {
    overruled,
    merge,
  }: { overruled: string[]; merge: (old: Item, file: Item, now: Item, key: string) => Item },
): Item[] {
  const old = byKey(base, keyOf);
  const file = byKey(next, keyOf);
  const now = byKey(running, keyOf);
  const merged: Item[] = [];
  for (const [key, item] of file) {
    const was = old.get(key);
    const current = now.get(key);
    if (was && current) {
      merged.push(merge(was, item, current, key));
    } else if (was) {
      // Removed at run time; the file brings it back only if it has something new to say of it.
      if (isDeepStrictEqual(was, item)) continue;
      overruled.push(key);
      merged.push(item);
    } else {
      if (current && !isDeepStrictEqual(current, item)) overruled.push(key);
      merged.push(item);
    }
  }
  for (const [key, item] of now) {
    if (file.has(key)) continue;
    const was = old.get(key);
    if (!was) merged.push(item);
    else if (!isDeepStrictEqual(was, item)) overruled.push(key);
  }
  const reordered = !isDeepStrictEqual([...old.keys()], [...file.keys()]);
  if (reordered) return merged;
  const places = new Map([...now.keys()].map((key, place) => [key, place]));
  const placeOf = (item: Item) => places.get(keyOf(item)) ?? places.size;
  return merged.sort((one, other) => placeOf(one) - placeOf(other));
}
