/** The rules of a file (check.ts) for a Model that no file says, after edits at run time. */
import { formatEndpoint } from './address.js';
import { check, type Finding } from './check.js';
import type { Model } from './model.js';
import type { Parsed } from './schema.js';

/** What would stop a file with this content, as sentences; what a later edit may mend does not. */
export function recheck(model: Model): { code: string; message: string }[] {
  return check(model, asParsed(model), new Set())
    .filter(({ severity, mendable }) => severity === 'error' && !mendable)
    .map((finding) => ({ code: finding.code, message: sentence(model, finding) }));
}

/** As if every setting that check() asks about had been written down. */
function asParsed(model: Model): Parsed {
  const services = model.services.map((service) => ({
    ...service,
    clientAddress: service.clientAddress === 'none' ? 'none' : undefined,
    toaKind: undefined,
  }));
  // The Model has no hashes, and edits change nothing of the API.
  const director = { ...model.director, api: undefined };
  return { ...model, director, services } as unknown as Parsed;
}

function sentence(model: Model, { path, message }: Finding): string {
  const service = path[0] === 'services' ? model.services[Number(path[1])] : undefined;
  if (!service) return message;
  const server = path[2] === 'servers' ? service.servers[Number(path[3])] : undefined;
  const place = server ? `, server ${formatEndpoint(server.address)}` : '';
  return `service ${service.name}${place}: ${message}`;
}
