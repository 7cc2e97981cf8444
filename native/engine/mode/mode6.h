// The modes' rewrites for IPv6: pure functions on headers, as mode.h says. There is no header
// checksum; the hop limit falls as a router's does.
#pragma once

#include <cstdint>

#include "../net/crc32c.h"
#include "../net/ipv6.h"
#include "../table/connection.h"
#include "tunnel.h"

namespace sluice::mode {

// Addresses and ports that a packet is to carry.
struct Ends6 {
  WideAddress source, destination;
  be16 source_port, destination_port;
};

inline net::Delta delta_of(const Ends6& from, const Ends6& to) {
  net::Delta delta;
  net::change_address(delta, from.source, to.source);
  net::change_address(delta, from.destination, to.destination);
  delta.change16(from.source_port, to.source_port);
  delta.change16(from.destination_port, to.destination_port);
  return delta;
}

// Keeps the checksum delta of a translated connection, whose tuples are set, in its record. The
// request's; the reply's is the same change undone.
inline void keep_delta(Connection<V6>& c) {
  c.l4 =
      delta_of({c.caddr, c.vaddr, c.cport, c.vport}, {c.laddr, c.raddr, c.lport, c.rport}).folded();
}

// Rewrites both ends of a TCP or UDP packet, and lowers its hop limit. A UDP checksum is not 0.
template <Direction direction>
inline void translate(net::Ipv6* ip, uint8_t* l4, uint8_t protocol, const Connection<V6>& c) {
  constexpr bool request = direction == Direction::request;
  ip->source = request ? c.laddr : c.vaddr;
  ip->destination = request ? c.raddr : c.caddr;
  store(l4, request ? c.lport : c.vport);
  store(l4 + 2, request ? c.rport : c.cport);
  --ip->hops;
  const auto delta = static_cast<uint16_t>(request ? c.l4 : ~c.l4);
  if (protocol == kTcp) {
    auto* tcp = reinterpret_cast<net::Tcp*>(l4);
    tcp->checksum = net::adjusted(tcp->checksum, delta);
  } else {
    auto* udp = reinterpret_cast<net::Udp*>(l4);
    udp->checksum = net::adjusted_udp(udp->checksum, delta);
  }
}

// The same for SCTP, whose checksum covers no addresses. `l4_bytes`: from its header to the
// packet's end.
template <Direction direction>
inline void translate_sctp(net::Ipv6* ip, uint8_t* l4, uint16_t l4_bytes, const Connection<V6>& c) {
  constexpr bool request = direction == Direction::request;
  ip->source = request ? c.laddr : c.vaddr;
  ip->destination = request ? c.raddr : c.caddr;
  --ip->hops;
  net::set_sctp_ports(l4, request ? c.lport : c.vport, request ? c.rport : c.cport, l4_bytes);
}

namespace tunnel6 {

// RFC 6040 section 4.1: the inner traffic class, but that CE becomes ECT(0), as Linux has it.
constexpr uint8_t outer_class(uint8_t inner) {
  return (inner & 3) == 3 ? static_cast<uint8_t>(inner - 1) : inner;
}

// Lowers the hop limit and writes the outer headers into the bytes before the packet, whose length
// is `bytes`: IPv6 in IPv6 (RFC 2473), no flow label, the inner hop limit.
inline void request(net::Ipv6* inner, uint32_t bytes, const WideAddress& source,
                    const WideAddress& destination, Wrap wrap, tunnel::Ports ports) {
  --inner->hops;
  auto* packet = reinterpret_cast<uint8_t*>(inner);
  const uint64_t addresses = net::sum_of(source) + net::sum_of(destination);
  tunnel::write_shim(wrap, packet, bytes, net::kIpv6InIp, ports, addresses);
  auto* outer = reinterpret_cast<net::Ipv6*>(packet - tunnel::shim_bytes(wrap)) - 1;
  *outer = {net::first_word(outer_class(inner->traffic_class())),
            to_be(static_cast<uint16_t>(bytes + tunnel::shim_bytes(wrap))),
            tunnel::protocol_of(wrap, net::kIpv6InIp),
            inner->hops,
            source,
            destination};
}

// The same in IPv4 (RFC 4213 section 3): may be fragmented on its way, as Linux sends it.
inline void request(net::Ipv6* inner, uint32_t bytes, be32 source, be32 destination, be16 id,
                    Wrap wrap, tunnel::Ports ports) {
  --inner->hops;
  auto* packet = reinterpret_cast<uint8_t*>(inner);
  tunnel::write_shim(wrap, packet, bytes, net::kIpv6InIp, ports, uint64_t{source} + destination);
  auto* outer = reinterpret_cast<net::Ipv4*>(packet - tunnel::shim_bytes(wrap)) - 1;
  *outer = {0x45,
            outer_class(inner->traffic_class()),
            to_be(static_cast<uint16_t>(bytes + tunnel::overhead_bytes(wrap))),
            id,
            0,
            inner->hops,
            tunnel::protocol_of(wrap, net::kIpv6InIp),
            0,
            source,
            destination};
  net::set_ip_checksum(*outer);
}

// IPv4 in IPv6 (RFC 2473 section 6), likewise.
inline void request(net::Ipv4* inner, uint32_t bytes, const WideAddress& source,
                    const WideAddress& destination, Wrap wrap, tunnel::Ports ports) {
  net::decrement_ttl(*inner);
  auto* packet = reinterpret_cast<uint8_t*>(inner);
  const uint64_t addresses = net::sum_of(source) + net::sum_of(destination);
  tunnel::write_shim(wrap, packet, bytes, kIpip, ports, addresses);
  auto* outer = reinterpret_cast<net::Ipv6*>(packet - tunnel::shim_bytes(wrap)) - 1;
  *outer = {net::first_word(outer_class(inner->tos)),
            to_be(static_cast<uint16_t>(bytes + tunnel::shim_bytes(wrap))),
            tunnel::protocol_of(wrap, kIpip),
            inner->ttl,
            source,
            destination};
}

}  // namespace tunnel6
}  // namespace sluice::mode
