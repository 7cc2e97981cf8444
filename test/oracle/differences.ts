// Where Sluice differs from Linux IPVS on purpose. Each is listed in the README in these words, and
// each is asserted: a difference that no longer shows, or shows otherwise, fails the test.

import { isDeepStrictEqual } from 'node:util';
import { checksum, concat, equalBytes, onesSum, readU16, u16 } from '../support/bytes.js';
import { dissect } from '../support/dissect.js';
import { sctpChecksum } from '../support/sctp.js';
import type { Listing, Reaction, Statistics } from './outcome.js';

export interface Difference {
  name: string;
  /** For the README. */
  sentence: string;
  /** Whether reactions that differ differ in this way. */
  is?: (ipvs: Reaction, sluice: Reaction) => boolean;
  isListing?: (ipvs: Listing, sluice: Listing) => boolean;
  isStatistics?: (ipvs: Statistics, sluice: Statistics) => boolean;
}

/** Offsets in a frame, the second where the IP header has no options. */
const IP = 14;
const ICMP = IP + 20;

const headerBytes = (frame: Uint8Array, ip: number) => ((frame[ip] ?? 0) & 15) * 4;

const QUOTED_CHECKSUM =
  'In an ICMP error that NAT translates, the quoted TCP or UDP checksum is made to fit the ' +
  'quoted addresses and ports too (RFC 5508 section 4.2); IPVS leaves it as it was.';

/** The upper layer of a whole IPv6 packet without extension headers. */
function sumsUp6(packet: Uint8Array): boolean {
  const length = readU16(packet, 4);
  const pseudo = concat(packet.subarray(8, 40), u16(0), u16(length), u16(0), u16(packet[6] ?? 0));
  return checksum(concat(pseudo, packet.subarray(40, 40 + length))) === 0;
}

export const differences: Difference[] = [
  {
    name: 'quoted-checksum',
    sentence: QUOTED_CHECKSUM,
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs.sent[0]?.bytes, sluice.sent[0]?.bytes];
      if (!theirs || !ours || ipvs.sent.length + sluice.sent.length !== 2) return false;
      const icmp = IP + headerBytes(ours, IP);
      const quote = icmp + 8;
      if (checksum(ours.subarray(icmp)) !== 0) return false;
      const at = quote + headerBytes(ours, quote) + (ours[quote + 9] === 6 ? 16 : 6);
      const fixed = Uint8Array.from(theirs);
      fixed.set(u16(adjusted(ipvs.input.bytes, ours, quote, at)), at);
      fixed.set(ours.subarray(icmp + 2, icmp + 4), icmp + 2);
      return equalBytes(fixed, ours);
    },
  },
  {
    name: 'quoted-checksum-ipv6',
    sentence: QUOTED_CHECKSUM,
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs.sent[0]?.bytes, sluice.sent[0]?.bytes];
      if (!theirs || !ours || ipvs.sent.length + sluice.sent.length !== 2) return false;
      const icmp = IP + 40;
      const quote = icmp + 8;
      const at = quote + 40 + (ours[quote + 6] === 6 ? 16 : 6);
      const fixed = Uint8Array.from(theirs);
      fixed.set(ours.subarray(at, at + 2), at);
      fixed.set(ours.subarray(icmp + 2, icmp + 4), icmp + 2);
      return equalBytes(fixed, ours) && sumsUp6(ours.subarray(IP)) && sumsUp6(ours.subarray(quote));
    },
  },
  {
    name: 'server-errors-ipv6',
    sentence:
      'An ICMPv6 error of a NAT server is translated for the client; IPVS looks at its checksum ' +
      'without the pseudo-header and drops it, unless the network card has vouched for it.',
    is: (ipvs, sluice) => ipvs.sent.length === 0 && sluice.sent[0]?.port === 'front',
  },
  {
    name: 'tunnel-fragments-ipv6',
    sentence:
      'An IPv6 datagram that came in fragments leaves in a tunnel packet a fragment; IPVS puts it ' +
      'into one tunnel packet, and that into fragments.',
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs, sluice].map(({ sent }) => sent.map(({ bytes }) => bytes));
      if (!theirs?.length || theirs.length !== ours?.length) return false;
      const outer = IP + 40;
      const whole = concat(...theirs.map((frame) => frame.subarray(outer + 8)));
      const pieces = ours.map((frame) => frame.subarray(outer + 40 + 8));
      return (
        theirs.every((frame) => frame[IP + 6] === 44 && frame[outer] === 41) &&
        ours.every((frame) => frame[IP + 6] === 41 && frame[outer + 6] === 44) &&
        equalBytes(whole.subarray(40), concat(...pieces)) &&
        equalBytes(whole.subarray(8, 40), (ours[0] as Uint8Array).subarray(outer + 8, outer + 40))
      );
    },
  },
  {
    name: 'sctp-checksum',
    sentence:
      'A wrong SCTP checksum stays as wrong as it was; where NAT changes a port IPVS computes it ' +
      'anew, which makes it right.',
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs.sent[0]?.bytes, sluice.sent[0]?.bytes];
      if (!theirs || !ours || ipvs.sent.length + sluice.sent.length !== 2) return false;
      const l4 = IP + headerBytes(ours, IP);
      const right = Uint8Array.from(ours);
      right.set(sctpChecksum(ours.subarray(l4)), l4 + 8);
      return equalBytes(right, theirs) && !equalBytes(ours, theirs);
    },
  },
  {
    name: 'record-route',
    sentence:
      'IP options of a client pass unchanged; IPVS writes the VIP into a record-route option and ' +
      'the time into a timestamp option.',
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs.sent[0]?.bytes, sluice.sent[0]?.bytes].map(innermost);
      const input = innermost(ipvs.input.bytes);
      if (!theirs || !ours || !input || ipvs.sent.length + sluice.sent.length !== 2) return false;
      const options = (packet: Uint8Array) => packet.subarray(20, (packet[0] as number) * 4 - 256);
      return (
        equalBytes(options(ours), options(input)) &&
        !equalBytes(options(theirs), options(input)) &&
        equalBytes(ours.subarray(28), theirs.subarray(28))
      );
    },
  },
  {
    name: 'plain-forwarding',
    sentence:
      "A real server's packets that belong to no connection go to the kernel by the port's TAP " +
      'twin, which forwards them or not; with IPVS the same kernel forwards them by itself.',
    is: (ipvs, sluice) => {
      const [theirs, ours] = [ipvs.sent[0], sluice.sent[0]];
      if (!theirs || !ours || ipvs.sent.length + sluice.sent.length !== 2) return false;
      const forwarded = Uint8Array.from(theirs.bytes);
      const { input } = ipvs;
      // But for the MACs, the TTL and its checksum, it is the packet that came.
      forwarded.set(input.bytes.subarray(0, 12), 0);
      forwarded.set(input.bytes.subarray(IP + 8, IP + 12), IP + 8);
      return (
        theirs.port === 'front' &&
        ours.port === 'kernel' &&
        equalBytes(forwarded, input.bytes) &&
        equalBytes(ours.bytes, input.bytes)
      );
    },
  },
  {
    name: 'left-to-the-kernel',
    sentence:
      "What IPVS's own kernel drops because it concerns no connection, Sluice leaves to the kernel " +
      'behind the TAP twin: unicast packets in broadcast frames, ICMP errors to an address of the ' +
      'director with too short a quote.',
    is: (ipvs, sluice) =>
      ipvs.sent.length === 0 &&
      sluice.sent.length === 1 &&
      sluice.sent[0]?.port === 'kernel' &&
      equalBytes(sluice.sent[0].bytes, ipvs.input.bytes),
  },
  {
    name: 'ftp-data',
    sentence:
      'A client whose source port is 20 is scheduled like any other; IPVS takes it for active FTP ' +
      'and leaves it to the local stack, which resets it.',
    is: (ipvs, sluice) =>
      dissect(ipvs.sent[0]?.bytes as Uint8Array).ip?.tcp?.flags === 'RA' &&
      sluice.end?.startsWith('forwarded_') === true,
  },
  {
    name: 'malformed-transport',
    sentence:
      'A TCP data offset or UDP length that cannot be is dropped and counted; IPVS forwards such ' +
      'packets, and makes connections of them.',
    is: (ipvs, sluice) =>
      ipvs.sent[0]?.port === 'back' && sluice.sent.length === 0 && sluice.end === 'bad_l4_header',
    isListing: (ipvs, sluice) => ipvs.connections.length === 1 && sluice.connections.length === 0,
  },
  {
    name: 'timestamp-request',
    sentence: 'An ICMP timestamp request to a VIP is dropped; a Linux director answers it.',
    is: (ipvs, sluice) =>
      ipvs.sent[0]?.bytes[ICMP] === 14 &&
      sluice.sent.length === 0 &&
      sluice.end === 'icmp_not_echo',
  },
  {
    name: 'tunnel-path-mtu',
    sentence:
      'An ICMP fragmentation-needed about a tunnel packet is told to the client with the right MTU ' +
      "at once and not remembered; IPVS tells the first client the device's MTU, then remembers, and " +
      'leaves out what GRE and GUE take of it.',
    is: (ipvs, sluice) => {
      const mtu = (of: Reaction) => readU16(of.sent[0]?.bytes as Uint8Array, ICMP + 6);
      const first = isError(ipvs, 3, 4) && isError(sluice, 3, 4);
      // The overhead: of IPIP, GRE and GUE.
      const right = [20, 24, 28, 32].map((bytes) => 1400 - bytes);
      if (first) return mtu(ipvs) === 1480 && right.includes(mtu(sluice));
      return isError(ipvs, 3, 4) && right.includes(mtu(ipvs)) && sluice.end === 'forwarded_tun';
    },
  },
  {
    name: 'template-assured',
    sentence:
      'A persistence template is listed in state NONE; IPVS says ASSURED once a connection made by ' +
      'it was established.',
    isListing: (ipvs, sluice) =>
      isDeepStrictEqual(
        ipvs.connections.map((one) => one.replace(/:0 (\S+ \S+) ASSURED$/, ':0 $1 NONE')),
        sluice.connections,
      ) && isDeepStrictEqual(ipvs.counts, sluice.counts),
  },
  {
    name: 'own-errors-not-counted',
    sentence:
      "The director's own ICMP errors count as nothing in a service's statistics; IPVS counts those " +
      'about DR and TUN connections as outgoing.',
    isStatistics: (ipvs, sluice) =>
      Object.entries(ipvs).every(([key, [connections, packets, , bytes]]) =>
        isDeepStrictEqual(sluice[key], [connections, packets, 0, bytes, 0]),
      ),
  },
];

/** The checksum at `at` of `before`, for the quoted addresses and ports of `after` (RFC 1624). */
function adjusted(before: Uint8Array, after: Uint8Array, quote: number, at: number): number {
  const ports = quote + headerBytes(after, quote);
  const ends = (frame: Uint8Array) =>
    concat(frame.subarray(quote + 12, quote + 20), frame.subarray(ports, ports + 4));
  const old = ~readU16(before, at) & 0xffff;
  const removed = ends(before).map((byte) => ~byte & 0xff);
  return ~onesSum(u16(old), removed, ends(after)) & 0xffff;
}

/** The IP packet of a frame, without a tunnel around it. */
const innermost = (frame: Uint8Array | undefined) =>
  frame?.subarray(frame[IP + 9] === 4 ? IP + 20 : IP);

function isError({ sent }: Reaction, type: number, code: number): boolean {
  const bytes = sent[0]?.bytes;
  return (
    sent.length === 1 && bytes?.[IP + 9] === 1 && bytes[ICMP] === type && bytes[ICMP + 1] === code
  );
}
