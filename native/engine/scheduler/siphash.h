// SipHash-1-3 of one 32-bit number, low half of the result. LVS's mh hashes with it, under fixed
// keys: with the same hash a client keeps its real server when it moves over from Linux.
#pragma once

#include <cstdint>

#include "../net/siphash.h"

namespace sluice {

inline uint32_t siphash_1_3(uint32_t value, uint64_t key) {
  net::SipState state(key, key);
  state.take(uint64_t{4} << 56 | value, 1);  // four bytes of input
  state.v2 ^= 0xff;
  state.rounds(3);
  return static_cast<uint32_t>(state.result());
}

// Keys of mh: one for offsets and clients, one for skips.
inline constexpr uint64_t kMhOffsetKey = 2654435761u;
inline constexpr uint64_t kMhSkipKey = 2654446892u;

}  // namespace sluice
