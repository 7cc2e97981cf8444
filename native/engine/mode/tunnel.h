// TUN (Tunnel): the untouched packet inside an outer one to the real server. IPIP (RFC 2003) here.
#pragma once

#include "mode.h"

namespace sluice::mode::tunnel {

inline constexpr unsigned kIpipBytes = 20;

// Writes the outer header at `outer` (kIpipBytes right before the inner one, whose TTL has been
// lowered). Fields as Linux has them: TTL of the inner packet, DSCP copied, CE turned to ECT(0),
// DF copied; `id` is used where DF is clear (RFC 6864 section 4.1).
inline void encapsulate(uint8_t* outer, const net::Ipv4& inner, be32 source, be32 destination,
                        be16 id) {
  const bool keeps = inner.dont_fragment();
  const auto tos = static_cast<uint8_t>((inner.tos & 3) == 3 ? inner.tos - 1 : inner.tos);
  const be16 length = to_be(static_cast<uint16_t>(from_be(inner.total_length) + kIpipBytes));
  const be16 fragment = keeps ? net::kDontFragment : be16{0};
  const auto first = static_cast<uint16_t>(0x45 | tos << 8);
  const auto life = static_cast<uint16_t>(inner.ttl | kIpip << 8);
  const be16 number = keeps ? be16{0} : id;
  const uint64_t sum =
      uint64_t{first} + length + number + fragment + life + uint64_t{source} + destination;
  auto* ip = reinterpret_cast<net::Ipv4*>(outer);
  store(outer, first);
  ip->total_length = length;
  ip->id = number;
  ip->fragment = fragment;
  store(&ip->ttl, life);
  ip->checksum = static_cast<be16>(~net::fold(sum));
  ip->source = source;
  ip->destination = destination;
}

}  // namespace sluice::mode::tunnel
