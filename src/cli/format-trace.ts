/** A traced packet as lines for people. */
import type { TraceLine } from '../api/watch.js';
import { candidateTable } from './explain.js';

type Packet = Extract<TraceLine, { packet: unknown }>['packet'];

export function formatTraced(one: Packet): string {
  const { packet, candidates, choice, place, service } = one;
  const about = packet
    ? `${packet.outer ? `${packet.outer}, ` : ''}${packet.protocol} ${packet.from} → ${packet.to} ` +
      `${packet.what === '' ? '' : `${packet.what}, `}${packet.bytes} bytes`
    : 'a frame cut short';
  const lines = [`${clock(one.time)} ${one.port}: ${about}`];
  const last = one.steps.length - 1;
  one.steps.forEach((step, index) => {
    lines.push(`  ${index === last ? '= ' : ''}${step}`);
    const tabled = candidates.length > 0 && step.startsWith('no connection yet');
    if (tabled) lines.push(indented(candidateTable(candidates, choice ? [choice] : [])));
  });
  if (one.sent?.headers && one.rewrite) lines.push(`  ${before(one)}`, `  ${after(one)}`);
  if (place) lines.push(`  see ${place}`);
  else if (service?.place) lines.push(`  service ${service.name}: ${service.place}`);
  return `${lines.join('\n')}\n`;
}

function before({ packet }: Packet): string {
  if (!packet) return '';
  return `before ${tuple(packet)}`;
}

function after({ sent }: Packet): string {
  return sent?.headers ? `after  ${tuple(sent.headers)}` : '';
}

function tuple(headers: NonNullable<Packet['packet']> | NonNullable<Packet['sent']>['headers']) {
  if (!headers) return '';
  const { from, to, sourceMac, destinationMac, outer, ttl } = headers;
  const wrapped = outer ? `${outer} around ` : '';
  return `${wrapped}${from} → ${to}  ttl ${ttl ?? '-'}  ${sourceMac} → ${destinationMac}`;
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `      ${line}`)
    .join('\n');
}

/** Of the day, UTC, to the microsecond. */
export function clock(time: string): string {
  const ns = BigInt(time);
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(11, 19);
  return `${seconds}.${((ns / 1_000n) % 1_000_000n).toString().padStart(6, '0')}`;
}
