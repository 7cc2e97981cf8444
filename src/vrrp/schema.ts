/** The `vrrp` block of director.yaml. */
import { z } from 'zod';
import {
  address,
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

const time = (lowUs = 0) =>
  duration('a time up to 1 hour: seconds, or such as 500ms', 's', lowUs, 3_600e6);

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
});

const weight = () => integer(-253, 253, 'a weight');

const track = section({
  port: name().optional(),
  tracker: name().optional(),
  weight: weight().optional(),
});

const instance = section({
  name: name(),
  port: name(),
  routerId: integer(1, 255),
  version: z.union([z.literal(2), z.literal(3)], expected('2 or 3')).optional(),
  priority: integer(1, 255).optional(),
  advertInterval: duration('a time from 10ms to 255s', 's', 10e3, 255e6).optional(),
  preempt: flag().optional(),
  preemptDelay: time().optional(),
  virtualMac: flag().optional(),
  sourceAddress: address().optional(),
  unicastPeers: list(address(), 'IPv4 addresses').optional(),
  password: word('a password of 1 to 8 printable characters', /^[\x21-\x7e]{1,8}$/).optional(),
  plainChecksum: flag().optional(),
  strict: flag().optional(),
  addresses: list(address(), 'IPv4 addresses')
    .min(1, expected('at least one address'))
    .max(20, expected('at most 20 addresses; more go into excludedAddresses')),
  excludedAddresses: list(address(), 'IPv4 addresses').optional(),
  garp: garp.optional(),
  track: list(track, 'ports and trackers').optional(),
  notify: notify.optional(),
});

const common = { name: name(), weight: weight().optional() };
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
    section({ ...common, type: z.literal('file'), path: word('an absolute path', /^\/./) }),
    section({
      ...common,
      type: z.literal('process'),
      process: word('the name of a program', /^[^\s/]{1,15}$/),
      quorum: integer(1, 65_535).optional(),
    }),
  ],
  expected('a tracker of type script, file or process'),
);

export const vrrp = section({
  lease: duration('a time from 100ms to 1m', 's', 100e3, 60e6).optional(),
  startDelay: time().optional(),
  notifyFifo: word('an absolute path', /^\/./).optional(),
  instances: list(instance, 'instances').optional(),
  groups: list(
    section({
      name: name(),
      instances: list(name(), 'names of instances').min(1, expected('at least one instance')),
      notify: notify.optional(),
    }),
    'groups',
  ).optional(),
  trackers: list(tracker, 'trackers').optional(),
});
