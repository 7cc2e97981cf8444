/** What a packet does to its connection's state. */
import { decisiveChunk } from '../sctp.js';
import type { Connection } from './connections.js';
import { type Fields, readSequence, tcpFlags } from './fields.js';
import { nextSctpState } from './sctp-states.js';
import { nextState, type Sight, tcpEvent } from './states.js';

export function progress(connection: Connection, fields: Fields, sight: Sight): void {
  if (fields.protocol === 17) {
    connection.state = 'UDP';
    return;
  }
  if (fields.protocol === 132) {
    const chunk = decisiveChunk(fields.body);
    if (chunk) connection.state = nextSctpState(connection.state, sight, chunk);
    return;
  }
  const flags = tcpFlags(fields);
  connection.state = nextState(connection.state, sight, tcpEvent(flags));
  const [seq, ack] = readSequence(fields);
  const answered = sight === 'reply' && flags.includes('S') && flags.includes('A');
  if (answered) connection.firstAck = (seq + 1) % 2 ** 32;
  // ENAT's replies are not seen: the client's first ACK tells, anew after each SYN.
  if (connection.mode === 'enat' && sight === 'requestOnly') {
    if (flags.includes('S')) connection.firstAck = undefined;
    else if (flags.includes('A')) connection.firstAck ??= ack;
  }
}

/** A SYN or INIT of a client whose old connection is over: LVS schedules it (conn_reuse_mode 1). */
export function beginsAnew(fields: Fields, { protocol, state }: Connection): boolean {
  if (protocol === 132) return state === 'CLOSED' && decisiveChunk(fields.body) === 'INIT';
  const over = state === 'TIME_WAIT' || state === 'CLOSE';
  if (protocol !== 6 || !over) return false;
  const flags = tcpFlags(fields);
  return flags.includes('S') && !flags.includes('R');
}
