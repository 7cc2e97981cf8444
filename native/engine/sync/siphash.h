// SipHash-2-4 with a 128-bit result (Aumasson, Bernstein: "SipHash: a fast short-input PRF", and
// its authors' 128-bit variant): the tag of a sync datagram. A keyed function whose results nobody
// can tell from chance without the key, at about a byte a cycle: HMAC-SHA256 without SHA
// instructions takes ten times that, and tags are the largest part of what a datagram costs.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../types.h"

namespace sluice::sync {

using Key = std::array<uint8_t, 16>;
using Tag = std::array<uint8_t, 16>;

inline Tag siphash_2_4_128(const uint8_t* bytes, size_t n, const Key& key) {
  const auto k0 = load<uint64_t>(key.data()), k1 = load<uint64_t>(key.data() + 8);
  uint64_t v0 = k0 ^ 0x736f6d6570736575u, v1 = k1 ^ 0x646f72616e646f6du ^ 0xee;
  uint64_t v2 = k0 ^ 0x6c7967656e657261u, v3 = k1 ^ 0x7465646279746573u;
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
  auto take = [&](uint64_t block) {
    v3 ^= block;
    round();
    round();
    v0 ^= block;
  };
  size_t at = 0;
  for (; at + 8 <= n; at += 8) take(load<uint64_t>(bytes + at));
  uint64_t last = uint64_t{n & 0xff} << 56;
  for (size_t i = 0; at + i < n; ++i) last |= uint64_t{bytes[at + i]} << (8 * i);
  take(last);
  Tag tag;
  v2 ^= 0xee;
  for (int i = 0; i < 4; ++i) round();
  store(tag.data(), v0 ^ v1 ^ v2 ^ v3);
  v1 ^= 0xdd;
  for (int i = 0; i < 4; ++i) round();
  store(tag.data() + 8, v0 ^ v1 ^ v2 ^ v3);
  return tag;
}

// In a time that doesn't tell where they differ.
inline bool same_tag(const uint8_t* a, const Tag& b) {
  uint8_t differ = 0;
  for (size_t i = 0; i < b.size(); ++i) differ |= static_cast<uint8_t>(a[i] ^ b[i]);
  return differ == 0;
}

}  // namespace sluice::sync
