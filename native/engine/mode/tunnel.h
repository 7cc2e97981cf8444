// TUN (Tunnel): the untouched packet inside an outer one to the real server. By itself (RFC 2003),
// or behind GRE (RFC 2784) or UDP and GUE.
#pragma once

#include "../net/encapsulation.h"
#include "mode.h"

namespace sluice::mode::tunnel {

// Bytes between the outer IP header and the packet.
constexpr unsigned shim_bytes(Wrap wrap) {
  constexpr unsigned kBytes[kWraps] = {0, 4, 8, 12, 12};
  return kBytes[static_cast<unsigned>(wrap)];
}
// Bytes that the packet grows by, in IPv4.
constexpr unsigned overhead_bytes(Wrap wrap) {
  return sizeof(net::Ipv4) + shim_bytes(wrap);
}
inline constexpr unsigned kMostOverhead = overhead_bytes(Wrap::gue);

constexpr uint8_t protocol_of(Wrap wrap, uint8_t inner) {
  if (wrap == Wrap::ipip) return inner;
  return wrap == Wrap::gre || wrap == Wrap::gre_checked ? kGre : kUdp;
}

// GUE's: the source stands for the flow, so that what spreads packets by ports keeps them in order.
struct Ports {
  be16 source, destination;
};

// Within Linux' usual local ports, which udp_flow_src_port() takes them from. The same on every
// director, so that a real server sees no change at a failover.
inline be16 source_port(const void* tuple, size_t bytes) {
  constexpr uint32_t kFirst = 32768, kPorts = 60999 - kFirst;
  uint64_t hash = 0x534c5543;
  const auto* at = static_cast<const uint8_t*>(tuple);
  for (; bytes >= 8; at += 8, bytes -= 8) hash = _mm_crc32_u64(hash, load<uint64_t>(at));
  if (bytes != 0) hash = _mm_crc32_u32(static_cast<uint32_t>(hash), load<uint32_t>(at));
  return to_be(static_cast<uint16_t>(kFirst + (hash * kPorts >> 32)));
}

// What a connection's outer header needs beside addresses, in its record: TUN has no checksum
// deltas, which have their place there otherwise.
template <class Family>
inline void keep(Connection<Family>& c, Wrap wrap, be16 port) {
  const TupleOf<Family> tuple = c.request();
  c.l4 = port;
  c.l3[0] = source_port(&tuple, sizeof tuple);
  c.l3[1] = static_cast<uint16_t>(wrap);
}
template <class Family>
inline Wrap wrap_of(const Connection<Family>& c) {
  return static_cast<Wrap>(c.l3[1]);
}
template <class Family>
inline Ports ports_of(const Connection<Family>& c) {
  return {c.l3[0], c.l4};
}

// Writes the shim into the bytes before the packet, whose length is `bytes`; `inner` is its IP
// protocol. `addresses`: sum over the outer addresses, of UDP's pseudo-header.
template <Wrap wrap>
inline void write_shim(uint8_t* packet, uint32_t bytes, uint8_t inner, Ports ports,
                       uint64_t addresses) {
  uint8_t* const shim = packet - shim_bytes(wrap);
  const auto whole = static_cast<uint16_t>(bytes + shim_bytes(wrap));
  auto checksum_over = [&](uint64_t pseudo) {
    // As Linux sends it: never 0, which is none in UDP and the same sum in GRE.
    const uint16_t checksum = net::checksum_of(shim, whole, pseudo);
    return checksum == 0 ? uint16_t{0xffff} : checksum;
  };
  if constexpr (wrap == Wrap::gre || wrap == Wrap::gre_checked) {
    const net::Gre gre{wrap == Wrap::gre ? be16{0} : net::kGreChecksum,
                       inner == kIpip ? net::kEtherIpv4 : net::kEtherIpv6};
    store(shim, gre);
    if constexpr (wrap == Wrap::gre_checked) {
      store(shim + sizeof gre, uint32_t{0});
      store(shim + sizeof gre, checksum_over(0));
    }
  } else if constexpr (wrap == Wrap::gue || wrap == Wrap::gue_checked) {
    const net::Udp udp{ports.source, ports.destination, to_be(whole), 0};
    store(shim, udp);
    store(shim + sizeof udp, net::Gue{0, inner, 0});
    if constexpr (wrap == Wrap::gue_checked) {
      const uint64_t pseudo = addresses + to_be(uint16_t{kUdp}) + udp.length;
      store(shim + offsetof(net::Udp, checksum), checksum_over(pseudo));
    }
  }
}

inline void write_shim(Wrap wrap, uint8_t* packet, uint32_t bytes, uint8_t inner, Ports ports,
                       uint64_t addresses) {
  switch (wrap) {
    case Wrap::ipip:
      return;
    case Wrap::gre:
      return write_shim<Wrap::gre>(packet, bytes, inner, ports, addresses);
    case Wrap::gre_checked:
      return write_shim<Wrap::gre_checked>(packet, bytes, inner, ports, addresses);
    case Wrap::gue:
      return write_shim<Wrap::gue>(packet, bytes, inner, ports, addresses);
    case Wrap::gue_checked:
      return write_shim<Wrap::gue_checked>(packet, bytes, inner, ports, addresses);
  }
}

// Lowers the TTL and writes the outer headers into the overhead_bytes() before the packet, whose
// length is `bytes`. Fields as Linux has them: TTL of the inner packet, DSCP copied, CE turned to
// ECT(0), DF copied; `id` is 0 where DF is set, and a fresh one where it isn't (RFC 6864 section
// 4.1).
template <Wrap wrap>
inline void request(net::Ipv4* inner, uint32_t bytes, be32 source, be32 destination, be16 id,
                    Ports ports = {}) {
  net::decrement_ttl(*inner);
  write_shim<wrap>(reinterpret_cast<uint8_t*>(inner), bytes, kIpip, ports,
                   uint64_t{source} + destination);
  // The first 8 bytes in memory order: version, TOS, length, id, flags and offset.
  constexpr uint64_t kKept = 0x0040'0000'0000'ff00;  // TOS and DF
  constexpr uint64_t kCongestion = 0x0300;
  auto first = load<uint64_t>(inner);
  if (__builtin_expect_with_probability((~first & kCongestion) == 0, 0, 1)) first -= 1 << 8;
  // 16 bits swapped as 32 are the upper half, where the length belongs.
  const auto length = static_cast<uint16_t>(bytes + overhead_bytes(wrap));
  first = (first & kKept) | 0x45 | __builtin_bswap32(length) | uint64_t{id} << 32;
  const uint32_t third = inner->ttl | protocol_of(wrap, kIpip) << 8;
  // No carry: `first` ends in a 0. Halves are added crosswise, so that the upper one has the carry.
  uint64_t sum = first + third + source + destination;
  sum += sum << 32 | sum >> 32;
  auto folded = static_cast<uint32_t>(sum >> 32);
  folded += folded << 16 | folded >> 16;
  uint8_t* outer = reinterpret_cast<uint8_t*>(inner) - overhead_bytes(wrap);
  store(outer, first);
  // Joined here, as compilers would join them in a vector register.
  const uint64_t second = third | (~folded & 0xffff'0000) | uint64_t{source} << 32;
  store(outer + offsetof(net::Ipv4, ttl), second);
  store(outer + offsetof(net::Ipv4, destination), destination);
}

inline void request(Wrap wrap, net::Ipv4* inner, uint32_t bytes, be32 source, be32 destination,
                    be16 id, Ports ports) {
  switch (wrap) {
    case Wrap::ipip:
      return request<Wrap::ipip>(inner, bytes, source, destination, id);
    case Wrap::gre:
      return request<Wrap::gre>(inner, bytes, source, destination, id);
    case Wrap::gre_checked:
      return request<Wrap::gre_checked>(inner, bytes, source, destination, id);
    case Wrap::gue:
      return request<Wrap::gue>(inner, bytes, source, destination, id, ports);
    case Wrap::gue_checked:
      return request<Wrap::gue_checked>(inner, bytes, source, destination, id, ports);
  }
}

}  // namespace sluice::mode::tunnel
