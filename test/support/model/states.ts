/**
 * LVS's TCP states as the model keeps them: written as sentences on events, checked against what a
 * real Linux IPVS shows (`ipvsadm -lnc`).
 */
import { type ConnectionState, STATES } from '../../../src/native.js';

export type TcpEvent = 'syn' | 'fin' | 'ack' | 'rst' | 'none';

/** Which directions the director sees: DR, TUN and ENAT only ever see requests. */
export type Sight = 'request' | 'reply' | 'requestOnly';

/** RST before SYN before FIN before ACK, as LVS reads the flags. */
export function tcpEvent(flags: string): TcpEvent {
  if (flags.includes('R')) return 'rst';
  if (flags.includes('S')) return 'syn';
  if (flags.includes('F')) return 'fin';
  if (flags.includes('A')) return 'ack';
  return 'none';
}

type Rule = (from: ConnectionState) => ConnectionState;

const RULES: Record<Sight, Record<Exclude<TcpEvent, 'none'>, Rule>> = {
  request: {
    syn: (from) => (from === 'ESTABLISHED' || from === 'SYN_SENT' ? 'ESTABLISHED' : 'SYN_RECV'),
    fin: (from) => {
      if (from === 'NONE') return 'CLOSE';
      if (from === 'ESTABLISHED') return 'CLOSE_WAIT';
      return ['SYN_RECV', 'FIN_WAIT', 'SYNACK'].includes(from) ? 'TIME_WAIT' : from;
    },
    ack: (from) => {
      if (['NONE', 'SYN_RECV', 'SYNACK'].includes(from)) return 'ESTABLISHED';
      return from === 'LAST_ACK' ? 'CLOSE' : from;
    },
    rst: (from) => {
      if (from === 'SYN_RECV' || from === 'SYNACK') return 'SYN_RECV';
      return from === 'LAST_ACK' || from === 'LISTEN' ? from : 'CLOSE';
    },
  },
  reply: {
    syn: (from) => {
      if (from === 'SYNACK') return 'SYN_RECV';
      return ['ESTABLISHED', 'SYN_RECV', 'LISTEN'].includes(from) ? from : 'SYN_SENT';
    },
    fin: (from) => {
      if (from === 'ESTABLISHED') return 'FIN_WAIT';
      return ['NONE', 'SYN_RECV', 'CLOSE_WAIT', 'SYNACK'].includes(from) ? 'TIME_WAIT' : from;
    },
    ack: (from) => (['NONE', 'SYN_RECV', 'SYNACK', 'LISTEN'].includes(from) ? 'ESTABLISHED' : from),
    rst: (from) => (from === 'SYN_SENT' || from === 'TIME_WAIT' ? from : 'CLOSE'),
  },
  requestOnly: {
    syn: (from) => RULES.request.syn(from),
    fin: (from) =>
      from === 'ESTABLISHED' || from === 'FIN_WAIT' ? 'FIN_WAIT' : RULES.request.fin(from),
    ack: (from) => RULES.request.ack(from),
    rst: (from) => (from === 'SYNACK' ? 'CLOSE' : RULES.request.rst(from)),
  },
};

/** A segment without any of the four flags closes. */
export function nextState(from: ConnectionState, sight: Sight, event: TcpEvent): ConnectionState {
  return event === 'none' ? 'CLOSE' : RULES[sight][event](from);
}

/** States in which ipvsadm counts a connection as ActiveConn. */
export function isActive(state: ConnectionState): boolean {
  return ['ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'SYNACK'].includes(state);
}

/** SCTP's states are the last, and one of them is called as one of TCP's. */
export function timeoutOf(state: ConnectionState, timeouts: number[], protocol: number): number {
  const at = protocol === 132 ? STATES.lastIndexOf(state) : STATES.indexOf(state);
  return timeouts[at] as number;
}
