/** virtual_server, virtual_server_group, real_server, and DPVS's additions to them. */

import { CLIENT_LISTS, parseClients } from '../../clients.js';
import { type ParsedTunnel, TUNNEL_CHECKSUMS } from '../../tunnel.js';
import { parseRange } from '../ranges.js';
import type { Node } from '../tree.js';
import { CHECKERS, DELAY_LOOP_MOST, TIMING } from './checks.js';
import { GROUP_NAMES } from './client-groups.js';
import {
  address,
  also,
  type Block,
  decimal,
  type Finding,
  flag,
  fwmark,
  integer,
  type Keyword,
  keyword,
  nothingOrValue,
  one,
  oneOf,
  optional,
  port,
  script,
  switchable,
  timer,
  unsupported,
  value,
  word,
} from './kinds.js';

/** IPVS's and DPVS's. */
export const ALL_SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'sh',
  'mh',
  'dh',
  'fo',
  'ovf',
  'lblcr',
  'sed',
  'nq',
  'twos',
  'conhash',
] as const;

export const KINDS = ['NAT', 'DR', 'TUN', 'FNAT', 'FULLNAT', 'ENAT', 'SNAT'] as const;

const method: Keyword = {
  args: [one(oneOf(...KINDS)), { check: word, optional: true, many: true }],
};

/** `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`; what is wrong with the words after it. */
export function tunnelFindings(node: Node): Finding[] {
  const words = node.words.map(({ text }) => text);
  if (words[1] !== 'TUN') {
    return words.length > 2
      ? [{ word: 2, message: `${words[2]} is for TUN only, expected nothing more` }]
      : [];
  }
  let type = 'ipip';
  let ported = false;
  for (let index = 2; index < words.length; index++) {
    if (words[index] === 'type') {
      type = words[++index] ?? '';
      const expected = oneOf('ipip', 'gue', 'gre')(type);
      if (expected) {
        const at = Math.min(index, words.length - 1);
        return [{ word: at, message: `tunnel type is ${type || 'missing'}, expected ${expected}` }];
      }
    } else if (words[index] === 'port') {
      ported = true;
      const expected = port(words[++index] ?? '');
      if (expected) {
        const at = Math.min(index, words.length - 1);
        return [
          {
            word: at,
            message: `tunnel port is ${words[index] ?? 'missing'}, expected ${expected}`,
          },
        ];
      }
    } else {
      const expected = oneOf('nocsum', 'csum', 'remcsum')(words[index] as string);
      if (expected) return [{ word: index, message: `is ${words[index]}, expected ${expected}` }];
    }
  }
  if ((type === 'gue') !== ported) {
    return [{ word: 1, message: 'a gue tunnel needs a port, and no other tunnel has one' }];
  }
  return [];
}

/** What a line without findings says of its tunnel; undefined: it is no TUN. */
export function tunnelOfLine(node: Node): ParsedTunnel | undefined {
  const words = node.words.map(({ text }) => text);
  if (words[1] !== 'TUN') return undefined;
  const after = (name: string) => words[words.lastIndexOf(name) + 1] as string;
  const type = words.includes('type') ? (after('type') as ParsedTunnel['type']) : 'ipip';
  const checksum = TUNNEL_CHECKSUMS.find((word) => word === words.findLast(isChecksum));
  return {
    type,
    ...(type === 'gue' ? { port: Number(after('port')) } : {}),
    ...(checksum === undefined ? {} : { checksum }),
  };
}

const isChecksum = (word: string) => (TUNNEL_CHECKSUMS as readonly string[]).includes(word);

/** One member of a group: `address[-last|/length] [port]` or `fwmark N [inet|inet6]`. */
const memberLine = ({ words }: Node): Finding[] => {
  const [first, second, third] = words.map(({ text }) => text);
  if (first === 'fwmark') {
    const expected = fwmark(second ?? '');
    if (expected) {
      return [
        { word: second ? 1 : 0, message: `fwmark is ${second ?? 'missing'}, expected ${expected}` },
      ];
    }
    const family = third === undefined ? undefined : oneOf('inet', 'inet6')(third);
    return family ? [{ word: 2, message: `is ${third}, expected ${family}` }] : [];
  }
  if (!parseRange(first as string)) {
    const expected = 'an address, a range such as 192.0.2.1-10, or a network of addresses';
    return [{ word: 0, message: `is ${first}, expected ${expected}` }];
  }
  const expected = second === undefined ? undefined : port(second);
  return expected ? [{ word: 1, message: `port is ${second}, expected ${expected}` }] : [];
};

/** Addresses with the port they live on, as DPVS has them: `192.0.2.1[-9] [device]`. */
const localLine = ({ words }: Node): Finding[] => {
  const { text } = words[0];
  return parseRange(text)
    ? []
    : [{ word: 0, message: `is ${text}, expected an address or a range such as 192.0.2.1-10` }];
};

export const VIRTUAL_SERVER_GROUP: Keyword = { args: [one(word)], block: memberLine };
export const LOCAL_ADDRESS_GROUP: Keyword = { args: [one(word)], block: localLine };
/** Clients, as DPVS has them: `192.0.2.1[-9]` or a network. */
const clientLine = ({ words }: Node): Finding[] => {
  const { text } = words[0];
  const parsed = parseClients(text);
  return 'value' in parsed ? [] : [{ word: 0, message: `is ${text}, expected ${parsed.fault}` }];
};
export const CLIENT_GROUP: Keyword = { args: [one(word)], block: clientLine };

const alert: Keyword = { ...switchable, support: { tuning: 'no mail is sent' } };
const label: Keyword = { ...value, support: { tuning: 'there is no SNMP agent' } };

const REAL_SERVER: Block = also(
  {
    weight: keyword(one(integer(0, 2_147_483_647))),
    lvs_method: method,
    uthreshold: keyword(one(integer(0, 0xffff_ffff))),
    lthreshold: keyword(one(integer(0, 0xffff_ffff))),
    notify_up: script,
    notify_down: script,
    virtualhost: value,
    alpha: switchable,
    connect_timeout: keyword(one(timer)),
    ...TIMING,
    inhibit_on_failure: switchable,
    smtp_alert: alert,
    snmp_name: label,
    ...CHECKERS,
  },
  { lb_kind: 'lvs_method' },
);

const VIRTUAL_SERVER_ONLY: Block = {
  lvs_sched: keyword(one(oneOf(...ALL_SCHEDULERS))),
  lvs_method: method,
  'flag-1': flag,
  'flag-2': flag,
  'flag-3': flag,
  'sh-port': flag,
  'sh-fallback': flag,
  'mh-port': flag,
  'mh-fallback': flag,
  ops: flag,
  protocol: keyword(one((text) => oneOf('TCP', 'UDP', 'SCTP')(text.toUpperCase()))),
  persistence_engine: value,
  persistence_timeout: keyword(optional(integer(1, 2_678_400))),
  persistence_granularity: keyword(one(word)),
  ha_suspend: flag,
  virtualhost: value,
  alpha: flag,
  omega: flag,
  quorum: keyword(one(integer(1, 0xffff_ffff))),
  hysteresis: keyword(one(integer(0, 0xffff_ffff))),
  quorum_up: script,
  quorum_down: script,
  ip_family: keyword(one(oneOf('inet', 'inet6'))),
  sorry_server: keyword(one(address), optional(port)),
  sorry_server_inhibit: flag,
  sorry_server_lvs_method: method,
  connect_timeout: keyword(one(timer)),
  ...TIMING,
  delay_loop: keyword(one(decimal(0.000001, DELAY_LOOP_MOST))),
  inhibit_on_failure: switchable,
  smtp_alert: alert,
  snmp_name: value,
  real_server: { args: [one(address), optional(port)], block: REAL_SERVER },
};

/** DPVS's dialect. keepalived itself does not know these. */
export const DPVS_VIRTUAL_SERVER: Block = {
  laddr_group_name: value,
  ...Object.fromEntries(
    CLIENT_LISTS.flatMap((list) => GROUP_NAMES[list].map((name) => [name, value])),
  ),
  syn_proxy: flag,
  ...unsupported({ packets: 'proxy_protocol' }, { proxy_protocol: nothingOrValue }),
  ...unsupported({ packets: 'hash_target' }, { hash_target: value, quic: flag }),
  ...unsupported({ packets: 'limits' }, { bps: value, limit_proportion: value }),
  ...unsupported(
    { tuning: 'timeouts are the director’s: timeouts.tcp' },
    {
      establish_timeout: keyword(one(integer(0, 0xffff_ffff))),
      conn_timeout: keyword(one(integer(0, 0xffff_ffff))),
    },
  ),
  ...unsupported(
    { tuning: 'see onServerRemoved of director.yaml' },
    { expire_quiescent_conn: flag },
  ),
  ...unsupported({ tuning: 'ports are found by routes' }, { vip_bind_dev: value }),
};

export const VIRTUAL_SERVER: Block = also(
  { ...VIRTUAL_SERVER_ONLY, ...DPVS_VIRTUAL_SERVER },
  { lb_algo: 'lvs_sched', lb_kind: 'lvs_method' },
);
