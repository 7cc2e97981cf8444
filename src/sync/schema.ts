/** The `sync` block of director.yaml. */
import { address, duration, integer, oneOf, section, word } from '../config/kinds.js';

export const sync = section({
  protocol: oneOf(['sluice', 'ipvs']).optional(),
  role: oneOf(['both', 'master', 'backup']).optional(),
  interface: word('the name of an interface such as slback', /^[^\s/]{1,15}$/),
  peer: address().optional(),
  group: address().optional(),
  port: integer(1, 65535, 'a port number').optional(),
  ttl: integer(1, 255).optional(),
  key: word('an absolute path', /^\/./).optional(),
  syncid: integer(0, 255).optional(),
  after: duration('a time up to 60 s such as 100ms', undefined, 0, 60e6).optional(),
  refresh: duration('a time from 100ms to 1h', 's', 1e5, 3600e6).optional(),
  rate: integer(1000, 100_000_000, 'connections a second').optional(),
  datagram: integer(128, 65507, 'a number of bytes').optional(),
  share: integer(0, 1).optional(),
});
