/** PING_CHECK: an echo request is answered (RFC 792). The kernel fills in identifier and checksum. */
import { randomBytes, randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import type { PingCheck } from '../model.js';
import { failure, type Probe, wordsOf } from './checker.js';
import { converse } from './datagram.js';

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
/** Who may open echo sockets: none by default, not even root. */
const GROUPS = '/proc/sys/net/ipv4/ping_group_range';

export const ping: Probe<PingCheck> = (check, target, _step, signal) => {
  try {
    allowEcho();
  } catch (error) {
    return Promise.resolve(failure(`${GROUPS}: ${wordsOf(error)}`));
  }
  const payload = Buffer.concat([Buffer.alloc(8), randomBytes(48)]);
  payload[0] = ECHO_REQUEST;
  payload.writeUInt16BE(randomInt(0x1_0000), 6);
  return converse(check, target, signal, {
    kind: 'icmp',
    payload,
    judge: (reply) =>
      reply[0] === ECHO_REPLY && reply.subarray(6).equals(payload.subarray(6))
        ? { ok: true, detail: 'echo reply' }
        : undefined,
    silence: failure('no echo reply'),
  });
};

let allowed = false;

/** As keepalived does: lets our group open echo sockets where the range excludes it. */
function allowEcho(): void {
  if (allowed) return;
  const group = process.getegid?.() ?? 0;
  const [low = 1, high = 0] = readFileSync(GROUPS, 'utf8').trim().split(/\s+/).map(Number);
  if (group < low || group > high) {
    const range = low > high ? [group, group] : [Math.min(low, group), Math.max(high, group)];
    writeFileSync(GROUPS, range.join(' '));
  }
  allowed = true;
}
