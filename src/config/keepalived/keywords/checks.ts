/** Blocks of health checkers inside a real_server. */
import { DNS_TYPES } from '../../../health/model.js';
import type { Node } from '../tree.js';
import {
  address,
  any,
  type Block,
  type Check,
  decimal,
  flag,
  fwmark,
  hex,
  integer,
  type Keyword,
  keyword,
  many,
  one,
  oneOf,
  optional,
  port,
  script,
  switchable,
  timer,
  timerOrZero,
  value,
  word,
} from './kinds.js';

/** keepalived's own limit of delay_loop in seconds: 2^64 microseconds. */
export const DELAY_LOOP_MOST = 18_446_744_073_709;

/** Of services, servers and checks alike. */
export const TIMING: Block = {
  delay_loop: keyword(one(decimal(0.000001, DELAY_LOOP_MOST))),
  retry: keyword(one(integer(1, 0xffff_ffff))),
  delay_before_retry: keyword(one(timerOrZero)),
  warmup: keyword(one(timerOrZero)),
};

const SCHEDULE: Block = {
  ...TIMING,
  retry: keyword(one(integer(0, 0xffff_ffff))),
  alpha: switchable,
  log_all_failures: switchable,
};

const HOST: Block = {
  connect_ip: keyword(one(address)),
  connect_port: keyword(one(port)),
  bindto: keyword(one(address)),
  bind_port: keyword(one(port)),
  bind_if: value,
  fwmark: keyword(one(fwmark)),
};

const CONNECT: Block = {
  ...SCHEDULE,
  ...HOST,
  connect_timeout: keyword(one(timer)),
};

const status: Check = (text) => {
  const [, low, high] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const from = Number(low);
  const to = Number(high ?? low);
  const good = from >= 100 && to <= 599 && from <= to;
  return good ? undefined : 'a status code or a range of them, 100 to 599';
};

const digest: Check = (text) =>
  /^[0-9a-fA-F]{32}$/.test(text) ? undefined : 'an MD5 digest of 32 hexadecimal digits';

/** PCRE2's, by keepalived's names. */
export const REGEX_OPTIONS = [
  'allow_empty_class',
  'alt_bsux',
  'auto_callout',
  'caseless',
  'dollar_endonly',
  'dotall',
  'dupnames',
  'extended',
  'firstline',
  'match_unset_backref',
  'multiline',
  'never_ucp',
  'never_utf',
  'no_auto_capture',
  'no_auto_possess',
  'no_dotstar_anchor',
  'no_start_optimize',
  'ucp',
  'ungreedy',
  'utf',
  'never_backslash_c',
  'alt_circumflex',
  'alt_verbnames',
  'use_offset_limit',
] as const;

export const HTTP_URL: Block = {
  path: value,
  digest: keyword(one(digest)),
  status_code: keyword(many(status)),
  virtualhost: value,
  regex: { args: [one(any)], escapes: true },
  regex_no_match: flag,
  regex_options: keyword(many(oneOf(...REGEX_OPTIONS))),
  regex_stack: {
    ...keyword(one(integer(1, 0xffff_ffff)), one(integer(1, 0xffff_ffff))),
    support: { tuning: 'JavaScript’s regular expressions have no stack to set' },
  },
  regex_min_offset: keyword(one(integer(0, 0xffff_ffff))),
  regex_max_offset: keyword(one(integer(0, 0xffff_ffff))),
};

const HTTP: Block = {
  ...CONNECT,
  http_protocol: keyword(one(oneOf('1.0', '1.0C', '1.0c', '1.1'))),
  fast_recovery: switchable,
  virtualhost: value,
  url: { args: [], block: HTTP_URL },
  /** Its name before 1.4. */
  nb_get_retry: keyword(one(integer(0, 0xffff_ffff))),
};

const label: Check = (text) =>
  text === '.' || (text.length <= 253 && !/\.\.|^\.|[^.]{64}/.test(text))
    ? undefined
    : 'a domain name without empty or overlong labels';

const weight = integer(-2_147_483_647, 2_147_483_647);

const checker = (block: Block): Keyword => ({ args: [], block });

export const CHECKERS: Block = {
  // DPVS’s keepalived and older ones name the retries so.
  TCP_CHECK: checker({
    ...CONNECT,
    nb_sock_retry: keyword(one(integer(0, 0xffff_ffff))),
    nb_get_retry: keyword(one(integer(0, 0xffff_ffff))),
  }),
  HTTP_GET: checker(HTTP),
  SSL_GET: checker({ ...HTTP, enable_sni: switchable }),
  SMTP_CHECK: checker({
    ...CONNECT,
    helo_name: value,
    /** Its own block before 1.4. */
    host: { args: [], block: HOST },
  }),
  DNS_CHECK: checker({
    ...CONNECT,
    type: keyword(one(oneOf(...DNS_TYPES))),
    name: keyword(one(label)),
  }),
  UDP_CHECK: checker({
    ...CONNECT,
    payload: keyword(many(hex(false))),
    require_reply: { args: [{ check: hex(true), optional: true, many: true }] },
    min_reply_length: keyword(one(integer(0, 65_535))),
    max_reply_length: keyword(one(integer(0, 65_535))),
  }),
  PING_CHECK: checker(CONNECT),
  MISC_CHECK: checker({
    ...SCHEDULE,
    misc_path: script,
    misc_timeout: keyword(one(integer(1, 4294))),
    misc_dynamic: flag,
    user: keyword(one(word), optional(word)),
  }),
  FILE_CHECK: checker({
    track_file: value,
    // In keepalived.conf(5), though keepalived 2.2.7 itself does not know it.
    dynamic: flag,
    weight: keyword(one(weight), optional(oneOf('reverse'))),
  }),
  BFD_CHECK: checker({ name: value, alpha: switchable }),
};

/** Words of a checker block that must be there, with what to say when they are not. */
export function missingInChecker(node: Node): string | undefined {
  const has = (name: string) => node.children?.some(({ words }) => words[0].text === name) ?? false;
  switch (node.words[0].text) {
    case 'HTTP_GET':
    case 'SSL_GET':
      return has('url') ? undefined : 'no url is given, expected at least one';
    case 'MISC_CHECK':
      return has('misc_path') ? undefined : 'no misc_path is given, expected a program to run';
    case 'FILE_CHECK':
      return has('track_file') ? undefined : 'no track_file is named';
    case 'BFD_CHECK':
      return has('name') ? undefined : 'no bfd_instance is named';
    default:
      return undefined;
  }
}
