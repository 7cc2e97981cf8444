/** Every keyword that may stand outside all blocks. */
import { GLOBAL_DEFS, OUTSIDE } from './global.js';
import { STATIC_LINES } from './kernel.js';
import {
  type Block,
  type Keyword,
  names,
  one,
  optional,
  unsupported,
  value,
  word,
} from './kinds.js';
import { CLIENT_GROUP, LOCAL_ADDRESS_GROUP, VIRTUAL_SERVER, VIRTUAL_SERVER_GROUP } from './lvs.js';
import {
  BFD_INSTANCE,
  DELAYS,
  GARP_GROUP,
  TRACK_FILE,
  TRACK_PROCESS,
  VRRP_INSTANCE,
  VRRP_SCRIPT,
  VRRP_SYNC_GROUP,
} from './vrrp.js';

const named = (block: Keyword['block']): Keyword => ({ args: [one(word)], block });
const plain = (block: Keyword['block']): Keyword => ({ args: [], block });

export const TOP: Block = {
  global_defs: plain(GLOBAL_DEFS),
  virtual_server: { args: [one(word), optional(word)], block: VIRTUAL_SERVER },
  virtual_server_group: VIRTUAL_SERVER_GROUP,
  local_address_group: LOCAL_ADDRESS_GROUP,
  track_file: named(TRACK_FILE),
  vrrp_track_file: { ...named(TRACK_FILE), deprecated: 'its name is now track_file' },
  bfd_instance: named(BFD_INSTANCE),
  SSL: plain({ password: value, ca: value, certificate: value, key: value }),
  ...Object.fromEntries(OUTSIDE.map((name) => [name, GLOBAL_DEFS[name] as Keyword])),
  deny_address_group: CLIENT_GROUP,
  allow_address_group: CLIENT_GROUP,
  vrrp_instance: named(VRRP_INSTANCE),
  vrrp_sync_group: named(VRRP_SYNC_GROUP),
  vrrp_script: named(VRRP_SCRIPT),
  vrrp_track_process: named(TRACK_PROCESS),
  static_ipaddress: STATIC_LINES.addresses,
  static_routes: STATIC_LINES.routes,
  static_rules: STATIC_LINES.rules,
  ...unsupported(
    { tuning: 'interfaces, addresses and routes are the dataplane’s, which watches them itself' },
    {
      track_group: named({ group: names }),
      garp_group: plain(GARP_GROUP),
      linkbeat_interfaces: names,
      interface_up_down_delays: DELAYS,
    },
  ),
};
