/**
 * What differs between two Models, for people: by service and server, with the settings that
 * differ. And the merge of a file that changed with a running state that was edited.
 */
import { isDeepStrictEqual } from 'node:util';
import { formatCidr, formatEndpoint } from './config/address.js';
import { CLIENT_LISTS, type ClientItem, type Clients } from './config/clients.js';
import type { Model, ServerModel, ServiceModel } from './config/model.js';
import { serverKey, serviceKey } from './plan.js';
import { withoutSecrets } from './secrets.js';

export interface ModelChange {
  what: 'service' | 'server' | 'timeouts' | 'route' | 'neighbour' | 'clients' | 'setting';
  change: 'added' | 'removed' | 'changed';
  /** `tcp 203.0.113.10:80`, of a server with ` 198.51.100.11:8080` after it. */
  key: string;
  /** `weight 1 → 5` … */
  details: string[];
}

export function diffModels(before: Model, after: Model): ModelChange[] {
  const serviceOf = (model: Model) => new Map(model.services.map((one) => [serviceKey(one), one]));
  const serverOf = (model: Model) =>
    new Map(
      model.services.flatMap((service) =>
        service.servers.map((server): [string, ServerModel] => [
          serverKey(service, server),
          server,
        ]),
      ),
    );
  return [
    ...changes('service', serviceOf(before), serviceOf(after), ['servers']),
    ...changes('server', serverOf(before), serverOf(after), []),
    ...changes('timeouts', one(before.timeouts), one(after.timeouts), []),
    ...changes('route', byKey(before.routes, routeKey), byKey(after.routes, routeKey), []),
    ...changes(
      'neighbour',
      byKey(before.neighbours, ({ address }) => address),
      byKey(after.neighbours, ({ address }) => address),
      [],
    ),
    ...changes('clients', clientFiles(before), clientFiles(after), []),
    ...changes('setting', settings(before), settings(after), []),
  ];
}

const routeKey = ({ to }: Model['routes'][number]) => formatCidr(to);
const one = <Value>(value: Value) => new Map([['timeouts', value]]);
const byKey = <Value>(list: readonly Value[], key: (value: Value) => string) =>
  new Map(list.map((value) => [key(value), value]));

/** By the file's path; of lines that differ some are named. */
function clientFiles({ clientFiles: files }: Model): Map<string, { text: string }> {
  return new Map(files.map(({ path, text }) => [path, { text }]));
}

/** What takes effect only at a restart. */
function settings({ director, ports }: Model): Map<string, object> {
  return new Map<string, object>([
    ['director', director],
    ...ports.map((port): [string, object] => [`port ${port.name}`, port]),
  ]);
}

function changes(
  what: ModelChange['what'],
  before: ReadonlyMap<string, object>,
  after: ReadonlyMap<string, object>,
  ignored: readonly string[],
): ModelChange[] {
  const found: ModelChange[] = [];
  for (const key of before.keys()) {
    if (!after.has(key)) found.push({ what, change: 'removed', key, details: [] });
  }
  for (const [key, value] of after) {
    const old = before.get(key);
    if (!old) {
      found.push({ what, change: 'added', key, details: [] });
    } else if (old !== value) {
      const details = differences(old, value, ignored);
      if (details.length > 0) found.push({ what, change: 'changed', key, details });
    }
  }
  return found;
}

function differences(before: object, after: object, ignored: readonly string[]): string[] {
  const old = before as Record<string, unknown>;
  const now = after as Record<string, unknown>;
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((key) => !ignored.includes(key) && !isDeepStrictEqual(old[key], now[key]))
    .map((key) => difference(key, old[key], now[key]));
}

function difference(key: string, before: unknown, after: unknown): string {
  if (key === 'text') return lineChanges(String(before), String(after));
  if (key === 'clients') return clientChanges(before as Clients, after as Clients);
  if (key === 'drained') return after === true ? 'drained' : 'no longer drained';
  return `${key} ${shown(before)} → ${shown(after)}`;
}

/** Of long lists what differs, and of that so much. */
const NAMED = 8;

function named(before: readonly string[], after: readonly string[]): string {
  const [old, now] = [new Set(before), new Set(after)];
  const signed = [
    ...[...now].filter((one) => !old.has(one)).map((one) => `+${one}`),
    ...[...old].filter((one) => !now.has(one)).map((one) => `-${one}`),
  ];
  const more = signed.length > NAMED ? `, and ${signed.length - NAMED} more` : '';
  return signed.length === 0 ? 'in another order' : signed.slice(0, NAMED).join(', ') + more;
}

function lineChanges(before: string, after: string): string {
  const lines = (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  return named(lines(before), lines(after));
}

function clientChanges(before: Clients, after: Clients): string {
  const texts = (items: readonly ClientItem[]) =>
    items.map((item) => (typeof item === 'string' ? item : `file ${item.file}`));
  return CLIENT_LISTS.filter((list) => !isDeepStrictEqual(before[list], after[list]))
    .map(
      (list) =>
        `clients that it ${list === 'allow' ? 'allows' : 'denies'} ${named(texts(before[list]), texts(after[list]))}`,
    )
    .join(', ');
}

function shown(value: unknown): string {
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`;
  return typeof value === 'string' ? value : JSON.stringify(value, withoutSecrets);
}

/** `+ server tcp 203.0.113.10:80 198.51.100.12:8080` */
export function changeLine({ what, change, key, details }: ModelChange): string {
  const sign = { added: '+', removed: '-', changed: '~' }[change];
  const name = what === 'timeouts' ? 'timeouts' : `${what} ${key}`;
  return [`${sign} ${name}`, ...(details.length > 0 ? [details.join(', ')] : [])].join(': ');
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

/** Things by key: the file's in the file's order, then those that only the running state has. */
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
  return merged;
}
