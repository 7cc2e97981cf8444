/** Clients of services as the API lists them, and where the configuration has their entries. */
import { z } from 'zod';
import { type Entry, entriesOf } from './config/client-sets.js';
import { CLIENT_LISTS } from './config/clients.js';
import type { Loaded } from './config/load.js';
import type { Model, ServiceModel } from './config/model.js';
import { formatPlace, type Place } from './errors.js';
import { writtenIndex } from './written.js';

export const clientReport = z
  .strictObject({
    service: z.string(),
    protocol: z.enum(['tcp', 'udp', 'sctp', 'fwmark']),
    address: z.string(),
    port: z.int().min(0).max(0xffff_ffff).describe('Of protocol fwmark the mark.'),
    list: z.enum(CLIENT_LISTS),
    client: z.string().describe('An address, network or range.'),
    file: z.string().nullable().describe('File and line, of an entry that stands in one.'),
  })
  .describe('A client that a service allows or denies.');
export type ClientReport = z.output<typeof clientReport>;

export function* clientReports(
  { clientFiles }: Model,
  services: readonly ServiceModel[],
): Generator<ClientReport> {
  for (const { name, protocol, listen, clients } of services) {
    for (const list of CLIENT_LISTS) {
      for (const { text, file } of entriesOf(list, clients[list], clientFiles)) {
        yield {
          service: name,
          protocol,
          ...listen,
          list,
          client: text,
          file: file ? `${file.path}:${file.line}` : null,
        };
      }
    }
  }
}

/** undefined: it was added at run time. */
export function placeOfEntry(
  loaded: Loaded,
  service: ServiceModel,
  { list, text, file: line }: Entry,
): Place | undefined {
  if (line) return { file: line.path, line: line.line, column: 1 };
  const inFile = writtenIndex(loaded, service);
  if (inFile === undefined) return undefined;
  const at = loaded.model.services[inFile]?.clients[list].indexOf(text) ?? -1;
  return at < 0 ? undefined : loaded.locate(['services', inFile, 'clients', list, at]);
}

/** `198.51.100.0/24 (director.yaml:12:15)` */
export function formatEntry({ text }: Entry, place: Place | undefined): string {
  return `${text} (${place ? formatPlace(place) : 'added at run time'})`;
}

export const CLIENTS_HEADER = `${'Service'.padEnd(20)} List   ${'Client'.padEnd(33)} Said in`;

/** `web                  deny   192.0.2.0/24                      /etc/sluice/deny.txt:7` */
export function clientLine({ service, list, client, file }: ClientReport): string {
  return `${service.padEnd(20)} ${list.padEnd(6)} ${client.padEnd(33)} ${file ?? ''}`.trimEnd();
}
