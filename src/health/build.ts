/** `health` blocks → Model: the nearest setting counts, then keepalived's defaults. */
import { hostname } from 'node:os';
import { type ParsedTunnel, tunnelOf } from '../config/tunnel.js';
import type { Mode } from '../native.js';
import {
  BIRD_SOCKET,
  type Check,
  CONNECT_TIMEOUT_MS,
  type Connecting,
  DELAY_LOOP_MS,
  defaultDelayBeforeRetryMs,
  defaultRetry,
  type HttpCheck,
  type HttpUrl,
  type PassiveCheck,
  type ServerHealth,
  type ServiceHealth,
  type Timing,
} from './model.js';
import type { ParsedCheck, ParsedServerHealth, ParsedServiceHealth } from './schema.js';

type Timings = Pick<
  ParsedServiceHealth,
  | 'delayLoop'
  | 'retry'
  | 'delayBeforeRetry'
  | 'warmup'
  | 'alpha'
  | 'connectTimeout'
  | 'toVip'
  | 'virtualhost'
>;

export function buildServerHealth(
  server: ParsedServerHealth = {},
  service: ParsedServiceHealth = {},
): ServerHealth {
  const checks = server.checks ?? service.checks ?? [];
  const defaults: Timings = { ...service, ...defined(server) };
  return {
    checks: checks.map((check) => buildCheck(check, defaults)),
    passive: buildPassive(server.passive ?? service.passive),
    inhibitOnFailure: server.inhibitOnFailure ?? service.inhibitOnFailure ?? false,
    notifyUp: server.notifyUp,
    notifyDown: server.notifyDown,
  };
}

function buildPassive(passive: ParsedServerHealth['passive']): PassiveCheck | undefined {
  if (!passive) return undefined;
  const { window = 10e6, ejection = 30e6 } = passive;
  return {
    failures: passive.failures ?? 5,
    ratio: passive.ratio,
    windowMs: window / 1_000,
    minimum: passive.minimum ?? 20,
    ejectionMs: ejection / 1_000,
    maxEjectionMs: Math.max(passive.maxEjection ?? 600e6, ejection) / 1_000,
    maxEjected: passive.maxEjected ?? 50,
  };
}

/** `port`: what a server in this mode is reached at, whatever the file says. */
export function buildServiceHealth(
  service: ParsedServiceHealth = {},
  { mode, tunnel }: { mode: Mode; tunnel?: ParsedTunnel | undefined },
  portOf: (mode: Mode, port: number) => number,
): ServiceHealth {
  const { sorryServer } = service;
  const sorryMode = sorryServer?.mode ?? mode;
  return {
    quorum: service.quorum ?? 1,
    hysteresis: service.hysteresis ?? 0,
    quorumUp: service.quorumUp,
    quorumDown: service.quorumDown,
    omega: service.omega ?? false,
    sorryServer: sorryServer && {
      address: {
        address: sorryServer.address.address,
        port: portOf(sorryMode, sorryServer.address.port),
      },
      mode: sorryMode,
      ...tunnelOf(sorryMode, sorryServer.tunnel ?? tunnel),
    },
    sorryServerInhibit: sorryServer?.inhibit ?? false,
  };
}

function buildCheck(check: ParsedCheck, defaults: Timings): Check {
  switch (check.type) {
    case 'file':
      return {
        type: 'file',
        path: check.path,
        weight: check.weight ?? 1,
        reverse: check.reverse ?? false,
        dynamic: check.dynamic ?? false,
      };
    case 'bfd':
      return {
        type: 'bfd',
        name: check.name ?? '',
        neighbour: check.neighbour,
        socket: check.socket ?? BIRD_SOCKET,
        alpha: check.alpha ?? defaults.alpha ?? false,
      };
    case 'misc': {
      const timing = timingOf(check, 'misc', defaults);
      const { script, dynamic = false } = check;
      const timeoutMs = check.timeout === undefined ? timing.delayLoopMs : check.timeout / 1_000;
      return { type: 'misc', ...timing, script, dynamic, timeoutMs };
    }
    case 'http':
    case 'https':
      return buildHttp(check, defaults);
    default:
      return buildConnecting(check, defaults);
  }
}

type ConnectingCheck = Exclude<ParsedCheck, { type: 'file' | 'bfd' | 'misc' }>;

function buildConnecting(
  check: Exclude<ConnectingCheck, { type: 'http' | 'https' }>,
  defaults: Timings,
): Check {
  const common = { ...timingOf(check, check.type, defaults), ...connectingOf(check, defaults) };
  switch (check.type) {
    case 'smtp':
      return { type: 'smtp', ...common, heloName: check.heloName ?? hostname() };
    case 'dns': {
      const { queryType = 'SOA', name = '.', answer } = check;
      return { type: 'dns', ...common, queryType, name, answer };
    }
    case 'udp':
      return {
        type: 'udp',
        ...common,
        payload: check.payload,
        requireReply: check.requireReply ?? check.reply !== undefined,
        reply: check.reply,
        minReplyLength: check.minReplyLength ?? 0,
        maxReplyLength: check.maxReplyLength ?? 255,
      };
    default:
      return { type: check.type, ...common };
  }
}

function buildHttp(
  check: Extract<ParsedCheck, { type: 'http' | 'https' }>,
  defaults: Timings,
): HttpCheck {
  const secure = check.type === 'https' ? check : undefined;
  return {
    type: 'http',
    ...timingOf(check, 'http', defaults),
    ...connectingOf(check, defaults),
    tls: secure !== undefined,
    sni: secure?.sni ?? false,
    verify: secure?.verify ?? false,
    ca: secure?.ca,
    certificate: secure?.certificate,
    key: secure?.key,
    password: secure?.password,
    fastRecovery: check.fastRecovery ?? false,
    virtualhost: check.virtualhost ?? defaults.virtualhost,
    urls: (check.urls ?? [{ ...check, virtualhost: undefined }]).map(buildUrl),
  };
}

type ParsedUrl = NonNullable<Extract<ParsedCheck, { type: 'http' }>['urls']>[number];

function buildUrl(url: ParsedUrl): HttpUrl {
  return {
    path: url.path ?? '/',
    digest: url.digest,
    // As keepalived: a digest alone makes no demand on the status.
    statusCodes: url.status ?? (url.digest === undefined ? [[200, 299]] : [[100, 599]]),
    virtualhost: url.virtualhost,
    regex: url.regex,
    regexFlags: url.regexFlags ?? '',
    regexNoMatch: url.regexNoMatch ?? false,
    regexMinOffset: url.regexMinOffset ?? 0,
    regexMaxOffset: url.regexMaxOffset,
  };
}

/** Parsed times are microseconds. */
function timingOf(
  check: Omit<Timings, 'toVip'> & { logAllFailures?: boolean | undefined },
  type: Check['type'],
  defaults: Timings,
): Timing {
  const all = { ...defaults, ...defined(check) };
  const ms = (us: number | undefined) => (us === undefined ? undefined : us / 1_000);
  const delayLoopMs = ms(all.delayLoop) ?? DELAY_LOOP_MS;
  return {
    delayLoopMs,
    retry: all.retry ?? defaultRetry(type),
    delayBeforeRetryMs: ms(all.delayBeforeRetry) ?? defaultDelayBeforeRetryMs(type, delayLoopMs),
    warmupMs: ms(all.warmup) ?? delayLoopMs,
    alpha: all.alpha ?? false,
    logAllFailures: check.logAllFailures ?? false,
  };
}

function connectingOf(check: ConnectingCheck, defaults: Timings): Connecting {
  const timeout = check.connectTimeout ?? defaults.connectTimeout;
  return {
    connectIp: check.connectIp,
    connectPort: check.connectPort,
    bindTo: check.bindTo,
    bindInterface: check.bindInterface,
    bindPort: check.bindPort,
    toVip: defaults.toVip ?? false,
    fwmark: check.fwmark ?? 0,
    connectTimeoutMs: timeout === undefined ? CONNECT_TIMEOUT_MS : timeout / 1_000,
  };
}

function defined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}
