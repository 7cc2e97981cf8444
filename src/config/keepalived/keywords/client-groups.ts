/**
 * Words of a virtual_server that name a group of clients: they have changed with DPVS's versions, and
 * all are taken. The first is what is written.
 */
import type { ClientListName } from '../../clients.js';

export const GROUP_NAMES: Record<ClientListName, readonly [string, ...string[]]> = {
  allow: ['allow_addr_gname', 'waddr_group_name', 'whtlst_addr_gname'],
  deny: ['deny_addr_gname', 'daddr_group_name', 'blklst_addr_gname'],
};
