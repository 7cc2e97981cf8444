/** One TCP and one UDP exchange, field by field: what the tables of all modes are about. */

import type { TcpFields, UdpFields } from './packet.js';
import * as p from './packet.js';

export const CIP = '198.18.0.2';
export const VIP = '203.0.113.10';
export const RIP = '198.51.100.11';
/** Local addresses (LIP) of FullNAT and ENAT. */
export const LIP = '198.51.100.200';
export const C = `${CIP}:40000`;
export const V = `${VIP}:80`;
export const R = `${RIP}:8080`;
export const CLIENT_SIDE_ROUTER = '192.0.2.77';
export const SERVER_SIDE_ROUTER = '198.51.100.99';

export const syn: TcpFields = {
  from: C,
  to: V,
  flags: 'S',
  seq: 0x11223344,
  options: [p.mss(1460), p.sackOk, p.timestamps(100, 0), p.nop, p.wscale(7)],
  ttl: 61,
  id: 0xbeef,
  df: true,
  tos: 0x2b,
  window: 29200,
};
export const synAck: TcpFields = {
  from: R,
  to: C,
  flags: 'SA',
  seq: 0x55667788,
  ack: 0x11223345,
  options: [p.mss(1460), p.sackOk, p.timestamps(900, 100), p.nop, p.wscale(9)],
  id: 0,
  df: true,
  window: 28960,
};
export const data: TcpFields = {
  from: C,
  to: V,
  flags: 'PA',
  seq: 0x11223345,
  ack: 0x55667789,
  options: [p.nop, p.nop, p.timestamps(101, 900)],
  payload: p.pattern(333),
  id: 7,
};
/** The client's first ACK. */
export const firstAck: TcpFields = { ...data, flags: 'A', payload: '' };
/** Data of a client that has had an answer already. */
export const later: TcpFields = { ...data, seq: 0x11223345 + 333, ack: 0x55667789 + 100 };
export const answer: TcpFields = {
  ...data,
  from: R,
  to: C,
  seq: 0x55667789,
  ack: 0x11223345 + 333,
};
export const query: UdpFields = { from: C, to: V, payload: p.pattern(41), id: 0x0101, tos: 0x14 };
export const response: UdpFields = {
  from: R,
  to: C,
  payload: p.pattern(120, 3),
  id: 0x0202,
  df: true,
};

/** TOS of a generated ICMP error about a packet with this TOS, as Linux has it. */
export const icmpTos = (tos = 0) => 0xc0 | (tos & 0x1e);
