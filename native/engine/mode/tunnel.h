// TUN (Tunnel): the untouched packet inside an outer one to the real server. IPIP (RFC 2003) here.
#pragma once

#include "mode.h"

namespace sluice::mode::tunnel {

inline constexpr unsigned kIpipBytes = 20;

// Lowers the TTL and writes the outer header into the kIpipBytes before the packet, whose length is
// `bytes`. Fields as Linux has them: TTL of the inner packet, DSCP copied, CE turned to ECT(0), DF
// copied; `id` is 0 where DF is set, and a fresh one where it isn't (RFC 6864 section 4.1).
inline void request(net::Ipv4* inner, uint32_t bytes, be32 source, be32 destination, be16 id) {
  net::decrement_ttl(*inner);
  // The first 8 bytes in memory order: version, TOS, length, id, flags and offset.
  constexpr uint64_t kKept = 0x0040'0000'0000'ff00;  // TOS and DF
  constexpr uint64_t kCongestion = 0x0300;
  auto first = load<uint64_t>(inner);
  if (__builtin_expect_with_probability((~first & kCongestion) == 0, 0, 1)) first -= 1 << 8;
  // 16 bits swapped as 32 are the upper half, where the length belongs.
  const auto length = static_cast<uint16_t>(bytes + kIpipBytes);
  first = (first & kKept) | 0x45 | __builtin_bswap32(length) | uint64_t{id} << 32;
  const uint32_t third = inner->ttl | kIpip << 8;
  // No carry: `first` ends in a 0. Halves are added crosswise, so that the upper one has the carry.
  uint64_t sum = first + third + source + destination;
  sum += sum << 32 | sum >> 32;
  auto folded = static_cast<uint32_t>(sum >> 32);
  folded += folded << 16 | folded >> 16;
  uint8_t* outer = reinterpret_cast<uint8_t*>(inner) - kIpipBytes;
  store(outer, first);
  store(outer + offsetof(net::Ipv4, ttl), third | (~folded & 0xffff'0000));
  store(outer + offsetof(net::Ipv4, source), source);
  store(outer + offsetof(net::Ipv4, destination), destination);
}

}  // namespace sluice::mode::tunnel
