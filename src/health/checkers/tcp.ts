/** TCP_CHECK: the server accepts a connection. */
import type { TcpCheck } from '../model.js';
import type { Probe } from './checker.js';
import { withConnection } from './connection.js';

export const tcp: Probe<TcpCheck> = (check, target, _step, signal) =>
  withConnection(check, target, signal, (_socket, done) => done({ ok: true, detail: 'connected' }));
