/** Seeds of the pipeline fuzzer over IPv6: see seeds.ts. */
import { concat, u16, u32 } from '../support/bytes.js';
import * as p from '../support/packet.js';
import * as six from '../support/packet6.js';
import { sctp6 } from '../support/sctp.js';
import {
  ANSWER,
  back,
  front,
  MINUTE_LATER,
  NEW_BURST,
  RETURN_COOKIE,
  SECOND_LATER,
} from './record.js';

const CLIENT = '2001:db8:c::2';
const TCP_CLIENT = `[${CLIENT}]:40000`;
const UDP_CLIENT = `[${CLIENT}]:4000`;
const BACK = '2001:db8:2::1';
const ROUTER = '2001:db8:2::fe';
const SERVERS = ['2001:db8:2::b', '2001:db8:2::c'];
const hex = (number: number) => number.toString(16);

const TOO_BIG = 2;
const HOP_BY_HOP = { kind: 0, body: Uint8Array.of(1, 4, 0, 0, 0, 0) };
const DESTINATION = { kind: 60, body: Uint8Array.of(1, 4, 0, 0, 0, 0) };

function requests(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `[${vip}]:80` };
  const udp = { from: UDP_CLIENT, to: `[${vip}]:53` };
  const options = [p.mss(1440), p.sackOk, p.timestamps(1, 0), p.nop, p.wscale(7)];
  const quote = six.tcp6({ from: `[${vip}]:80`, to: TCP_CLIENT, flags: 'PA', payload: 'x' });
  return [
    front(six.tcp6({ ...tcp, flags: 'S', seq: 1000, options })),
    back(six.tcp6({ ...tcp, flags: 'SA', seq: 5000, ack: 1001, options }), ANSWER),
    front(six.tcp6({ ...tcp, flags: 'A', seq: 1001, ack: 5001, extensions: [DESTINATION] })),
    front(six.tcp6({ ...tcp, flags: 'PA', seq: 1001, ack: 5001, payload: p.pattern(1440) })),
    front(six.udp6({ ...udp, payload: 'query', trafficClass: 0x2e, flow: 0xabcde })),
    back(six.udp6({ ...udp, payload: 'answer' }), ANSWER),
    front(six.udp6({ ...udp, payload: 'query', extensions: [HOP_BY_HOP] })),
    front(six.udp6({ ...udp, payload: p.pattern(1452) })),
    front(sctp6({ from: TCP_CLIENT, to: `[${vip}]:80`, chunks: ['INIT'] })),
    front(sctp6({ from: TCP_CLIENT, to: `[${vip}]:80`, chunks: ['COOKIE-ECHO', 'ABORT'] })),
    front(six.icmp6({ from: CLIENT, to: vip, type: 128, payload: p.pattern(40) })),
    front(six.icmp6Error({ from: CLIENT, to: vip, type: 1, code: 1, quote })),
    front(six.solicitation({ from: '2001:db8:1::fe', to: vip, target: vip })),
  ];
}

function replies(server: string, mode: number): Uint8Array[] {
  const port = 8000 + mode;
  const request = six.tcp6({
    from: TCP_CLIENT,
    to: `[2001:db8:f::${hex(10 + mode)}]:80`,
    flags: 'A',
  });
  const inner = six.ip6Of(request);
  const wrapped = (protocol: number, shim: number[]) =>
    six.ip6Frame({ from: BACK, to: server }, protocol, concat(Uint8Array.from(shim), inner));
  const tunnels = [
    wrapped(41, []),
    wrapped(47, [0x80, 0, 0x86, 0xdd, 0, 0, 0, 0]),
    wrapped(17, [0x80, 0, 0x17, 0xc0, 0, 100, 0, 0, 0, 41, 0, 0]),
  ];
  const quote = six.udp6({ from: UDP_CLIENT, to: `[${server}]:${port}`, payload: 'query' });
  const options = [p.mss(1440)];
  return [
    back(
      six.tcp6({ from: `[${server}]:${port}`, to: TCP_CLIENT, flags: 'SA', seq: 5000, options }),
    ),
    back(six.udp6({ from: `[${server}]:${port}`, to: UDP_CLIENT, payload: 'answer' })),
    back(sctp6({ from: `[${server}]:${port}`, to: TCP_CLIENT, chunks: ['INIT-ACK'] })),
    back(six.icmp6Error({ from: ROUTER, to: CLIENT, type: 3, code: 0, quote })),
    ...tunnels.map((tunnel) =>
      back(
        six.icmp6Error({ from: server, to: BACK, type: TOO_BIG, rest: u32(1400), quote: tunnel }),
      ),
    ),
  ];
}

function endings(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `[${vip}]:80` };
  return [
    front(six.tcp6({ ...tcp, flags: 'A', hops: 1 })),
    front(six.tcp6({ ...tcp, flags: 'FA', seq: 2000 })),
    front(six.tcp6({ ...tcp, flags: 'S', seq: 9000 }), MINUTE_LATER),
    front(six.tcp6({ ...tcp, flags: 'RA' })),
    front(six.tcp6({ from: `[${CLIENT}]:1`, to: `[${vip}]:81`, flags: 'S' })),
    front(six.udp6({ from: `[${CLIENT}]:1`, to: `[${vip}]:81`, payload: 'nobody' })),
  ];
}

/** A UDP datagram of three fragments, in order, backwards, and behind other extension headers. */
function fragments(vip: string): Uint8Array[] {
  const whole = six.udp6({ from: UDP_CLIENT, to: `[${vip}]:53`, payload: p.pattern(2000) });
  const bytes = six.ip6Of(whole).subarray(40);
  const parts = (before: (typeof HOP_BY_HOP)[], id: number) =>
    [0, 800, 1600].map((start) => {
      const body = concat(u16(start | (start < 1600 ? 1 : 0)), u32(id));
      const extensions = [...before, { kind: 44, body }];
      const part = bytes.subarray(start, Math.min(start + 800, bytes.length));
      return front(six.ip6Frame({ from: CLIENT, to: vip, extensions }, 17, part));
    });
  return [...parts([], 77), ...parts([], 78).reverse(), ...parts([HOP_BY_HOP, DESTINATION], 79)];
}

/** A connection of the SYN proxy, data both ways included, and one whose server is silent. */
function proxied(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `[${vip}]:80` };
  const options = [p.mss(1440), p.sackOk, p.nop, p.wscale(9)];
  const returned = RETURN_COOKIE | NEW_BURST;
  const opened = [
    front(six.tcp6({ ...tcp, flags: 'S', seq: 1000, options })),
    front(six.tcp6({ ...tcp, flags: 'A', seq: 1001 }), returned),
  ];
  const blocks = [p.nop, p.nop, p.sack(1, 2, 3, 4)];
  return [
    ...opened,
    back(six.tcp6({ ...tcp, flags: 'SA', seq: 5000, ack: 1001, options }), ANSWER),
    front(six.tcp6({ ...tcp, flags: 'PA', seq: 1001, payload: 'data', options: blocks }), returned),
    back(six.tcp6({ ...tcp, flags: 'PA', seq: 5001, ack: 1005, payload: p.pattern(1440) }), ANSWER),
    front(six.tcp6({ ...tcp, flags: 'RA', seq: 1005 }), returned),
    ...opened,
    front(six.tcp6({ ...tcp, flags: 'A', seq: 1000 }), returned | SECOND_LATER),
    front(six.tcp6({ ...tcp, flags: 'A', seq: 1000 }), returned | MINUTE_LATER),
  ];
}

/** Name of each seed and its bytes. */
export function seeds6(): Map<string, Uint8Array> {
  const all = new Map<string, Uint8Array>();
  ['nat', 'dr', 'tun', 'fullnat'].forEach((name, mode) => {
    const vip = `2001:db8:f::${hex(10 + mode)}`;
    const conversation = [
      ...requests(vip),
      ...SERVERS.flatMap((server) => replies(server, mode)),
      ...endings(vip),
    ];
    all.set(`${name}6`, concat(...conversation));
    all.set(`${name}6-fragments`, concat(...fragments(vip)));
  });
  all.set('proxied6-nat', concat(...proxied(`2001:db8:f::${hex(20)}`)));
  all.set('proxied6-fullnat', concat(...proxied(`2001:db8:f::${hex(23)}`)));
  return all;
}
