/** The `vrrp` block of director.yaml. */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import {
  absolute,
  duration,
  expected,
  flag,
  integer,
  list,
  name,
  section,
  word,
} from '../config/kinds.js';
import { script } from '../health/schema.js';
import { routeLines, ruleLines } from '../kernel/schema.js';

const time = (lowUs = 0) =>
  duration('a time up to 1 hour: seconds, or such as 500ms', 's', lowUs, 3_600e6);

/** Of either family, as ipaddr.js writes it. */
const anyAddress = () =>
  z.string(expected(ADDRESS)).transform((input, context) => {
    if (ipaddr.IPv4.isValidFourPartDecimal(input)) return input;
    const good = input.includes(':') && !input.includes('%') && ipaddr.IPv6.isValid(input);
    if (good) return ipaddr.IPv6.parse(input).toString();
    context.addIssue({ code: 'custom', message: `expected ${ADDRESS}` });
    return z.NEVER;
  });
const ADDRESS = 'an address such as 192.0.2.1 or 2001:db8::1';

const notify = section({
  master: script().optional(),
  backup: script().optional(),
  fault: script().optional(),
  stop: script().optional(),
  any: script().optional(),
});

const garp = section({
  delay: time().optional(),
  repeat: integer(0, 100).optional(),
  refresh: time().optional(),
  refreshRepeat: integer(1, 100).optional(),
  lowerPriorityRepeat: integer(0, 100).optional(),
  lowerPriorityDelay: time().optional(),
});

/** Of a file it is a factor. */
const weight = (most = 254) => integer(-most, most, 'a weight');

/** As keepalived has names: any but with blanks, since notifications are lines of words. */
const title = () => word('a name without blanks and quotes', /^[^\s"']{1,63}$/);
const interfaceName = () => word('an interface name', /^[^\s/]{1,15}$/);

const track = section({
  port: name().optional(),
  interface: interfaceName().optional(),
  tracker: title().optional(),
  weight: weight().optional(),
  reverse: flag().optional(),
});

const instance = section({
  name: title(),
  port: name(),
  routerId: integer(1, 255),
  version: z.union([z.literal(2), z.literal(3)], expected('2 or 3')).optional(),
  priority: integer(1, 255).optional(),
  advertInterval: duration('a time from 10ms to 255s', 's', 10e3, 255e6).optional(),
  preempt: flag().optional(),
  preemptDelay: time().optional(),
  virtualMac: flag().optional(),
  xmitBase: flag().optional(),
  downAdverts: integer(1, 100).optional(),
  trackPort: flag().optional(),
  sourceAddress: anyAddress().optional(),
  unicastPeers: list(anyAddress(), 'addresses').optional(),
  multicastGroup: anyAddress().optional(),
  password: word('a password of 1 to 8 printable characters', /^[\x21-\x7e]{1,8}$/).optional(),
  ah: flag().optional(),
  hmacKey: absolute().optional(),
  plainChecksum: flag().optional(),
  strict: flag().optional(),
  accept: flag().optional(),
  addresses: list(anyAddress(), 'addresses')
    .max(255, expected('at most 255 addresses; more go into excludedAddresses'))
    .optional(),
  excludedAddresses: list(anyAddress(), 'addresses').optional(),
  routes: routeLines().optional(),
  rules: ruleLines().optional(),
  garp: garp.optional(),
  track: list(track, 'ports and trackers').optional(),
  notify: notify.optional(),
});

const common = { name: title(), weight: weight().optional(), reverse: flag().optional() };
const tracker = z.discriminatedUnion(
  'type',
  [
    section({
      ...common,
      type: z.literal('script'),
      script: script(),
      interval: time(10e3).optional(),
      timeout: time(10e3).optional(),
      rise: integer(1, 1_000).optional(),
      fall: integer(1, 1_000).optional(),
      initFail: flag().optional(),
    }),
    section({
      ...common,
      weight: weight(2_147_483_647).optional(),
      type: z.literal('file'),
      path: absolute(),
    }),
    section({
      ...common,
      type: z.literal('process'),
      process: word('the name of a program', /^.{1,255}$/),
      fullCommand: flag().optional(),
      arguments: list(z.string(expected('an argument')), 'arguments').optional(),
      partial: flag().optional(),
      quorum: integer(1, 65_535).optional(),
      quorumMax: integer(0, 65_535).optional(),
      terminateDelay: time().optional(),
      forkDelay: time().optional(),
    }),
    section({
      ...common,
      type: z.literal('bfd'),
      neighbour: anyAddress(),
      socket: absolute().optional(),
    }),
    section({
      ...common,
      type: z.literal('mempool'),
      free: integer(1, 99, 'percent of the packet buffers').optional(),
    }),
  ],
  expected('a tracker of type script, file, process, bfd or mempool'),
);

export const vrrp = section({
  lease: duration('a time from 100ms to 1m', 's', 100e3, 60e6).optional(),
  startDelay: time().optional(),
  notifyFifo: absolute().optional(),
  instances: list(instance, 'instances').optional(),
  groups: list(
    section({
      name: title(),
      instances: list(title(), 'names of instances').min(1, expected('at least one instance')),
      notify: notify.optional(),
    }),
    'groups',
  ).optional(),
  trackers: list(tracker, 'trackers').optional(),
});
