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
#include "../net/crc32c.h"
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

// Keeps the checksum deltas of a translated connection, whose tuples are set, in its record.
// Either direction's packet leaves with the other one's tuple turned round, so that one change and
// the same undone serve both.
inline void keep_deltas(Connection<V4>& c) {
  c.l4 = delta_of({c.caddr, c.vaddr, c.cport, c.vport}, {c.laddr, c.raddr, c.lport, c.rport});
  net::Delta request;
  request.change32(c.caddr, c.laddr);
  request.change32(c.vaddr, c.raddr);
  net::Delta reply(static_cast<uint16_t>(~request.folded()));
  request.add(net::kTtlMinusOne);
  reply.add(net::kTtlMinusOne);
  c.l3[0] = request.folded();
  c.l3[1] = reply.folded();
}

// Rewrites both ends of a TCP or UDP packet, and lowers its TTL. A UDP checksum is not 0.
template <uint8_t protocol>
inline void translate(net::Ipv4* ip, uint8_t* l4, const Connection<V4>& c, Direction direction) {
  const auto reply = static_cast<unsigned>(direction);
  // The other tuple: addresses and then ports, each pair exchanged in a register.
  const auto* from = static_cast<const uint8_t*>(c.tuple(static_cast<Direction>(reply ^ 1)));
  const auto addresses = load<uint64_t>(from);
  const auto ports = load<uint32_t>(from + offsetof(TupleOf<V4>, source_port));
  store(&ip->source, addresses << 32 | addresses >> 32);
  store(l4, ports << 16 | ports >> 16);
  --ip->ttl;
  ip->checksum = net::adjusted(ip->checksum, c.l3[reply]);
  const auto delta = static_cast<uint16_t>(c.l4 ^ (0 - reply));
  if constexpr (protocol == kTcp) {
    auto* tcp = reinterpret_cast<net::Tcp*>(l4);
    tcp->checksum = net::adjusted(tcp->checksum, delta);
  } else {
    auto* udp = reinterpret_cast<net::Udp*>(l4);
    udp->checksum = net::adjusted_udp(udp->checksum, delta);
  }
}

// The same for SCTP, whose checksum covers no addresses. `l4_bytes`: length of the L4 part.
[[gnu::noinline]] inline void translate_sctp(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes,
                                             const Connection<V4>& c, Direction direction) {
  const bool request = direction == Direction::request;
  ip->source = request ? c.laddr : c.vaddr;
  ip->destination = request ? c.raddr : c.caddr;
  --ip->ttl;
  ip->checksum = net::adjusted(ip->checksum, c.l3[static_cast<unsigned>(direction)]);
  net::set_sctp_ports(l4, request ? c.lport : c.vport, request ? c.rport : c.cport, l4_bytes);
}

// The same for any packet. LVS fills in a UDP checksum that is not there. `l4_bytes`: length of
// the L4 part.
inline void translate_any(net::Ipv4* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V4>& c,
                          Direction direction) {
  if (ip->protocol == kTcp) return translate<kTcp>(ip, l4, c, direction);
  if (ip->protocol == kSctp) return translate_sctp(ip, l4, l4_bytes, c, direction);
  auto* udp = reinterpret_cast<net::Udp*>(l4);
  const bool fill_in = udp->checksum == 0;
  translate<kUdp>(ip, l4, c, direction);
  if (!fill_in) return;
  udp->checksum = 0;
  const be16 checksum = net::l4_checksum(*ip, l4, l4_bytes);
  udp->checksum = checksum == 0 ? be16{0xffff} : checksum;
}

}  // namespace sluice::mode
