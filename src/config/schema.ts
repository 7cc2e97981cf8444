/**
 * The shape of director.yaml, key by key. Each schema's message says only what was expected;
 * load.ts puts the place and the given value before it. What needs more than one value to be
 * judged is in check.ts. The table of all keys for people is README.md beside this file.
 */
import { z } from 'zod';
import { serverHealth, serviceHealth } from '../health/schema.js';
import { kernel } from '../kernel/schema.js';
import { MODES, SCHEDULERS } from '../native.js';
import { sync } from '../sync/schema.js';
import { vrrp } from '../vrrp/schema.js';
import { parseAnyCidr } from './address.js';
import { clients } from './clients.js';
import { FEATURE_NAMES } from './keepalived/support.js';
import {
  absolute,
  anyAddress,
  duration,
  endpoint,
  expected,
  flag,
  integer,
  list,
  mac,
  name,
  network,
  oneOf,
  section,
  text,
  wideEndpoint,
  word,
} from './kinds.js';
import { mark, markRule } from './marks-schema.js';
import { persistenceSchema } from './persistence.js';
import { isRecord } from './source.js';
import { tunnel } from './tunnel.js';

const timeout = () =>
  duration('a time from 1 second to 31 days: seconds, or such as 15m', 's', 1e6, 2_678_400e6);
const pause = () => duration('a time up to 1 s such as 50us or 1ms; 0 is never', undefined, 0, 1e6);

const cpus = expected('a number of workers from 1 to 64, or a list of CPU numbers such as [1, 2]');
const cpuNumber = (low: number, high: number) => z.int(cpus).min(low).max(high);

const api = section({
  listen: endpoint('192.0.2.1:8443'),
  tls: section({ certificate: absolute(), key: absolute() }).optional(),
  tokens: list(
    section({
      name: name(),
      role: oneOf(['read', 'write']),
      sha256: word('64 hexadecimal digits', /^[0-9a-f]{64}$/i).optional(),
      file: absolute().optional(),
    }),
    'tokens',
  ).min(1, expected('at least one token')),
});

const percent = () => integer(0, 100, 'a whole number of percent, or 0 for never');
const proc = expected('an absolute path, or false for no files');
const account = (what: string) =>
  word(`the name of a ${what} of the system`, /^[a-z_][a-z0-9_-]{0,31}\$?$/);
const director = section({
  name: name().optional(),
  socket: word(
    'an absolute path of at most 107 bytes (a Unix socket has no longer one)',
    /^\/.{1,106}$/,
  ).optional(),
  socketGroup: account('group').optional(),
  user: account('user').optional(),
  workers: z
    .union([cpuNumber(1, 64), z.array(cpuNumber(0, 1023), cpus).min(1).max(64)], cpus)
    .optional(),
  hugepages: flag().optional(),
  memory: integer(64, 1 << 20, 'a whole number of MiB').optional(),
  mbufs: integer(1024, 1 << 24, 'a whole number of packet buffers').optional(),
  maxConnections: integer(1024, 1 << 28).optional(),
  maxChecks: integer(1, 1 << 20).optional(),
  answerRate: integer(0, 10_000_000, 'a whole number a second, or 0 for no limit').optional(),
  maxServices: integer(1, 65536).optional(),
  maxServers: integer(1, 1 << 20).optional(),
  metrics: endpoint('192.0.2.1:9330').optional(),
  api: api.optional(),
  keepEdits: absolute().optional(),
  proc: z.union([z.string(proc).regex(/^\/./), z.literal(false)], proc).optional(),
  alerts: section({
    table: percent().optional(),
    localPorts: percent().optional(),
    mbufs: percent().optional(),
    load: percent().optional(),
    skew: integer(0, 64, 'a whole number of times, or 0 for never').optional(),
    rings: integer(
      0,
      1_000_000_000,
      'a whole number of packets a second, or 0 for never',
    ).optional(),
  }).optional(),
  idle: section({ after: pause().optional(), sleep: pause().optional() }).optional(),
});

const timeouts = section({
  tcp: timeout().optional(),
  tcpFin: timeout().optional(),
  udp: timeout().optional(),
});

const twin = expected('an interface name of at most 15 characters, or false for no twin');
const port = section({
  name: name(),
  device: word(
    'a DPDK device such as net_af_packet0,iface=eth1 or a PCI address such as 0000:01:00.0',
    /^[A-Za-z0-9][^\s]{0,255}$/,
  ).optional(),
  twin: z
    .union([z.string(twin).regex(/^[A-Za-z][A-Za-z0-9._-]{0,14}$/), z.literal(false)], twin)
    .optional(),
  mac: mac().optional(),
  mtu: integer(576, 9600).optional(),
  queues: integer(1, 64).optional(),
  partialChecksums: flag().optional(),
  addresses: list(
    text('an address with its prefix length such as 192.0.2.1/24', parseAnyCidr),
    'addresses',
  ).optional(),
});

const route = section({
  to: network(),
  via: anyAddress().optional(),
  port: name().optional(),
});

const neighbour = section({
  address: anyAddress(),
  mac: mac(),
  port: name().optional(),
});

const server = section({
  address: wideEndpoint('198.51.100.11:8080'),
  weight: integer(0, 65535).optional(),
  mode: oneOf(MODES).optional(),
  tunnel: tunnel.optional(),
  upperThreshold: integer(0, 0xffff_ffff).optional(),
  lowerThreshold: integer(0, 0xffff_ffff).optional(),
  health: serverHealth.optional(),
});

/** Of a check across keys, made whatever else is wrong with the block: all errors are told at once. */
const whatever = (path: string, message: string, code?: string) => ({
  path: [path],
  message,
  params: { code },
  when: ({ value }: { value: unknown }) => isRecord(value),
});

const service = section({
  name: name(),
  listen: wideEndpoint('203.0.113.10:80').optional(),
  mark: mark().optional(),
  family: oneOf(['ipv4', 'ipv6']).optional(),
  protocol: oneOf(['tcp', 'udp', 'sctp']).optional(),
  mode: oneOf(MODES),
  tunnel: tunnel.optional(),
  scheduler: oneOf(SCHEDULERS).optional(),
  schedulePort: flag().optional(),
  scheduleFallback: flag().optional(),
  onePacket: flag().optional(),
  persistence: persistenceSchema.optional(),
  onServerRemoved: oneOf(['drop', 'reset']).optional(),
  clientAddress: oneOf(['toa', 'none']).optional(),
  toaKind: integer(1, 255).optional(),
  synProxy: flag().optional(),
  localAddresses: list(anyAddress(), 'addresses').optional(),
  servers: list(server, 'real servers').optional(),
  health: serviceHealth.optional(),
  clients: clients.optional(),
})
  .refine(
    ({ listen, mark: marked }) => listen !== undefined || marked !== undefined,
    whatever('listen', 'expected an address and port such as 203.0.113.10:80, or a mark'),
  )
  .refine(
    ({ listen, mark: marked }) => listen === undefined || marked === undefined,
    whatever('mark', 'a service has an address and port or a mark', 'ERR_CONFIG_CONFLICT'),
  )
  .refine(
    ({ family, mark: marked }) => family === undefined || marked !== undefined,
    whatever('family', 'only a service for a mark needs it', 'ERR_CONFIG_CONFLICT'),
  );

const keepalivedSettings = section({
  file: word('the path of a keepalived.conf', /^.+$/).optional(),
  configId: word('a word', /^\S+$/).optional(),
  accept: list(oneOf(FEATURE_NAMES), 'features to go without').optional(),
});

export const schema = section({
  keepalived: z
    .union(
      [z.string().transform((file) => ({ file })), keepalivedSettings],
      expected('the path of a keepalived.conf, or a block of file, configId and accept'),
    )
    .optional(),
  director: director.optional(),
  timeouts: timeouts.optional(),
  ports: list(port, 'ports').min(1, expected('at least one port')),
  routes: list(route, 'routes').optional(),
  neighbours: list(neighbour, 'neighbours').optional(),
  marks: list(markRule, 'rules').optional(),
  services: list(service, 'services').optional(),
  sync: sync.optional(),
  vrrp: vrrp.optional(),
  kernel: kernel.optional(),
});

export type Parsed = z.output<typeof schema>;

/** The keys known at a path of the file, for suggestions. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let at: unknown = schema;
  for (const step of path) {
    const def = definition(at);
    at = def.type === 'array' ? def.element : shapeOf(def)[step as string];
    if (at === undefined) return [];
  }
  return Object.keys(shapeOf(definition(at)));
}

/** Of a union of blocks: the keys of all of them. */
function shapeOf(def: Definition): Record<string, unknown> {
  const options = def.options?.map((option) => shapeOf(definition(option))) ?? [];
  return Object.assign({}, ...options, def.shape);
}

interface Definition {
  type: string;
  innerType?: unknown;
  element?: unknown;
  shape?: Record<string, unknown>;
  options?: unknown[];
}

function definition(of: unknown): Definition {
  const def = (of as { _zod: { def: Definition } })._zod.def;
  return def.type === 'optional' ? definition(def.innerType) : def;
}
