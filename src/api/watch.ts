/** What traces and captures are asked by, and what they answer: lines, as packets come. */
import { z } from 'zod';
import { parseAddress, parseWideEndpoint } from '../config/address.js';
import { MODES, STATES, VERDICT_KINDS } from '../native.js';
import { candidate } from './answers.js';
import { text } from './requests.js';

interface End {
  address: string;
  /** 0: any. */
  port: number;
}

function parseEnd(input: string): { value: End } | { fault: unknown } {
  const whole = parseWideEndpoint(input);
  if ('value' in whole) return whole;
  const parsed = parseAddress(input);
  return 'value' in parsed ? { value: { address: parsed.value, port: 0 } } : parsed;
}

const end = text(
  'an address, and a port if you like (192.0.2.7:40000, [2001:db8::7]:40000)',
  parseEnd,
);

function whole(least: number, most: number): z.ZodType<number, string> {
  const expected = `expected a whole number from ${least} to ${most}`;
  return z.coerce.number<string>(expected).int(expected).min(least, expected).max(most, expected);
}

/** A day; whoever needs longer asks again. */
const seconds = whole(1, 86_400).describe('It ends after so long.');
const count = whole(1, 1_000_000_000).optional().describe('It ends after so many.');
const rate = (most: number) =>
  whole(1, most).describe('A second, at the most; more are counted as lost.');

export const traceQuery = z.strictObject({
  from: end.optional(),
  to: end.optional(),
  protocol: z.enum(['tcp', 'udp', 'sctp', 'icmp']).optional(),
  count,
  seconds: seconds.default(30),
  rate: rate(10_000).default(200),
});
export type TraceQuery = z.output<typeof traceQuery>;

export const captureQuery = z.strictObject({
  port: z.string().default('all').describe('Name of a port, or all.'),
  direction: z.enum(['in', 'out', 'both']).default('both'),
  filter: z.string().max(4_096).default('').describe('As tcpdump takes it; none: every frame.'),
  count,
  seconds: seconds.default(60),
  snaplen: whole(1, 65_535).default(262).describe('Bytes of a frame that are kept.'),
  rate: rate(1_000_000).default(10_000),
});
export type CaptureQuery = z.output<typeof captureQuery>;

const figure = z.number().min(0);
const counts = {
  seen: figure.describe('Packets that were looked at.'),
  matched: figure.describe('Of those, asked for.'),
  taken: figure.describe('Of those, told.'),
  overRate: figure.describe('Asked for and not told: more than the rate allows.'),
  noRoom: figure.describe('Asked for and not told: read too slowly.'),
};
const time = z.string().describe('Nanoseconds since the epoch.');
const verdict = z.enum([...VERDICT_KINDS, 'handed off', 'unknown']);

const headers = z
  .strictObject({
    sourceMac: z.string(),
    destinationMac: z.string(),
    protocol: z.string().describe('TCP, UDP, SCTP, ICMP, ARP …: of the innermost packet.'),
    from: z.string(),
    to: z.string(),
    outer: z.string().optional().describe('What it is wrapped in.'),
    quoted: z.string().optional().describe('The packet that an ICMP error is about.'),
    what: z.string().describe('TCP’s flags, or ICMP’s type.'),
    ttl: z.int().optional(),
  })
  .describe('The headers of a frame.');

export const tracedPacket = z
  .strictObject({
    time,
    worker: z.int(),
    port: z.string().describe('Where it came in.'),
    packet: headers.extend({ bytes: z.int() }).nullable(),
    service: z
      .strictObject({ name: z.string(), scheduler: z.string(), place: z.string().optional() })
      .nullable(),
    connection: z
      .strictObject({
        direction: z.enum(['request', 'reply']),
        isNew: z.boolean(),
        state: z.enum(STATES),
        client: z.string(),
        virtual: z.string(),
        local: z.string().describe('Empty unless a local port was taken.'),
        server: z.string(),
        idleMs: z.int(),
        timeoutMs: z.int(),
      })
      .nullable(),
    candidates: z.array(candidate).describe('Empty where the scheduler was not asked.'),
    choice: z.string().nullable().describe('The server of its connection.'),
    mode: z.enum(MODES).nullable(),
    rewrite: z.string().nullable(),
    sent: z
      .strictObject({
        port: z.string(),
        twin: z.boolean().describe('To the kernel, by the TAP twin of the port.'),
        headers: headers.nullable(),
        bytes: z.int(),
        frames: z.int(),
        nextHop: z.string().nullable(),
        mtu: z.int().nullable(),
      })
      .nullable(),
    verdict,
    reason: z.string().describe('The end’s name, as in /v1/drops.'),
    help: z.string(),
    place: z.string().optional().describe('Line of the configuration that the end comes from.'),
    steps: z.array(z.string()).describe('Sentences, in the order of the packet’s way.'),
  })
  .describe('What a packet met.');

export const traceLine = z
  .union([
    z.strictObject({ watching: z.strictObject({ workers: z.int(), seconds: z.int() }) }),
    z.strictObject({ packet: tracedPacket }),
    z.strictObject({ counts: z.strictObject(counts) }),
  ])
  .describe(
    'First what is watched, then a packet each; now and then and at the end what was counted.',
  );
export type TraceLine = z.output<typeof traceLine>;

export const capturedFrame = z
  .strictObject({
    time,
    port: z.string(),
    direction: z.enum(['in', 'out']),
    verdict: z.string().describe('The end of the packet, as in /v1/drops; empty: none is known.'),
    wireBytes: z.int(),
    bytes: z.string().describe('Base64.'),
  })
  .describe('A frame.');
export type CapturedFrame = z.output<typeof capturedFrame>;

export const captureLine = z
  .union([
    z.strictObject({
      watching: z.strictObject({
        ports: z.array(z.string()),
        snaplen: z.int(),
        seconds: z.int(),
        machineCode: z.boolean().describe('The filter runs as such, and is not interpreted.'),
      }),
    }),
    z.strictObject({ frame: capturedFrame }),
    z.strictObject({
      counts: z.array(z.strictObject({ port: z.string(), ...counts })),
    }),
  ])
  .describe(
    'First what is watched, then a frame each; now and then and at the end what was counted, by port.',
  );
export type CaptureLine = z.output<typeof captureLine>;
