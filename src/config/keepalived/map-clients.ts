/**
 * DPVS's black and white lists: groups of addresses, and the lines of virtual servers that name them.
 */

import { CLIENT_LISTS, type ClientListName, parseClients } from '../clients.js';
import { argument, child, type Names, named } from './find.js';
import { GROUP_NAMES } from './keywords/client-groups.js';
import type { Data } from './map-checks.js';
import { type Node, placeOf } from './tree.js';
import type { Problems } from './validate.js';

const GROUPS: Record<ClientListName, string> = {
  allow: 'allow_address_group',
  deny: 'deny_address_group',
};

export interface MappedClients {
  data: Data | undefined;
  /** The line of a group that each client comes from. */
  lines: Record<ClientListName, Node[]>;
}

export class ClientGroups {
  readonly #groups: Record<ClientListName, Names>;

  constructor(tree: readonly Node[]) {
    this.#groups = { allow: named(tree, GROUPS.allow), deny: named(tree, GROUPS.deny) };
  }

  /** Of a virtual_server. */
  of(node: Node): MappedClients {
    const lines: MappedClients['lines'] = { allow: [], deny: [] };
    const data: Data = {};
    for (const list of CLIENT_LISTS) {
      const name = argument(child(node, ...GROUP_NAMES[list]));
      const group = name === undefined ? undefined : this.#groups[list].get(name);
      if (!group) continue;
      // Twice the same is once the same, as in DPVS.
      const clients = new Map<string, Node>();
      for (const line of group.children ?? []) {
        const parsed = parseClients(line.words[0].text);
        if ('value' in parsed && !clients.has(parsed.value)) clients.set(parsed.value, line);
      }
      data[list] = [...clients.keys()];
      lines[list] = [...clients.values()];
    }
    return { data: Object.keys(data).length > 0 ? data : undefined, lines };
  }

  /** Names that no group has. */
  check(node: Node, problems: Problems): void {
    for (const list of CLIENT_LISTS) {
      const line = child(node, ...GROUP_NAMES[list]);
      const name = argument(line);
      if (!line || name === undefined || this.#groups[list].has(name)) continue;
      const message = `no ${GROUPS[list]} is called ${name}`;
      const place = placeOf(line, line.words[1]);
      problems.error('ERR_CONFIG_REFERENCE', place, line.words[0].text, message);
    }
  }
}
