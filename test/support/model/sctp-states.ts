/**
 * LVS's SCTP states as the model keeps them: sentences on chunks, checked against what a real Linux
 * IPVS shows (test/oracle).
 */
import type { ConnectionState } from '../../../src/native.js';
import type { Chunk } from '../sctp.js';
import type { Sight } from './states.js';

/** Before both ends have agreed, in the order that a handshake goes through them. */
const SETTING_UP = ['INIT1', 'INIT', 'C-SENT', 'C-REPLIED', 'C-WAIT', 'COOKIE', 'C-ECHOED'];
const upTo = (last: ConnectionState) => SETTING_UP.slice(0, SETTING_UP.indexOf(last) + 1);

function fromClient(from: ConnectionState, chunk: Chunk, alone: boolean): ConnectionState {
  const asking = upTo('C-WAIT').includes(from);
  switch (chunk) {
    case 'INIT':
      if (['INIT1', 'INIT', 'REJECTED', 'CLOSED'].includes(from)) return 'INIT';
      return alone && asking ? 'INIT' : from;
    case 'INIT-ACK':
      if (alone) return asking ? 'C-ECHOED' : from;
      if (from === 'C-WAIT') return 'COOKIE';
      return upTo('INIT').includes(from) ? 'C-WAIT' : from;
    case 'COOKIE-ECHO':
      if (alone) return asking ? 'ESTABLISHED' : from;
      if (from === 'C-SENT') return 'C-REPLIED';
      return upTo('INIT').includes(from) ? 'INIT' : from;
    case 'COOKIE-ACK':
      if (from === 'C-ECHOED') return 'ESTABLISHED';
      return alone && ['C-SENT', 'C-REPLIED', 'COOKIE'].includes(from) ? 'ESTABLISHED' : from;
    case 'SHUTDOWN':
      return from === 'ESTABLISHED' ? 'S-RECEIVED' : from;
    case 'SHUTDOWN-ACK':
      if (upTo('INIT').includes(from)) return 'INIT';
      if (from === 'S-SENT' || from === 'S-ACK-SENT') return 'CLOSED';
      return alone && from === 'ESTABLISHED' ? 'CLOSED' : from;
    case 'SHUTDOWN-COMPLETE':
      if (upTo('INIT').includes(from) || from === 'S-ACK-SENT') return 'CLOSED';
      return alone && ['C-SENT', 'C-REPLIED', 'S-RECEIVED'].includes(from) ? 'CLOSED' : from;
    case 'ERROR':
      return !alone && from === 'C-ECHOED' ? 'CLOSED' : from;
    case 'ABORT':
      return from === 'C-WAIT' ? 'REJECTED' : 'CLOSED';
    default:
      return alone && from === 'C-WAIT' ? 'ESTABLISHED' : from;
  }
}

function fromServer(from: ConnectionState, chunk: Chunk): ConnectionState {
  const settingUp = SETTING_UP.includes(from);
  const answering = upTo('C-REPLIED').includes(from);
  switch (chunk) {
    case 'INIT':
      return from === 'ESTABLISHED' ? from : 'C-WAIT';
    case 'INIT-ACK':
      return upTo('INIT').includes(from) ? 'C-SENT' : from;
    case 'COOKIE-ECHO':
      return settingUp ? 'C-ECHOED' : from;
    case 'COOKIE-ACK':
      return settingUp ? 'ESTABLISHED' : from;
    case 'SHUTDOWN':
      return settingUp || from === 'ESTABLISHED' ? 'S-SENT' : from;
    case 'SHUTDOWN-ACK':
      return answering || from === 'S-SENT' || from === 'S-RECEIVED' ? 'S-ACK-SENT' : from;
    case 'ERROR':
      return answering ? 'CLOSED' : from;
    case 'ABORT':
      return from === 'INIT1' ? 'REJECTED' : 'CLOSED';
    default:
      return from;
  }
}

export function nextSctpState(from: ConnectionState, sight: Sight, chunk: Chunk): ConnectionState {
  if (from === 'NONE') return 'INIT1';
  return sight === 'reply'
    ? fromServer(from, chunk)
    : fromClient(from, chunk, sight === 'requestOnly');
}
