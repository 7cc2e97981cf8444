/**
 * What the control API is asked: bodies and queries, checked before anything is done with them. The
 * OpenAPI document is made of the same schemas.
 */
import { z } from 'zod';
import { type Endpoint, isSix, parseAddress, parseWideEndpoint } from '../config/address.js';
import { CLIENT_LISTS, clientText } from '../config/clients.js';
import { ENGINES, isNetmask } from '../config/persistence.js';
import { tunnelReport } from '../config/tunnel.js';
import { EDIT_POLICIES } from '../edits/policies.js';
import { MODES, SCHEDULERS } from '../native.js';
import { SORTS, STATES_OF_SERVICES } from '../stats/sorts.js';
import { DAEMON_ROLES } from '../sync/daemons.js';

/** Text that `parse` understands. */
export function text<T>(
  what: string,
  parse: (text: string) => { value: T } | { fault: unknown },
): z.ZodType<T, string> {
  return z
    .string()
    .transform((input, context) => {
      const parsed = parse(input);
      if ('value' in parsed) return parsed.value;
      const message = `is ${JSON.stringify(input)}, expected ${what}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .describe(`${what[0]?.toUpperCase()}${what.slice(1)}.`);
}

/** In a query. */
const whole = z.coerce
  .number<string>('expected a whole number')
  .int('expected a whole number')
  .min(0);
const address = text('an address', parseAddress);
const endpoint = z.strictObject({
  address,
  port: z.int().min(0).max(65535).describe('0: any; of a server, the packet’s own.'),
});
const protocol = z.enum(['tcp', 'udp', 'sctp']);
const service = z
  .strictObject({
    protocol: z.enum(['tcp', 'udp', 'sctp', 'fwmark']),
    listen: z
      .strictObject({ address, port: z.int().min(0).max(0xffff_ffff) })
      .describe('Port 0 is any; of protocol fwmark 0.0.0.0 or ::, and the mark as the port.'),
  })
  .superRefine(({ protocol, listen }, context) => {
    const fault =
      protocol === 'fwmark'
        ? markFault(listen)
        : listen.port > 65_535
          ? 'expected a port up to 65535'
          : undefined;
    if (fault) context.addIssue({ code: 'custom', path: ['listen'], message: fault });
  });

function markFault({ address, port }: Endpoint): string | undefined {
  if (port === 0) return 'expected a mark from 1 on as the port';
  return address === '0.0.0.0' || address === '::' ? undefined : 'expected 0.0.0.0 or ::';
}
const serviceSettings = z.strictObject({
  scheduler: z.enum(SCHEDULERS),
  schedulePort: z.boolean(),
  scheduleFallback: z.boolean(),
  onePacket: z.boolean(),
  persistence: z
    .strictObject({
      timeoutS: z.int().min(1).max(2_678_400).describe('Seconds.'),
      netmask: z
        .string()
        .refine(isNetmask, 'expected a netmask, of IPv6 a number of bits')
        .describe('Of a client’s address: 255.255.255.0, of an IPv6 service a length.'),
      engine: z.enum(ENGINES).nullable().default(null),
      whenDrained: z.enum(['stay', 'move']),
    })
    .nullable()
    .default(null),
  synProxy: z.boolean().optional().describe('Absent: as it is.'),
});
const weight = z.int().min(0).max(65535);
const serverSettings = z.strictObject({
  mode: z.enum(MODES),
  tunnel: tunnelReport.optional(),
  weight,
  upperThreshold: z.int().min(0).max(0xffff_ffff),
  lowerThreshold: z.int().min(0).max(0xffff_ffff),
});
/** Seconds, at most 31 days. */
const timeout = z.int().min(0).max(2_678_400);

export const edit = z.discriminatedUnion('edit', [
  z.strictObject({
    edit: z.literal('addService'),
    service,
    settings: serviceSettings,
  }),
  z.strictObject({ edit: z.literal('editService'), service, settings: serviceSettings }),
  z.strictObject({ edit: z.literal('removeService'), service }),
  z.strictObject({
    edit: z.literal('addServer'),
    service,
    server: endpoint,
    settings: serverSettings,
  }),
  z.strictObject({
    edit: z.literal('editServer'),
    service,
    server: endpoint,
    settings: serverSettings,
  }),
  z.strictObject({ edit: z.literal('removeServer'), service, server: endpoint }),
  z.strictObject({ edit: z.literal('drainServer'), service, server: endpoint }),
  z.strictObject({ edit: z.literal('undrainServer'), service, server: endpoint }),
  z.strictObject({ edit: z.literal('setWeight'), service, server: endpoint, weight }),
  z.strictObject({ edit: z.literal('addLocalAddress'), service, address }),
  z.strictObject({ edit: z.literal('removeLocalAddress'), service, address }),
  z.strictObject({
    edit: z.literal('addClient'),
    service,
    list: z.enum(CLIENT_LISTS),
    client: clientText,
  }),
  z.strictObject({
    edit: z.literal('removeClient'),
    service,
    list: z.enum(CLIENT_LISTS),
    client: clientText,
  }),
  z.strictObject({ edit: z.literal('setTimeouts'), tcp: timeout, tcpFin: timeout, udp: timeout }),
  z.strictObject({ edit: z.literal('clear') }),
]);

const cause = z.string().min(1).max(500).describe('What shows in the history.');

export const editRequest = z.strictObject({
  edits: z.array(edit),
  cause,
  together: z.boolean().default(true).describe('All or none; otherwise each by itself.'),
});
export type EditRequest = z.output<typeof editRequest>;

const file = z
  .string()
  .startsWith('/')
  .describe('Absolute path; the file that was read last unless given. On the control socket only.');

export const reloadRequest = z.strictObject({
  file: file.optional(),
  edits: z
    .enum(EDIT_POLICIES)
    .default('refuse')
    .describe('What becomes of run-time edits; refuse: the request, if there are any.'),
  cause: cause.default('reload'),
});
export type ReloadRequest = z.output<typeof reloadRequest>;

export const rollbackRequest = z.strictObject({ generation: z.int().min(1).optional() });
export type RollbackRequest = z.output<typeof rollbackRequest>;

export const zeroRequest = z.strictObject({ service: service.optional() });
export type ZeroRequest = z.output<typeof zeroRequest>;

const daemonRole = z.enum(DAEMON_ROLES);

export const syncDaemonRequest = z.discriminatedUnion('action', [
  z.strictObject({
    action: z.literal('start'),
    role: daemonRole,
    interface: z.string().regex(/^[^\s/]{1,15}$/, 'expected the name of an interface'),
    syncid: z.int().min(0).max(255).optional().describe('0, unless given: any.'),
    maxlen: z.int().min(1).max(65_507).optional().describe('Longest message, bytes.'),
    group: address.optional(),
    port: z.int().min(1).max(65_535).optional(),
    ttl: z.int().min(1).max(255).optional(),
  }),
  z.strictObject({ action: z.literal('stop'), role: daemonRole }),
]);
export type SyncDaemonRequest = z.output<typeof syncDaemonRequest>;

export const upgradeRequest = z.strictObject({
  file: file.optional(),
  program: z
    .string()
    .startsWith('/')
    .optional()
    .describe('Absolute path of a sluice; the one that runs unless given.'),
  discardEdits: z.boolean().default(false).describe('Run-time edits are dropped.'),
});
export type UpgradeRequest = z.output<typeof upgradeRequest>;

export const servicesQuery = z.strictObject({
  match: z.string().default('').describe('In the name or an address of a service or server.'),
  state: z
    .enum(STATES_OF_SERVICES)
    .default('any')
    .describe('down: there are servers, and none takes connections; degraded: or one is down.'),
  sort: z
    .enum(SORTS)
    .default('configured')
    .describe('By name, or by packets, bits or new connections a second, the most first.'),
  offset: whole.default(0).describe('So many services are left out.'),
  limit: whole.default(0).describe('At most so many services; 0: all.'),
  servers: whole
    .optional()
    .describe('At most so many servers of each, those that match first; all, unless given.'),
  lines: whole
    .default(0)
    .describe(
      'At most so many services and servers together, in the order of the listing; 0: all.',
    ),
});
export type ServicesQuery = z.output<typeof servicesQuery>;
export const ALL_SERVICES: ServicesQuery = servicesQuery.parse({});

function parseEnd(input: string): { value: Endpoint } | { fault: unknown } {
  const parsed = parseWideEndpoint(input);
  return 'value' in parsed && parsed.value.port === 0 ? { fault: 'invalid' } : parsed;
}

const end = text('an address and port such as 192.0.2.7:40000 or [2001:db8::7]:40000', parseEnd);

export const explainQuery = z
  .strictObject({
    from: end,
    to: end,
    protocol: protocol.default('tcp'),
  })
  .refine(({ from, to }) => isSix(from.address) === isSix(to.address), {
    path: ['from'],
    error: 'expected an address of the same family as to: one packet has both',
  });

export const diffQuery = z.strictObject({
  file: file.optional(),
  edits: z
    .enum(['keep', 'discard'])
    .default('keep')
    .describe('As if run-time edits were kept, or dropped.'),
});

export const clientsQuery = z.strictObject({
  service: z.string().optional().describe('Its name, or address:port.'),
});

export const connectionsQuery = z.strictObject({
  client: address.optional(),
  service: z.string().optional().describe('Its name, or address:port.'),
  limit: whole.default(0).describe('At most so many; 0: all.'),
});
