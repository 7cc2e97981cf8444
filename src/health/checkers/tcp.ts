/** TCP_CHECK: the server accepts a connection. */
import type { TcpCheck } from '../model.js';
import { failure, type Probe } from './checker.js';
import { ask } from './prober.js';

export const tcp: Probe<TcpCheck> = (check, target, _step, signal) =>
  ask(check, target, signal, '', judgeNothing);

const judgeNothing = () => failure('an answer to no question');
