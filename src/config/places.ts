/**
 * Places of a configuration in numbers, so that a thread can hand over those of a hundred thousand
 * servers without what the file was parsed into: of services and servers in columns, of the rest
 * (which is small) by path.
 */
import type { Place } from '../errors.js';
import { CLIENT_LISTS, type ClientListName } from './clients.js';
import type { Model } from './model.js';
import { formatPath, isRecord, type Path } from './source.js';

/** File, line and column of a place. */
const COLUMNS = 3;
/** What is asked of a service besides where it is and where its servers are. */
const SERVICE_PARTS = [[], ['localAddresses'], ['servers'], ['clients']] as const;

/** What travels: to be transferred, see buffersOf(). */
export interface PlaceColumns {
  files: string[];
  /** A place for each of SERVICE_PARTS, by service. */
  services: Uint32Array;
  /** Of each service's servers, one after the other. */
  servers: Uint32Array;
  /** Of each service: its first server's index. */
  first: Uint32Array;
  /** Of what its lists of clients say, those it allows before those it denies. */
  clients: Uint32Array;
  firstClients: Record<ClientListName, Uint32Array>;
  others: Map<string, [file: number, line: number, column: number]>;
}

export const buffersOf = ({ services, servers, first, clients, firstClients }: PlaceColumns) =>
  [services, servers, first, clients, firstClients.allow, firstClients.deny].map(
    ({ buffer }) => buffer as ArrayBuffer,
  );

/** `whole`: the file's data, which says what paths there are. */
export function columnsOf(
  { services }: Model,
  whole: unknown,
  locate: (path: Path) => Place,
): PlaceColumns {
  const files: string[] = [];
  const numbers = (path: Path): [number, number, number] => {
    const { file, line, column } = locate(path);
    if (!files.includes(file)) files.push(file);
    return [files.indexOf(file), line, column];
  };
  const count = services.reduce((sum, { servers }) => sum + servers.length, 0);
  const said = services.reduce(
    (sum, { clients }) => sum + clients.allow.length + clients.deny.length,
    0,
  );
  const columns: PlaceColumns = {
    files,
    services: new Uint32Array(services.length * SERVICE_PARTS.length * COLUMNS),
    servers: new Uint32Array(count * COLUMNS),
    first: new Uint32Array(services.length),
    clients: new Uint32Array(said * COLUMNS),
    firstClients: {
      allow: new Uint32Array(services.length),
      deny: new Uint32Array(services.length),
    },
    others: new Map([['', numbers([])]]),
  };
  let at = 0;
  let atClients = 0;
  services.forEach(({ servers, clients }, service) => {
    columns.first[service] = at;
    SERVICE_PARTS.forEach((part, index) => {
      const place = numbers(['services', service, ...part]);
      columns.services.set(place, (service * SERVICE_PARTS.length + index) * COLUMNS);
    });
    for (const server of servers.keys()) {
      columns.servers.set(numbers(['services', service, 'servers', server]), at++ * COLUMNS);
    }
    for (const list of CLIENT_LISTS) {
      columns.firstClients[list][service] = atClients;
      for (const item of clients[list].keys()) {
        const place = numbers(['services', service, 'clients', list, item]);
        columns.clients.set(place, atClients++ * COLUMNS);
      }
    }
  });
  const walk = (value: unknown, path: Path): void => {
    if (path.length > 0) columns.others.set(formatPath(path), numbers(path));
    if (path.length === 1 && path[0] === 'services') return;
    const entries = Array.isArray(value) ? value.entries() : isRecord(value) && entriesOf(value);
    for (const [key, entry] of entries || []) walk(entry, [...path, key]);
  };
  walk(whole, []);
  return columns;
}

const entriesOf = (value: Record<string, unknown>) => Object.entries(value);

/** As ConfigSource.locate(), of a service's inside only what SERVICE_PARTS has. */
export function locator(columns: PlaceColumns): (path: Path) => Place {
  const { files, services, servers, first, clients, firstClients, others } = columns;
  const place = ([file = 0, line = 1, column = 1]: ArrayLike<number> &
    Iterable<number>): Place => ({
    file: files[file] as string,
    line,
    column,
  });
  const row = (from: Uint32Array, index: number) => {
    const at = index * COLUMNS;
    return at < from.length ? place(from.subarray(at, at + COLUMNS)) : undefined;
  };
  const inService = (service: number, [part, server, item]: Path): Place | undefined => {
    const begin = first[service];
    if (begin === undefined) return undefined;
    const end = first[service + 1] ?? servers.length / COLUMNS;
    if (part === 'servers' && typeof server === 'number' && begin + server < end) {
      return row(servers, begin + server);
    }
    if (part === 'clients' && (server === 'allow' || server === 'deny') && Number(item) >= 0) {
      return row(clients, (firstClients[server][service] as number) + Number(item));
    }
    const known = SERVICE_PARTS.findIndex(([one]) => one === part);
    return row(services, service * SERVICE_PARTS.length + Math.max(0, known));
  };
  return (path) => {
    const [block, service, ...rest] = path;
    if (block === 'services' && typeof service === 'number') {
      const found = inService(service, rest);
      if (found) return found;
    }
    for (let length = path.length; length > 0; length--) {
      const found = others.get(formatPath(path.slice(0, length)));
      if (found) return place(found);
    }
    return place(others.get('') ?? []);
  };
}
