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
  // The first 8 bytes in memory order: version, TOS, length, id, flags and offset.
  constexpr uint64_t kKept = 0x0040'0000'0000'ff00;  // TOS and DF
  auto first = load<uint64_t>(inner);
  if ((first >> 8 & 3) == 3) [[unlikely]]
    first -= 1 << 8;
  const be16 length = to_be(static_cast<uint16_t>(from_be(inner->total_length) + kIpipBytes));
  first = (first & kKept) | 0x45 | uint64_t{length} << 16 | uint64_t{id} << 32;
  const uint32_t third = inner->ttl | kIpip << 8;
  // No carry: `first` ends in a 0.
  const auto checksum = static_cast<be16>(~net::fold(first + third + source + destination));
  uint8_t* outer = reinterpret_cast<uint8_t*>(inner) - kIpipBytes;
  store(outer, first);
  store(outer + offsetof(net::Ipv4, ttl), third | uint32_t{checksum} << 16);
  store(outer + offsetof(net::Ipv4, source), source);
  store(outer + offsetof(net::Ipv4, destination), destination);
}

}  // namespace sluice::mode::tunnel
