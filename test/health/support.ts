/** Checks with every option at its default, and a Model around them. */
import { parseConfig } from '../../src/config/load.js';
import type { Model, ServerModel, ServiceModel } from '../../src/config/model.js';
import type {
  Check,
  Connecting,
  HttpUrl,
  ServerHealth,
  ServiceHealth,
  Timing,
} from '../../src/health/model.js';

export const TIMING: Timing = {
  delayLoopMs: 1_000,
  retry: 1,
  delayBeforeRetryMs: 100,
  warmupMs: 0,
  alpha: false,
  logAllFailures: false,
};

export const CONNECTING: Connecting = {
  connectIp: undefined,
  connectPort: undefined,
  bindTo: undefined,
  bindInterface: undefined,
  bindPort: undefined,
  toVip: false,
  fwmark: 0,
  connectTimeoutMs: 300,
};

export const URL_DEFAULTS: HttpUrl = {
  path: '/',
  digest: undefined,
  statusCodes: [[200, 299]],
  virtualhost: undefined,
  regex: undefined,
  regexFlags: '',
  regexNoMatch: false,
  regexMinOffset: 0,
  regexMaxOffset: undefined,
};

export const COMMON = { ...TIMING, ...CONNECTING };

/** Keys of what modelWith() makes. */
export const SERVICE = 'tcp 203.0.113.10:80';
export const serverName = (n: number) => `${SERVICE} 198.51.100.${10 + n}:80`;

/** Service 203.0.113.10:80 with as many servers, 198.51.100.11 on, as there are lists of checks. */
export function modelWith(
  checks: Check[][],
  health: Partial<ServiceHealth> = {},
  server: Partial<ServerHealth> = {},
): Model {
  const servers = checks
    .map((_, i) => `{ address: 198.51.100.${11 + i}:80, weight: 2 }`)
    .join(', ');
  const { model } = parseConfig(
    `ports: [{ name: front, mac: 02:00:00:00:01:01, addresses: [198.51.100.1/24] }]
services: [{ name: web, listen: 203.0.113.10:80, mode: nat, servers: [${servers}] }]
`,
    'director.yaml',
  );
  const [service] = model.services as [ServiceModel];
  service.health = { ...service.health, ...health };
  service.servers.forEach((one: ServerModel, i) => {
    one.health = { ...one.health, ...server, checks: checks[i] as Check[] };
  });
  return model;
}
