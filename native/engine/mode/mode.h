// The contract of a forwarding mode.
//
// A mode is a set of pure functions on headers: they know nothing of mbufs, ports or EAL, so they
// run in tests as they are. The caller has checked the packet (lengths, TTL, MTU), has opened any
// room a mode asks for, and sets the Ethernet header afterwards.
//
// Every function keeps checksums right incrementally, so that a bad one stays bad (RFC 1624), and
// lowers the TTL as a router does.
#pragma once

#include <cstdint>

#include "../net/checksum.h"
#include "../net/headers.h"
#include "../table/connection.h"

namespace sluice::mode {

// Addresses and ports that a packet is to carry.
struct Ends {
  be32 source, destination;
  be16 source_port, destination_port;
};

// Checksum delta of a change from one set of ends to another, pseudo-header included.
inline uint16_t delta_of(const Ends& from, const Ends& to) {
  net::Delta delta;
  delta.change32(from.source, to.source);
  delta.change32(from.destination, to.destination);
  delta.change16(from.source_port, to.source_port);
  delta.change16(from.destination_port, to.destination_port);
  return delta.folded();
}

// Keeps the checksum deltas of a translated connection, whose tuples are set, in its record:
// `request` and `reply` are what its packets leave with in each direction.
inline void keep_deltas(Connection<V4>& c, const Ends& request, const Ends& reply) {
  c.request_l4 = delta_of({c.caddr, c.vaddr, c.cport, c.vport}, request);
  c.reply_l4 = delta_of({c.raddr, c.laddr, c.rport, c.lport}, reply);
}

// Rewrites both ends of a TCP or UDP packet. `l4_delta` is delta_of(what it carries, to).
// `l4_bytes`: length of the L4 part, for a UDP checksum that must be made from nothing.
inline void translate(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Ends& to,
                      uint16_t l4_delta) {
  net::Delta l3;
  l3.change32(ip->source, to.source);
  l3.change32(ip->destination, to.destination);
  --ip->ttl;
  l3.add(net::kTtlMinusOne);
  ip->source = to.source;
  ip->destination = to.destination;
  be16 ip_checksum = ip->checksum;
  l3.apply(ip_checksum);
  ip->checksum = ip_checksum;
  store(l4, to.source_port);
  store(l4 + 2, to.destination_port);
  if (ip->protocol == kTcp) {
    auto* tcp = reinterpret_cast<net::Tcp*>(l4);
    be16 checksum = tcp->checksum;
    net::Delta(l4_delta).apply(checksum);
    tcp->checksum = checksum;
  } else {
    auto* udp = reinterpret_cast<net::Udp*>(l4);
    be16 checksum = udp->checksum;
    if (checksum == 0) {  // LVS fills it in
      checksum = net::l4_checksum(*ip, l4, l4_bytes);
      if (checksum == 0) checksum = 0xffff;
    } else {
      net::apply_udp(net::Delta(l4_delta), checksum);
    }
    udp->checksum = checksum;
  }
}

}  // namespace sluice::mode
