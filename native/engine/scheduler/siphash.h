// SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input PRF") of one 32-bit number, low
// half of the result. LVS's mh hashes with it, under fixed keys: with the same hash a client keeps
// its real server when it moves over from Linux.
#pragma once

#include <bit>
#include <cstdint>

namespace sluice {

inline uint32_t siphash_1_3(uint32_t value, uint64_t key) {
  uint64_t v0 = key ^ 0x736f6d6570736575u, v1 = key ^ 0x646f72616e646f6du;
  uint64_t v2 = key ^ 0x6c7967656e657261u, v3 = key ^ 0x7465646279746573u;
  auto round = [&] {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  };
  const uint64_t block = uint64_t{4} << 56 | value;  // four bytes of input
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) round();
  return static_cast<uint32_t>(v0 ^ v1 ^ v2 ^ v3);
}

// Keys of mh: one for offsets and clients, one for skips.
inline constexpr uint64_t kMhOffsetKey = 2654435761u;
inline constexpr uint64_t kMhSkipKey = 2654446892u;

}  // namespace sluice
