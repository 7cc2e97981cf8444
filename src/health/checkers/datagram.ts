/** Connected datagram sockets: an ICMP error about what was sent comes back as an error of theirs. */
import { createSocket, type Socket } from 'node:dgram';
import { isSix } from '../../config/address.js';
import { native } from '../../native.js';
import type { Connecting } from '../model.js';
import { afterPending, failure, failureOf, type Outcome, type Target, wordsOf } from './checker.js';
import { destination, passageOf } from './connection.js';

export interface Conversation {
  kind: 'udp' | 'icmp';
  payload: Uint8Array;
  /** The outcome that a reply is; undefined: not ours, wait for another. */
  judge(reply: Buffer): Outcome | undefined;
  /** When nothing has come within `connectTimeoutMs`. */
  silence: Outcome;
}

/** Sends one datagram and waits for what comes of it. The socket is gone afterwards. */
export function converse(
  check: Connecting,
  target: Target,
  signal: AbortSignal,
  { kind, payload, judge, silence }: Conversation,
): Promise<Outcome> {
  const { address, port } = destination(check, target);
  return new Promise((resolve) => {
    const socket = createSocket(isSix(address) ? 'udp6' : 'udp4');
    let settled = false;
    const done = (outcome: Outcome) => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      signal.removeEventListener('abort', abort);
      socket.removeAllListeners();
      // A late error of a closed socket is nobody's business.
      socket.on('error', () => {});
      socket.close();
      resolve(outcome);
    };
    const abort = () => done(failure('given up'));
    const limit = setTimeout(
      afterPending(() => done(silence)),
      check.connectTimeoutMs,
    );
    signal.addEventListener('abort', abort, { once: true });
    socket.on('error', (error) => done(failureOf(error)));
    socket.on('message', (reply) => {
      const outcome = judge(reply);
      if (outcome) done(outcome);
    });
    const send = () => {
      // An echo socket has no port; Node wants one all the same.
      socket.connect(kind === 'icmp' ? 1 : port, address, () => {
        socket.send(payload, (error) => {
          if (error) done(failure(wordsOf(error)));
        });
      });
    };
    try {
      bind(socket, kind, check, target, send);
    } catch (error) {
      done(failureOf(error));
    }
  });
}

function bind(
  socket: Socket,
  kind: 'udp' | 'icmp',
  check: Connecting,
  target: Target,
  then: () => void,
): void {
  const passage = passageOf(check, target);
  const plain = check.fwmark === 0 && check.bindInterface === undefined && !passage;
  if (kind === 'udp' && plain) {
    socket.bind({ address: check.bindTo, port: check.bindPort ?? 0 }, then);
    return;
  }
  const fd = native().openSocket({
    kind,
    mark: check.fwmark,
    interface: check.bindInterface,
    address: check.bindTo,
    port: check.bindPort,
    ...(passage && { passage }),
  });
  socket.bind({ fd }, then);
}
