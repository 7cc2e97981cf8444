/** Checker blocks → `checks` of director.yaml. */

import { argument, child, children, type Names } from './find.js';
import { CHECKERS, HTTP_URL } from './keywords/checks.js';
import type { Block } from './keywords/kinds.js';
import { flagsOf, hasOption, translated } from './regex.js';
import type { Unsupported } from './support.js';
import type { Node } from './tree.js';
import { lookUp } from './validate.js';
import { type Account, Values, without } from './values.js';

export type Data = Record<string, unknown>;

/** What checks use of the rest of the file. */
export interface Surroundings {
  files: Names;
  bfd: Names;
  account: Account;
  logAllFailures: boolean | undefined;
  /** Keys of https checks from the SSL block. */
  tls: Data;
  unsupported: Unsupported;
}

/** Each checker block of a server that can be mapped, with its data. */
export function mapChecks(server: Node, around: Surroundings): { node: Node; data: Data }[] {
  return (server.children ?? []).flatMap((node) => {
    const keyword = lookUp(CHECKERS, node.words[0].text);
    if (!keyword || !node.children) return [];
    const data = mapCheck(node, new Values(node, keyword.block as Block), around);
    return data ? [{ node, data: without(data) }] : [];
  });
}

function mapCheck(node: Node, values: Values, around: Surroundings): Data | undefined {
  const common = () => ({
    ...timing(values),
    retry: values.number('retry', 'nb_get_retry', 'nb_sock_retry'),
    alpha: values.boolean('alpha'),
    logAllFailures: values.boolean('log_all_failures') ?? around.logAllFailures,
  });
  const connecting = () => ({
    ...common(),
    ...host(values),
    connectTimeout: values.seconds('connect_timeout'),
  });
  switch (node.words[0].text) {
    case 'TCP_CHECK':
      return { type: 'tcp', ...connecting() };
    case 'PING_CHECK':
      return { type: 'ping', ...connecting() };
    case 'HTTP_GET':
      return http(node, values, { type: 'http', ...connecting() }, around);
    case 'SSL_GET': {
      const tls = { sni: values.boolean('enable_sni'), ...around.tls };
      return http(node, values, { type: 'https', ...connecting(), ...tls }, around);
    }
    case 'SMTP_CHECK': {
      const block = child(node, 'host');
      const inner = block ? host(new Values(block, CHECKERS.TCP_CHECK?.block as Block)) : {};
      return {
        type: 'smtp',
        ...connecting(),
        ...without(inner),
        heloName: values.text('helo_name'),
      };
    }
    case 'DNS_CHECK': {
      const name = values.text('name');
      return { type: 'dns', ...connecting(), queryType: values.text('type'), name };
    }
    case 'UDP_CHECK':
      return { type: 'udp', ...connecting(), ...udp(values) };
    case 'MISC_CHECK': {
      const [user, group] = values.words('user') ?? [];
      const account = user === undefined ? around.account : { user, group };
      const script = values.script(account, 'misc_path');
      if (script === undefined) return undefined;
      const timeout = values.seconds('misc_timeout');
      return { type: 'misc', ...common(), script, timeout, dynamic: values.flag('misc_dynamic') };
    }
    case 'FILE_CHECK':
      return fileCheck(values, around);
    default:
      return bfdCheck(values, around);
  }
}

export function timing(values: Values): Data {
  return {
    delayLoop: values.seconds('delay_loop'),
    delayBeforeRetry: values.seconds('delay_before_retry'),
    warmup: values.seconds('warmup'),
  };
}

function host(values: Values): Data {
  return {
    connectIp: values.text('connect_ip'),
    connectPort: values.number('connect_port'),
    bindTo: values.text('bindto'),
    bindInterface: values.text('bind_if'),
    bindPort: values.number('bind_port'),
    fwmark: values.number('fwmark'),
  };
}

function http(
  node: Node,
  values: Values,
  common: Data,
  { unsupported }: Surroundings,
): Data | undefined {
  const urls = children(node, 'url').map((url) => mapUrl(new Values(url, HTTP_URL), unsupported));
  const protocol = child(node, 'http_protocol');
  if (protocol && argument(protocol) !== '1.1') {
    unsupported.tuning(protocol, 'servers are asked in HTTP/1.1 with Connection: close');
  }
  if (urls.length === 0) return undefined;
  const { fastRecovery, virtualhost } = {
    fastRecovery: values.boolean('fast_recovery'),
    virtualhost: values.text('virtualhost'),
  };
  return { ...common, fastRecovery, virtualhost, urls };
}

function mapUrl(values: Values, unsupported: Unsupported): Data {
  const regex = values.text('regex');
  const options = values.words('regex_options') ?? [];
  const line = child(values.node, 'regex_options');
  options.forEach((option, index) => {
    if (!hasOption(option) && line) {
      unsupported.packets('regex', line, `regex_options ${option}`, line.words[index + 1]);
    }
  });
  const flags = flagsOf(options);
  const said = child(values.node, 'regex');
  const ours = regex === undefined ? undefined : translated(unescapedPattern(regex), options);
  for (const what of ours?.unknown ?? []) {
    if (said) unsupported.packets('regex', said, `regex ${what}`, said.words[1]);
  }
  return without({
    path: values.text('path'),
    status: values.words('status_code'),
    digest: values.text('digest'),
    virtualhost: values.text('virtualhost'),
    regex: ours?.pattern,
    regexFlags: flags === '' ? undefined : flags,
    regexNoMatch: values.flag('regex_no_match'),
    regexMinOffset: values.number('regex_min_offset'),
    regexMaxOffset: values.number('regex_max_offset'),
  });
}

/** Only escaped backslashes and quotes: the pattern has escapes of its own. */
function unescapedPattern(text: string): string {
  return text.replaceAll(/\\([\\"'])/g, (_, letter: string) => letter);
}

function udp(values: Values): Data {
  const reply = values.words('require_reply');
  return {
    payload: hex(values.words('payload')),
    requireReply: reply ? true : undefined,
    reply: reply && reply.length > 0 ? hex(reply) : undefined,
    minReplyLength: values.number('min_reply_length'),
    maxReplyLength: values.number('max_reply_length'),
  };
}

/** `Ab12f 3` → `Ab120f03`: each word by pairs, a last digit alone is a byte of its own. */
function hex(words: readonly string[] | undefined): string | undefined {
  return words
    ?.flatMap((word) => word.match(/..?/g) ?? [])
    .map((pair) => pair.padStart(2, '0'))
    .join('');
}

function fileCheck(values: Values, { files, unsupported }: Surroundings): Data | undefined {
  const node = files.get(values.text('track_file') ?? '');
  const path = node && argument(child(node, 'file'));
  if (!node || path === undefined) return undefined;
  const own = values.words('weight');
  const [weight, reverse] = own ?? weightOf(node);
  const init = child(node, 'init_file');
  if (init) unsupported.tuning(init, 'files to watch are not written');
  return {
    type: 'file',
    path,
    weight: weight === undefined ? undefined : Number(weight),
    reverse: reverse === 'reverse' ? true : undefined,
    dynamic: values.flag('dynamic'),
  };
}

function weightOf(node: Node): (string | undefined)[] {
  const line = child(node, 'weight');
  const text = argument(line);
  return text !== undefined && /^[+-]?\d+$/.test(text) ? [text, argument(line, 2)] : [];
}

function bfdCheck(values: Values, { bfd, unsupported }: Surroundings): Data | undefined {
  const name = values.text('name');
  const node = bfd.get(name ?? '');
  if (!node || name === undefined) return undefined;
  for (const keyword of ['min_rx', 'min_tx', 'idle_tx', 'multiplier', 'passive', 'max_hops']) {
    const line = child(node, keyword);
    if (line) unsupported.tuning(line, "BIRD's session is asked, and has its own intervals");
  }
  const neighbour = argument(child(node, 'neighbor_ip', 'neighbour_ip'));
  return { type: 'bfd', name, neighbour, alpha: values.boolean('alpha') };
}
