/** UDP_CHECK: no ICMP error comes back, or (require_reply) a reply of the right length and bytes. */
import { randomBytes } from 'node:crypto';
import type { UdpCheck } from '../model.js';
import { failure, type Outcome, type Probe } from './checker.js';
import { converse } from './datagram.js';

const RANDOM_BYTES = 24;

export const udp: Probe<UdpCheck> = (check, target, _step, signal) =>
  converse(check, target, signal, {
    kind: 'udp',
    payload: check.payload === undefined ? randomBytes(RANDOM_BYTES) : fromHex(check.payload),
    judge: (reply) => judgeReply(check, reply),
    silence: check.requireReply ? failure('no reply') : { ok: true, detail: 'no ICMP error' },
  });

function fromHex(text: string): Uint8Array {
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

export function judgeReply(check: UdpCheck, reply: Uint8Array): Outcome {
  const good = { ok: true, detail: `reply of ${reply.length} bytes` };
  if (!check.requireReply) return good;
  if (reply.length < check.minReplyLength || reply.length > check.maxReplyLength) {
    return failure(`reply of ${reply.length} bytes`);
  }
  const wanted = (check.reply ?? '').replace(/\s/g, '').toLowerCase();
  const got = Buffer.from(reply).toString('hex');
  const reach = Math.min(wanted.length, got.length);
  for (let at = 0; at < reach; at++) {
    if (wanted[at] !== 'x' && wanted[at] !== got[at]) {
      return failure(`reply differs at byte ${at >> 1}`);
    }
  }
  return good;
}
