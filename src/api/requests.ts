/** Bodies of requests: JSON, checked before anything is done with it. */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { parseIPv4 } from '../config/address.js';
import { SluiceError } from '../errors.js';
import { MODES, SCHEDULERS } from '../native.js';
import { EDIT_POLICIES } from '../transaction.js';

/** Ten thousand services with their servers, as edits, are a tenth of it. */
const LARGEST_BODY = 64 << 20;

const address = z.string().transform((text, context) => {
  const parsed = parseIPv4(text);
  if ('value' in parsed) return parsed.value;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not an IPv4 address` });
  return z.NEVER;
});
const endpoint = z.strictObject({ address, port: z.int().min(1).max(65535) });
const protocol = z.enum(['tcp', 'udp']);
const newService = z.strictObject({ protocol, listen: endpoint });
/** Asking for port 0 is no mistake: there is no such service. */
const service = z.strictObject({
  protocol,
  listen: z.strictObject({ address, port: z.int().min(0).max(65535) }),
});
const serviceSettings = z.strictObject({
  scheduler: z.enum(SCHEDULERS),
  schedulePort: z.boolean(),
  scheduleFallback: z.boolean(),
  onePacket: z.boolean(),
});
const serverSettings = z.strictObject({
  mode: z.enum(MODES),
  weight: z.int().min(0).max(65535),
  upperThreshold: z.int().min(0).max(0xffff_ffff),
  lowerThreshold: z.int().min(0).max(0xffff_ffff),
});
/** Seconds, at most 31 days. */
const timeout = z.int().min(0).max(2_678_400);

const edit = z.discriminatedUnion('edit', [
  z.strictObject({
    edit: z.literal('addService'),
    service: newService,
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
  z.strictObject({ edit: z.literal('addLocalAddress'), service, address }),
  z.strictObject({ edit: z.literal('removeLocalAddress'), service, address }),
  z.strictObject({ edit: z.literal('setTimeouts'), tcp: timeout, tcpFin: timeout, udp: timeout }),
  z.strictObject({ edit: z.literal('clear') }),
]);

const cause = z.string().min(1).max(500);

export const editRequest = z.strictObject({
  edits: z.array(edit),
  /** What shows in the history. */
  cause,
  /** All or none; otherwise each by itself. */
  together: z.boolean().default(true),
});
export type EditRequest = z.output<typeof editRequest>;

export const reloadRequest = z.strictObject({
  /** Absolute; the file that was read last unless given. */
  file: z.string().startsWith('/').optional(),
  edits: z.enum(EDIT_POLICIES).default('refuse'),
  cause: cause.default('reload'),
});
export type ReloadRequest = z.output<typeof reloadRequest>;

export const rollbackRequest = z.strictObject({ generation: z.int().min(1).optional() });
export type RollbackRequest = z.output<typeof rollbackRequest>;

export const zeroRequest = z.strictObject({ service: service.optional() });
export type ZeroRequest = z.output<typeof zeroRequest>;

/** The request's body by its schema; an empty body counts as `{}`. */
export async function body<Schema extends z.ZodType>(
  request: IncomingMessage,
  schema: Schema,
): Promise<z.output<Schema>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > LARGEST_BODY) {
      throw new SluiceError('ERR_API', `a request of more than ${LARGEST_BODY >> 20} MiB`);
    }
    chunks.push(chunk as Buffer);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  let json: unknown;
  try {
    json = text === '' ? {} : JSON.parse(text);
  } catch (cause) {
    throw new SluiceError('ERR_API', 'the request is not JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new SluiceError('ERR_API', `${issue?.path.join('.') || 'request'}: ${issue?.message}`);
}
