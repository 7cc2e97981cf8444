/** Health checks of the Model → checker blocks of keepalived.conf. */
import { hostname } from 'node:os';
import {
  type Check,
  CONNECT_TIMEOUT_MS,
  type Connecting,
  DELAY_LOOP_MS,
  defaultDelayBeforeRetryMs,
  defaultRetry,
  type HttpCheck,
  type HttpUrl,
  type MiscCheck,
  type Script,
  type Timing,
} from '../../health/model.js';
import type { Lines } from './lines.js';
import { needsEndOnly } from './regex.js';

/** Blocks outside services that checks refer to. */
export interface Extras {
  /** track_file's by path, bfd_instance's by name and address: name of the block. */
  files: Map<string, string>;
  sessions: Map<string, string>;
  tls: { password?: string; ca?: string; certificate?: string; key?: string } | undefined;
}

const WORDS: Record<Check['type'], string> = {
  tcp: 'TCP_CHECK',
  http: 'HTTP_GET',
  smtp: 'SMTP_CHECK',
  dns: 'DNS_CHECK',
  udp: 'UDP_CHECK',
  ping: 'PING_CHECK',
  misc: 'MISC_CHECK',
  file: 'FILE_CHECK',
  bfd: 'BFD_CHECK',
};

export function writeCheck(check: Check, lines: Lines, extras: Extras): void {
  const word = check.type === 'http' && check.tls ? 'SSL_GET' : WORDS[check.type];
  lines.block(word, () => {
    if (check.type === 'file') {
      lines.add(`track_file ${named(extras.files, check.path, 'file')}`);
      lines.add(`weight ${check.weight}${check.reverse ? ' reverse' : ''}`);
      if (check.dynamic) lines.add('dynamic');
      return;
    }
    if (check.type === 'bfd') {
      const key = `${check.name} ${check.neighbour ?? ''}`;
      lines.add(`name ${named(extras.sessions, key, check.name || 'session')}`);
      if (check.neighbour === undefined) {
        lines.note('neighbour: the server itself; bfd_instance needs its address');
      }
      if (check.alpha) lines.add('alpha');
      return;
    }
    if (check.type !== 'misc') writeConnecting(check, lines);
    writeTiming(check, check.type, lines);
    writeOwn(check, lines, extras);
  });
}

function named(blocks: Map<string, string>, key: string, wanted: string): string {
  const known = blocks.get(key);
  if (known !== undefined) return known;
  const taken = new Set(blocks.values());
  const base = wanted.replaceAll(/[^A-Za-z0-9_.-]/g, '_');
  let name = base;
  for (let count = 2; taken.has(name); count++) name = `${base}_${count}`;
  blocks.set(key, name);
  return name;
}

function writeConnecting(check: Connecting, lines: Lines): void {
  lines.given('connect_ip', check.connectIp);
  lines.given('connect_port', check.connectPort);
  lines.given('bindto', check.bindTo);
  lines.given('bind_if', check.bindInterface);
  lines.given('bind_port', check.bindPort);
  if (check.fwmark !== 0) lines.add(`fwmark ${check.fwmark}`);
  if (check.toVip) lines.note('toVip: keepalived checks real servers at their own addresses');
  if (check.connectTimeoutMs !== CONNECT_TIMEOUT_MS) {
    lines.add(`connect_timeout ${check.connectTimeoutMs / 1000}`);
  }
}

function writeTiming(timing: Timing, type: Check['type'], lines: Lines): void {
  const { delayLoopMs, delayBeforeRetryMs, warmupMs, retry } = timing;
  if (delayLoopMs !== DELAY_LOOP_MS) lines.add(`delay_loop ${delayLoopMs / 1000}`);
  if (retry !== defaultRetry(type)) lines.add(`retry ${retry}`);
  if (delayBeforeRetryMs !== defaultDelayBeforeRetryMs(type, delayLoopMs)) {
    lines.add(`delay_before_retry ${delayBeforeRetryMs / 1000}`);
  }
  if (warmupMs !== delayLoopMs) lines.add(`warmup ${warmupMs / 1000}`);
  if (timing.alpha) lines.add('alpha');
  if (timing.logAllFailures) lines.add('log_all_failures');
}

type Own = Exclude<Check, { type: 'file' | 'bfd' }>;

function writeOwn(check: Own, lines: Lines, extras: Extras): void {
  switch (check.type) {
    case 'http':
      writeHttp(check, lines, extras);
      break;
    case 'smtp':
      if (check.heloName !== hostname()) lines.given('helo_name', check.heloName);
      break;
    case 'dns':
      if (check.queryType !== 'SOA') lines.add(`type ${check.queryType}`);
      if (check.name !== '.') lines.given('name', check.name);
      if (check.answer !== undefined) lines.note(`answer: ${check.answer}`);
      break;
    case 'udp':
      lines.given('payload', check.payload);
      if (check.requireReply) lines.add(`require_reply${check.reply ? ` ${check.reply}` : ''}`);
      else if (check.reply) lines.note(`reply without requireReply: ${check.reply}`);
      if (check.minReplyLength !== 0) lines.add(`min_reply_length ${check.minReplyLength}`);
      if (check.maxReplyLength !== 255) lines.add(`max_reply_length ${check.maxReplyLength}`);
      break;
    case 'misc':
      lines.add(`misc_path ${commandLine(check.script)}`);
      if (check.script.user) {
        lines.add(`user ${check.script.user}${check.script.group ? ` ${check.script.group}` : ''}`);
      }
      writeTimeout(check, lines);
      if (check.dynamic) lines.add('misc_dynamic');
      break;
    default:
  }
}

/** Whole seconds only. */
function writeTimeout({ timeoutMs, delayLoopMs }: MiscCheck, lines: Lines): void {
  if (timeoutMs === delayLoopMs) return;
  lines.add(`misc_timeout ${Math.ceil(timeoutMs / 1000)}`);
  if (timeoutMs % 1000 !== 0) lines.note(`timeout: ${timeoutMs}ms`);
}

function writeHttp(check: HttpCheck, lines: Lines, extras: Extras): void {
  if (check.tls) {
    const { password, ca, certificate, key } = check;
    const own = { password, ca, certificate, key };
    extras.tls ??= own;
    if (JSON.stringify(own) !== JSON.stringify(extras.tls)) {
      lines.note(`this check's own ca, certificate, key or password: ${JSON.stringify(own)}`);
    }
    if (check.verify) lines.note('verify: true');
  }
  if (check.sni) lines.add('enable_sni');
  if (check.fastRecovery) lines.add('fast_recovery');
  lines.given('virtualhost', check.virtualhost);
  for (const url of check.urls) lines.block('url', () => writeUrl(url, lines));
}

const OPTIONS: Record<string, string> = { i: 'caseless', m: 'multiline', s: 'dotall', u: 'utf' };

function writeUrl(url: HttpUrl, lines: Lines): void {
  lines.given('path', url.path);
  lines.given('digest', url.digest);
  const codes = url.statusCodes.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`));
  if (codes.join() !== '200-299' || url.digest !== undefined) {
    lines.add(`status_code ${codes.join(' ')}`);
  }
  lines.given('virtualhost', url.virtualhost);
  if (url.regex !== undefined) lines.add(`regex "${escaped(url.regex)}"`);
  const words = [...url.regexFlags].map((flag) => OPTIONS[flag] as string);
  if (needsEndOnly(url.regex ?? '', url.regexFlags)) words.push('dollar_endonly');
  if (words.length > 0) lines.add(`regex_options ${words.join(' ')}`);
  if (url.regexNoMatch) lines.add('regex_no_match');
  if (url.regexMinOffset !== 0) lines.add(`regex_min_offset ${url.regexMinOffset}`);
  lines.given('regex_max_offset', url.regexMaxOffset);
}

function escaped(text: string): string {
  return text.replaceAll(/[\\"]/g, '\\$&');
}

/** A quoted command line, its arguments in quotes of their own where they have blanks. */
export function commandLine({ argv }: Script): string {
  const words = argv.map((word) => {
    if (word !== '' && !/[\s"']/.test(word)) return word;
    return word.includes("'") ? `"${word}"` : `'${word}'`;
  });
  return `"${escaped(words.join(' '))}"`;
}
