// SipHash (Aumasson, Bernstein: "SipHash: a fast short-input PRF"): its state and rounds. How many
// of them, and what is made of the state at the end, is up to those who use it.
#pragma once

#include <bit>
#include <cstdint>

namespace sluice::net {

struct SipState {
  SipState(uint64_t k0, uint64_t k1)
      : v0(k0 ^ 0x736f6d6570736575u),
        v1(k1 ^ 0x646f72616e646f6du),
        v2(k0 ^ 0x6c7967656e657261u),
        v3(k1 ^ 0x7465646279746573u) {}

  void rounds(int n) {
    for (int i = 0; i < n; ++i) {
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
    }
  }
  // Eight bytes of the message, the first one lowest.
  void take(uint64_t block, int n) {
    v3 ^= block;
    rounds(n);
    v0 ^= block;
  }
  uint64_t result() const { return v0 ^ v1 ^ v2 ^ v3; }

  uint64_t v0, v1, v2, v3;
};

}  // namespace sluice::net
