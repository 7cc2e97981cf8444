// Keyed hash of a flow. The key is random live (so that senders cannot aim at one bucket) and given
// by the seed in replay.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "connection.h"

namespace sluice {

struct HashKey {
  uint64_t a, b, c, d;
};

inline uint64_t mum(uint64_t x, uint64_t y) {
  const unsigned __int128 product = static_cast<unsigned __int128>(x) * y;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// splitmix64: spreads a seed over keys and cursors.
inline uint64_t mix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A V4 key is one AES block. After two rounds every bit of it has a say in every bit of the block;
// the third leaves nothing of their structure. An instruction a round, and four cycles that other
// packets' work fills. Odd, as 0 is no tag.
inline uint64_t hash_of(const FlowKey<V4>& key, const HashKey& secret) {
  const auto* keys = reinterpret_cast<const __m128i*>(&secret);
  const __m128i first = _mm_loadu_si128(keys), second = _mm_loadu_si128(keys + 1);
  __m128i block = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(&key)), first);
  block = _mm_aesenc_si128(block, second);
  block = _mm_aesenc_si128(block, first);
  block = _mm_aesenc_si128(block, second);
  return static_cast<uint64_t>(_mm_cvtsi128_si64(block)) | 1;
}

inline uint64_t hash_of(const FlowKey<V6>& key, const HashKey& secret) {
  auto half = [](const WideAddress& a, unsigned i) { return load<uint64_t>(a.data() + 8 * i); };
  const uint64_t ports = (uint64_t{key.protocol} << 32) | (uint64_t{key.tuple.source_port} << 16) |
                         key.tuple.destination_port;
  const uint64_t s =
      mum(half(key.tuple.source, 0) ^ secret.a, half(key.tuple.source, 1) ^ secret.b);
  const uint64_t d =
      mum(half(key.tuple.destination, 0) ^ secret.b, half(key.tuple.destination, 1) ^ s);
  return mum(d ^ secret.a, ports ^ secret.b) | 1;
}

// Which worker owns a client's flow: by the client's address and port alone, so that request and
// NAT reply agree.
inline uint16_t owner_of_client(be32 address, be16 port, uint16_t workers) {
  const uint64_t h =
      mum(((uint64_t{address} << 16) | port) ^ 0x2545f4914f6cdd1du, 0x9e3779b97f4a7c15u);
  return static_cast<uint16_t>((uint64_t{static_cast<uint32_t>(h >> 16)} * workers) >> 32);
}

inline uint16_t owner_of_client(const WideAddress& address, be16 port, uint16_t workers) {
  const uint64_t halves = mum(load<uint64_t>(address.data()) ^ 0x2545f4914f6cdd1du,
                              load<uint64_t>(address.data() + 8) ^ 0x9e3779b97f4a7c15u);
  return owner_of_client(static_cast<be32>(halves ^ halves >> 32), port, workers);
}

}  // namespace sluice
