/**
 * Seeds of the pipeline fuzzer: a conversation a mode, against the director that
 * native/fuzz/fixture.h sets up. IPv4's here, IPv6's in seeds6.ts.
 */
import * as p from '../support/packet.js';
import { sctp } from '../support/sctp.js';
import {
  ANSWER,
  back,
  front,
  MINUTE_LATER,
  NEW_BURST,
  RETURN_COOKIE,
  SECOND_LATER,
} from './record.js';
import { seeds6 } from './seeds6.js';

const CLIENT = '198.18.0.2';
const SERVERS = ['198.51.100.11', '198.51.100.12'];
const TCP_CLIENT = `${CLIENT}:40000`;
const UDP_CLIENT = `${CLIENT}:4000`;

function requests(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `${vip}:80` };
  const udp = { from: UDP_CLIENT, to: `${vip}:53` };
  const options = [p.mss(1460), p.sackOk, p.timestamps(1, 0), p.nop, p.wscale(7)];
  return [
    front(p.tcp({ ...tcp, flags: 'S', seq: 1000, options })),
    back(p.tcp({ ...tcp, flags: 'SA', seq: 5000, ack: 1001, options }), ANSWER),
    front(p.tcp({ ...tcp, flags: 'A', seq: 1001, ack: 5001 })),
    front(p.tcp({ ...tcp, flags: 'PA', seq: 1001, ack: 5001, df: true, payload: p.pattern(1460) })),
    front(p.udp({ ...udp, payload: 'query' })),
    back(p.udp({ ...udp, payload: 'answer' }), ANSWER),
    front(p.udp({ ...udp, payload: 'query', checksum: 'none' })),
    front(p.udp({ ...udp, payload: 'query', checksum: 'partial' })),
    front(p.udp({ ...udp, payload: p.pattern(1472) })),
    front(p.udp({ ...udp, payload: 'options', ipOptions: [Uint8Array.of(7, 7, 4, 0, 0, 0, 0)] })),
    front(sctp({ from: TCP_CLIENT, to: `${vip}:80`, chunks: ['INIT'] })),
    front(sctp({ from: TCP_CLIENT, to: `${vip}:80`, chunks: ['COOKIE-ECHO', 'ABORT'] })),
    front(p.echo({ from: CLIENT, to: vip })),
    front(
      p.icmpError({
        from: CLIENT,
        to: vip,
        type: 3,
        code: 1,
        quote: p.tcp({ from: `${vip}:80`, to: TCP_CLIENT, flags: 'PA', payload: 'x' }),
      }),
    ),
  ];
}

function replies(server: string, mode: number): Uint8Array[] {
  const port = 8000 + mode;
  const inner = p.tcp({ from: TCP_CLIENT, to: `203.0.113.${10 + mode}:80`, flags: 'A' });
  const outer = p.ip({ from: '198.51.100.1', to: server }, 4, p.ipOf(inner));
  const wrapped = (protocol: number, shim: number[]) =>
    p.ip(
      { from: '198.51.100.1', to: server },
      protocol,
      p.concat(Uint8Array.from(shim), p.ipOf(inner)),
    );
  const gre = wrapped(47, [0x80, 0, 8, 0, 0, 0, 0, 0]);
  const gue = wrapped(17, [0x80, 0, 0x17, 0xc0, 0, 100, 0, 0, 0, 4, 0, 0]);
  const tooBig = { from: server, to: '198.51.100.1', type: 3, code: 4, mtu: 1400 };
  const options = [p.mss(1460)];
  return [
    back(p.tcp({ from: `${server}:${port}`, to: TCP_CLIENT, flags: 'SA', seq: 5000, options })),
    back(p.udp({ from: `${server}:${port}`, to: UDP_CLIENT, payload: 'answer' })),
    back(sctp({ from: `${server}:${port}`, to: TCP_CLIENT, chunks: ['INIT-ACK'] })),
    back(
      p.icmpError({
        from: '198.51.100.254',
        to: CLIENT,
        type: 11,
        code: 0,
        quote: p.udp({ from: UDP_CLIENT, to: `${server}:${port}`, payload: 'query' }),
      }),
    ),
    ...[outer, gre, gue].map((quote) => back(p.icmpError({ ...tooBig, quote }))),
  ];
}

function endings(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `${vip}:80` };
  return [
    front(p.tcp({ ...tcp, flags: 'A', ttl: 1 })),
    front(p.tcp({ ...tcp, flags: 'FA', seq: 2000 })),
    front(p.tcp({ ...tcp, flags: 'S', seq: 9000 }), MINUTE_LATER),
    front(p.tcp({ ...tcp, flags: 'RA' })),
    front(p.tcp({ from: `${CLIENT}:1`, to: `${vip}:81`, flags: 'S' })),
    front(p.udp({ from: `${CLIENT}:1`, to: `${vip}:81`, payload: 'nobody' })),
    front(p.arp({ op: 1, senderMac: '02:00:00:00:00:fe', sender: '192.0.2.254', target: vip })),
  ];
}

/** A UDP datagram of three fragments, in order and backwards. */
function fragments(vip: string): Uint8Array[] {
  const whole = p.ipOf(p.udp({ from: UDP_CLIENT, to: `${vip}:53`, payload: p.pattern(2000) }));
  const parts = [0, 800, 1600].map((start) =>
    front(
      p.ip(
        {
          from: CLIENT,
          to: vip,
          id: 77,
          mf: start < 1600,
          fragmentOffset: start / 8,
        },
        17,
        whole.subarray(20 + start, Math.min(20 + start + 800, whole.length)),
      ),
    ),
  );
  return [...parts, ...[...parts].reverse()];
}

/** A connection of the SYN proxy, data both ways included, and one whose server is silent. */
function proxied(vip: string): Uint8Array[] {
  const tcp = { from: TCP_CLIENT, to: `${vip}:80` };
  const options = [p.mss(1460), p.sackOk, p.nop, p.wscale(9)];
  const returned = RETURN_COOKIE | NEW_BURST;
  const synAck = p.tcp({ ...tcp, flags: 'SA', seq: 5000, ack: 1001, options });
  const opened = [
    front(p.tcp({ ...tcp, flags: 'S', seq: 1000, options })),
    front(p.tcp({ ...tcp, flags: 'A', seq: 1001 }), returned),
  ];
  const blocks = [p.nop, p.nop, p.sack(1, 2, 3, 4)];
  return [
    ...opened,
    front(p.tcp({ ...tcp, flags: 'PA', seq: 1001, payload: 'early' }), returned),
    back(synAck, ANSWER),
    back(synAck, ANSWER),
    front(p.tcp({ ...tcp, flags: 'PA', seq: 1001, payload: 'data', options: blocks }), returned),
    back(p.tcp({ ...tcp, flags: 'PA', seq: 5001, ack: 1005, payload: p.pattern(1460) }), ANSWER),
    front(p.tcp({ ...tcp, flags: 'RA', seq: 1005 }), returned),
    ...opened,
    front(p.tcp({ ...tcp, flags: 'A', seq: 1000 }), returned | SECOND_LATER),
    front(p.tcp({ ...tcp, flags: 'A', seq: 1000 }), returned | MINUTE_LATER),
  ];
}

/** Name of each seed and its bytes. */
export function seeds(): Map<string, Uint8Array> {
  const all = seeds6();
  ['nat', 'dr', 'tun', 'fullnat', 'enat'].forEach((name, mode) => {
    const vip = `203.0.113.${10 + mode}`;
    const conversation = [
      ...requests(vip),
      ...SERVERS.flatMap((server) => replies(server, mode)),
      ...endings(vip),
    ];
    all.set(name, p.concat(...conversation));
    all.set(`${name}-fragments`, p.concat(...fragments(vip)));
  });
  all.set('proxied-nat', p.concat(...proxied('203.0.113.20')));
  all.set('proxied-fullnat', p.concat(...proxied('203.0.113.23')));
  return all;
}
