/** DNS_CHECK: a query over UDP is answered without an error code and with an answer (RFC 1035). */
import { randomInt } from 'node:crypto';
import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { DnsCheck } from '../model.js';
import { failure, type Outcome, type Probe } from './checker.js';
import { converse } from './datagram.js';

export const dns: Probe<DnsCheck> = (check, target, _step, signal) => {
  const id = randomInt(0x1_0000);
  return converse(check, target, signal, {
    kind: 'udp',
    payload: encode({
      type: 'query',
      id,
      flags: RECURSION_DESIRED,
      questions: [{ type: check.queryType, name: check.name }],
    }),
    judge: (reply) => judgeReply(check, id, reply),
    silence: failure('no answer'),
  });
};

export function judgeReply(check: DnsCheck, id: number, reply: Buffer): Outcome | undefined {
  let packet: DecodedPacket & { rcode?: string };
  try {
    packet = decode(reply);
  } catch {
    return failure('answer is not a DNS message');
  }
  // A late answer to an earlier question from the same port, or a forged one.
  if (packet.id !== id || packet.type !== 'response') return undefined;
  if (packet.rcode !== 'NOERROR') return failure(`answer is ${packet.rcode}`);
  const answers = packet.answers ?? [];
  if (answers.length === 0) return failure('answer is empty');
  const texts = answers.map(textOf);
  if (check.answer !== undefined && !texts.some((text) => text.includes(check.answer as string))) {
    return failure(`answer is '${texts.join(', ').slice(0, 80)}'`);
  }
  return { ok: true, detail: `${answers.length} answers` };
}

function textOf(answer: Answer): string {
  const { data } = answer as { data?: unknown };
  if (typeof data === 'string') return data;
  if (Buffer.isBuffer(data)) return data.toString();
  if (Array.isArray(data)) return data.map(String).join('');
  return JSON.stringify(data ?? '');
}
