/** ICMPv6 errors about connections. */
import { test } from 'uvu';
import { u32 } from '../support/bytes.js';
import * as q from '../support/packet6.js';
import { fromBack, fromFront, toBack, toFront } from '../support/table.js';
import { at, outer6, query, R, response, rows } from '../support/table6.js';
import { BACK6, CIP6, LIP6, RIP6, VIPS } from '../support/world6.js';

// Errors about connections.
rows([
  {
    it: 'NAT: a server’s port unreachable reaches the client as one about its own packet',
    given: [fromFront(q.udp6(query(VIPS.nat)))],
    in: fromBack(
      q.icmp6Error({
        from: RIP6,
        to: CIP6,
        type: 1,
        code: 4,
        quote: q.udp6(query(VIPS.nat, { to: R, hops: 63 })),
      }),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.nat,
          to: CIP6,
          type: 1,
          code: 4,
          hops: 63,
          quote: q.udp6(query(VIPS.nat, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'NAT: packet too big of a router on the client’s side reaches the server',
    given: [fromFront(q.udp6(query(VIPS.nat))), fromBack(q.udp6(response()))],
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.nat,
        type: 2,
        rest: u32(1300),
        quote: q.udp6(response({ from: at(VIPS.nat), hops: 60 })),
      }),
    ),
    out: [
      toBack(
        q.icmp6Error({
          from: '2001:db8:77::1',
          to: RIP6,
          type: 2,
          rest: u32(1300),
          hops: 63,
          quote: q.udp6(response({ hops: 60 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'NAT: a parameter problem of the client reaches the server, its pointer as it was',
    given: [fromFront(q.udp6(query(VIPS.nat))), fromBack(q.udp6(response()))],
    in: fromFront(
      q.icmp6Error({
        from: CIP6,
        to: VIPS.nat,
        type: 4,
        code: 1,
        rest: u32(40),
        quote: q.udp6(response({ from: at(VIPS.nat), hops: 60 })),
      }),
    ),
    out: [
      toBack(
        q.icmp6Error({
          from: CIP6,
          to: RIP6,
          type: 4,
          code: 1,
          rest: u32(40),
          hops: 63,
          quote: q.udp6(response({ hops: 60 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'FullNAT: a server’s error comes to the local address and goes to the client',
    given: [fromFront(q.udp6(query(VIPS.fullnat)))],
    in: ({ local }) =>
      fromBack(
        q.icmp6Error({
          from: RIP6,
          to: LIP6,
          type: 1,
          code: 4,
          quote: q.udp6(query(VIPS.fullnat, { from: local, to: R, hops: 63 })),
        }),
      ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.fullnat,
          to: CIP6,
          type: 1,
          code: 4,
          hops: 63,
          quote: q.udp6(query(VIPS.fullnat, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'DR: an error about the server’s answer goes to the server as it is',
    given: [fromFront(q.udp6(query(VIPS.dr)))],
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.dr,
        type: 1,
        code: 0,
        quote: q.udp6(response({ from: at(VIPS.dr) })),
      }),
    ),
    out: [
      toBack(
        q.icmp6Error({
          from: '2001:db8:77::1',
          to: VIPS.dr,
          type: 1,
          code: 0,
          hops: 63,
          quote: q.udp6(response({ from: at(VIPS.dr) })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'TUN: packet too big about the outer packet becomes the VIP’s, with room for the header',
    given: [fromFront(q.udp6(query(VIPS.tun)))],
    in: fromBack(
      q.icmp6Error({
        from: '2001:db8:2::77',
        to: BACK6,
        type: 2,
        rest: u32(1400),
        quote: outer6(q.ip6Of(q.udp6(query(VIPS.tun, { hops: 63 }))), RIP6, 0),
      }),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.tun,
          to: CIP6,
          type: 2,
          rest: u32(1360),
          quote: q.udp6(query(VIPS.tun, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'TUN: a parameter problem of the outer packet means to the client that the address isn’t reached',
    given: [fromFront(q.udp6(query(VIPS.tun)))],
    in: fromBack(
      q.icmp6Error({
        from: '2001:db8:2::77',
        to: BACK6,
        type: 4,
        code: 1,
        rest: u32(6),
        quote: outer6(q.ip6Of(q.udp6(query(VIPS.tun, { hops: 63 }))), RIP6, 0),
      }),
    ),
    out: [
      toFront(
        q.icmp6Error({
          from: VIPS.tun,
          to: CIP6,
          type: 1,
          code: 3,
          quote: q.udp6(query(VIPS.tun, { hops: 63 })),
        }),
      ),
    ],
    end: 'forwarded_icmp_error',
  },
  {
    it: 'an error about nothing we know, to a VIP, is dropped',
    in: fromFront(
      q.icmp6Error({
        from: '2001:db8:77::1',
        to: VIPS.nat,
        type: 1,
        code: 0,
        quote: q.udp6(response({ from: at(VIPS.nat) })),
      }),
    ),
    out: [],
    end: 'icmp_without_connection',
  },
]);

test.run();
