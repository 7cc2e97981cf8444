/** The `health` blocks of director.yaml: keepalived's words in camel case, its meanings kept. */
import { z } from 'zod';
import {
  address,
  duration,
  expected,
  flag,
  integer,
  list,
  oneOf,
  section,
  wideEndpoint,
  word,
} from '../config/kinds.js';
import { tunnel } from '../config/tunnel.js';
import { MODES } from '../native.js';
import { DNS_TYPES, type Script } from './model.js';

const DAY_US = 86_400e6;
const time = (lowUs = 1e3) =>
  duration('a time up to 24 hours: seconds, or such as 500ms', 's', lowUs, DAY_US);
const anyText = (what: string) => word(what, /^[^\n]{1,1023}$/);
const portNumber = () => integer(1, 65_535, 'a port');

const commandText = 'a command with its arguments';
const command = () =>
  z
    .union([z.string(), z.array(z.string()).min(1)], expected(commandText))
    .transform((input, context) => {
      const argv = typeof input === 'string' ? splitWords(input) : input;
      if (argv && argv.length > 0 && (argv[0] as string).startsWith('/')) return argv;
      context.addIssue({ code: 'custom', message: `expected ${commandText}, an absolute path` });
      return z.NEVER;
    });
const account = () => word('the name of a user or group', /^[a-z_][a-z0-9_-]{0,31}\$?$/);

export const script = () =>
  z
    .union(
      [
        command(),
        section({ command: command(), user: account().optional(), group: account().optional() }),
      ],
      expected('a command with its absolute path, or a block of command, user and group'),
    )
    .transform(
      (input): Script =>
        Array.isArray(input)
          ? { argv: input, user: undefined, group: undefined }
          : { argv: input.command, user: input.user, group: input.group },
    );

/** Words by blanks; quotes hold words together, as in keepalived.conf. undefined: an open quote. */
export function splitWords(text: string): string[] | undefined {
  const words = [...text.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, a?: string, b?: string) => a ?? b ?? ''),
  );
  return (text.match(/["']/g)?.length ?? 0) % 2 === 0 ? words : undefined;
}

/** On a service, a server and a check: the nearest counts. */
const timing = {
  delayLoop: time().optional(),
  retry: integer(0, 1_000).optional(),
  delayBeforeRetry: time().optional(),
  warmup: time(0).optional(),
  alpha: flag().optional(),
  connectTimeout: time().optional(),
};

const everyCheck = { ...timing, logAllFailures: flag().optional() };

const connecting = {
  ...everyCheck,
  connectIp: address().optional(),
  connectPort: portNumber().optional(),
  bindTo: address().optional(),
  bindInterface: word('an interface name', /^[^\s/]{1,15}$/).optional(),
  bindPort: portNumber().optional(),
  fwmark: integer(0, 0xffff_ffff).optional(),
};

const statusText = 'status codes such as 200 or [200-299, 404]';
const statusRange = z
  .union([z.int(), z.string()], expected(statusText))
  .transform((input, context): [number, number] => {
    const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(String(input));
    const low = Number(match?.[1]);
    const high = Number(match?.[2] ?? match?.[1]);
    if (low <= high) return [low, high];
    context.addIssue({ code: 'custom', message: `expected ${statusText}` });
    return z.NEVER;
  });
const status = z.union(
  [statusRange.transform((one) => [one]), z.array(statusRange).min(1)],
  expected(statusText),
);

const regex = z.string(expected('a regular expression')).superRefine((text, context) => {
  try {
    new RegExp(text);
  } catch (error) {
    const message = `expected a regular expression: ${(error as Error).message}`;
    context.addIssue({ code: 'custom', message });
  }
});

const url = {
  path: word('a path that starts with a slash', /^\/[^\s]*$/).optional(),
  status: status.optional(),
  digest: word('an MD5 digest of 32 hexadecimal digits', /^[0-9a-fA-F]{32}$/).optional(),
  regex: regex.optional(),
  regexFlags: word('flags of i, m, s and u', /^[imsu]*$/).optional(),
  regexNoMatch: flag().optional(),
  regexMinOffset: integer(0, 2 ** 31 - 1).optional(),
  regexMaxOffset: integer(1, 2 ** 31 - 1).optional(),
};

const host = () => word('a host name', /^[A-Za-z0-9._:-]{1,255}$/);
const file = () => word('an absolute path', /^\/.+$/);
const hex = (digits: RegExp) => word('bytes in hexadecimal digits', digits);

const http = {
  ...connecting,
  virtualhost: host().optional(),
  fastRecovery: flag().optional(),
  ...url,
  /** In place of the keys above, when there are several. */
  urls: list(section({ ...url, virtualhost: host().optional() }), 'URLs')
    .min(1)
    .optional(),
};

export const check = z.discriminatedUnion(
  'type',
  [
    section({ type: z.literal('tcp'), ...connecting }),
    section({ type: z.literal('http'), ...http }),
    section({
      type: z.literal('https'),
      ...http,
      sni: flag().optional(),
      verify: flag().optional(),
      ca: file().optional(),
      certificate: file().optional(),
      key: file().optional(),
      password: anyText('a pass phrase').optional(),
    }),
    section({ type: z.literal('smtp'), ...connecting, heloName: host().optional() }),
    section({
      type: z.literal('dns'),
      ...connecting,
      queryType: oneOf(DNS_TYPES).optional(),
      name: word('a domain name', /^[A-Za-z0-9._-]{1,253}$/).optional(),
      answer: anyText('a text that the answer holds').optional(),
    }),
    section({
      type: z.literal('udp'),
      ...connecting,
      payload: hex(/^([0-9a-fA-F]{2}|\s)+$/).optional(),
      requireReply: flag().optional(),
      reply: hex(/^([0-9a-fA-FxX]{2}|\s)+$/).optional(),
      minReplyLength: integer(0, 65_507).optional(),
      maxReplyLength: integer(0, 65_507).optional(),
    }),
    section({ type: z.literal('ping'), ...connecting }),
    section({
      type: z.literal('misc'),
      ...everyCheck,
      script: script(),
      timeout: time().optional(),
      dynamic: flag().optional(),
    }),
    section({
      type: z.literal('file'),
      path: file(),
      weight: integer(-(2 ** 31) + 1, 2 ** 31 - 1).optional(),
      reverse: flag().optional(),
      dynamic: flag().optional(),
    }),
    section({
      type: z.literal('bfd'),
      name: anyText('the name of a session').optional(),
      neighbour: address().optional(),
      socket: file().optional(),
      alpha: flag().optional(),
    }),
  ],
  expected('a type: tcp, http, https, smtp, dns, udp, ping, misc, file or bfd'),
);

const passive = () =>
  section({
    failures: integer(1, 1_000).optional(),
    ratio: integer(1, 100, 'a percentage from 1 to 100').optional(),
    window: time().optional(),
    minimum: integer(1, 1_000_000).optional(),
    ejection: time().optional(),
    maxEjection: time().optional(),
    maxEjected: integer(1, 100, 'a percentage from 1 to 100').optional(),
  });

const inherited = {
  ...timing,
  passive: passive().optional(),
  inhibitOnFailure: flag().optional(),
  toVip: flag().optional(),
  virtualhost: host().optional(),
};

export const serverHealth = section({
  ...inherited,
  /** In place of the service's. */
  checks: list(check, 'checks').optional(),
  notifyUp: script().optional(),
  notifyDown: script().optional(),
});

export const serviceHealth = section({
  ...inherited,
  checks: list(check, 'checks').optional(),
  quorum: integer(1, 2 ** 31 - 1).optional(),
  hysteresis: integer(0, 2 ** 31 - 1).optional(),
  quorumUp: script().optional(),
  quorumDown: script().optional(),
  omega: flag().optional(),
  sorryServer: section({
    address: wideEndpoint('198.51.100.99:80'),
    mode: oneOf(MODES).optional(),
    tunnel: tunnel.optional(),
    inhibit: flag().optional(),
  }).optional(),
});

export type ParsedCheck = z.output<typeof check>;
export type ParsedServerHealth = z.output<typeof serverHealth>;
export type ParsedServiceHealth = z.output<typeof serviceHealth>;
