/** Connections of the checkers that make one: from the address, port, interface and mark asked for. */
import { connect, Socket } from 'node:net';
import { keepsPort } from '../../config/model.js';
import { tunnelNumber } from '../../config/tunnel.js';
import { native, type SocketOptions } from '../../native.js';
import type { Connecting } from '../model.js';
import { afterPending, failure, failureOf, type Outcome, type Target } from './checker.js';

export function destination(check: Connecting, { server }: Target) {
  return { address: check.connectIp ?? server.address, port: check.connectPort ?? server.port };
}

/** How the packets reach the VIP; undefined: they go to the server's own address. */
export function passageOf(check: Connecting, target: Target): SocketOptions['passage'] {
  const { mode, service } = target;
  if (!check.toVip || !keepsPort(mode)) return undefined;
  return {
    server: destination(check, target).address,
    vip: service.address,
    tunnel: mode === 'tun' ? tunnelNumber(target.tunnel) : 0,
    ms: PATIENCE * check.connectTimeoutMs,
  };
}

/** A TCP socket on its way; `connect` or `error` follows. */
export function startConnection(check: Connecting, target: Target): Socket {
  const { address, port } = destination(check, target);
  const passage = passageOf(check, target);
  if (check.fwmark === 0 && check.bindInterface === undefined && !passage) {
    const { bindTo: localAddress, bindPort: localPort } = check;
    return connect({ host: address, port, localAddress, localPort, autoSelectFamily: false });
  }
  // Node sets neither a mark nor an interface.
  const fd = native().openSocket({
    kind: 'tcp',
    mark: check.fwmark,
    interface: check.bindInterface,
    address: check.bindTo,
    port: check.bindPort,
    ...(passage && { passage }),
  });
  return new Socket({ fd }).connect({ host: address, port, autoSelectFamily: false });
}

/** A check is given up after so many times its `connectTimeoutMs`, however the server keeps it busy. */
export const PATIENCE = 4;

/**
 * Connects and gives the socket to `talk`, which says the outcome with `done`. Whatever happens the
 * socket is gone afterwards. Silence for `connectTimeoutMs` is a failure at any stage.
 */
export function withConnection(
  check: Connecting,
  target: Target,
  signal: AbortSignal,
  talk: (socket: Socket, done: (outcome: Outcome) => void) => void,
): Promise<Outcome> {
  return new Promise((resolve) => {
    let socket: Socket;
    try {
      socket = startConnection(check, target);
    } catch (error) {
      resolve(failureOf(error));
      return;
    }
    const done = (outcome: Outcome) => {
      clearTimeout(limit);
      signal.removeEventListener('abort', abort);
      socket.destroy();
      resolve(outcome);
    };
    const abort = () => done(failure('given up'));
    const late = afterPending(() => done(failure('timed out')));
    const limit = setTimeout(late, PATIENCE * check.connectTimeoutMs);
    socket.setTimeout(check.connectTimeoutMs, late);
    socket.on('error', (error) => done(failureOf(error)));
    socket.once('connect', () => talk(socket, done));
    signal.addEventListener('abort', abort, { once: true });
  });
}
