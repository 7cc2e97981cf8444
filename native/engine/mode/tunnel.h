// TUN (Tunnel): the untouched packet inside an outer one to the real server. IPIP (RFC 2003) here.
#pragma once

#include "mode.h"

namespace sluice::mode::tunnel {

inline constexpr unsigned kIpipBytes = 20;

// Lowers the TTL and writes the outer header into the kIpipBytes before the packet. Fields as Linux
// has them: TTL of the inner packet, DSCP copied, CE turned to ECT(0), DF copied; `id` is 0 where
// DF is set, and a fresh one where it isn't (RFC 6864 section 4.1).
inline void request(net::Ipv4* inner, be32 source, be32 destination, be16 id) {
  net::decrement_ttl(*inner);
  const auto tos = static_cast<uint8_t>((inner->tos & 3) == 3 ? inner->tos - 1 : inner->tos);
  const auto first = static_cast<uint16_t>(0x45 | tos << 8);
  const be16 length = to_be(static_cast<uint16_t>(from_be(inner->total_length) + kIpipBytes));
  const auto fragment = static_cast<be16>(inner->fragment & net::kDontFragment);
  const auto life = static_cast<uint16_t>(inner->ttl | kIpip << 8);
  const uint64_t sum =
      uint64_t{first} + length + id + fragment + life + uint64_t{source} + destination;
  uint8_t* outer = reinterpret_cast<uint8_t*>(inner) - kIpipBytes;
  store(outer, first | uint32_t{length} << 16);
  store(outer + offsetof(net::Ipv4, id), id | uint32_t{fragment} << 16);
  store(outer + offsetof(net::Ipv4, ttl),
        life | uint32_t{static_cast<be16>(~net::fold(sum))} << 16);
  store(outer + offsetof(net::Ipv4, source), source | uint64_t{destination} << 32);
}

}  // namespace sluice::mode::tunnel
