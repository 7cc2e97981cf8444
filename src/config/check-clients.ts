/** Checks of a service's lists of clients. */
import { isSix } from './address.js';
import { countNetworks } from './client-sets.js';
import { CLIENT_LISTS, MOST_NETWORKS } from './clients.js';
import type { Findings } from './findings.js';
import type { Model, ServiceModel } from './model.js';
import type { Path } from './source.js';

export function checkClients(
  { clients, listen }: ServiceModel,
  { clientFiles }: Model,
  path: Path,
  findings: Findings,
): void {
  const six = isSix(listen.address);
  const family = six ? 'IPv6' : 'IPv4';
  for (const list of CLIENT_LISTS) {
    const items = clients[list];
    if (items.length === 0) continue;
    const here = [...path, 'clients', list];
    const seen = new Map<string, string>();
    items.forEach((item, index) => {
      const at = [...here, index];
      const key = typeof item === 'string' ? item : item.file;
      findings.unique(seen, key, `${list}[${index}]`, at, `${key} is also`);
      if (typeof item === 'string' && isSix(item) !== six) {
        const message = `${item} is not ${family}, as all clients of the service are: it is ignored`;
        findings.warning('WARN_CONFIG_IGNORED', at, message);
      }
    });
    const count = countNetworks(items, clientFiles, six);
    if (count > MOST_NETWORKS) {
      const message = `${count} networks, expected at most ${MOST_NETWORKS}`;
      findings.error('ERR_CONFIG_LIMIT', here, message);
    }
    if (list === 'allow' && count === 0) {
      const message = `has no ${family} address, expected one: nobody could use the service`;
      findings.error('ERR_CONFIG_VALUE', here, message);
    }
  }
}
