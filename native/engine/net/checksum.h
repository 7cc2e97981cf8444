// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// Sums are kept in memory order: one's complement addition is byte-order independent (RFC 1071
// section 2(B)), so no word is ever swapped.
#pragma once

#include <cstdint>

#include "../types.h"
#include "headers.h"

namespace sluice::net {

// Folds a 64-bit sum of 16-bit words to 16 bits, with end-around carries: first its halves of 32
// bits, then of 16. The upper half of x + (x with its halves exchanged) is the halves' sum with
// the lower half's carry, which is the end-around one.
constexpr uint16_t fold(uint64_t sum) {
  const auto words = static_cast<uint32_t>((sum + (sum << 32 | sum >> 32)) >> 32);
  return static_cast<uint16_t>((words + (words << 16 | words >> 16)) >> 16);
}

// Sum of n bytes, an odd last byte padded with zero on its right (RFC 1071 section 1).
inline uint64_t sum_bytes(const void* data, size_t n, uint64_t sum = 0) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  for (; n >= 4; p += 4, n -= 4) sum += load<uint32_t>(p);
  if (n >= 2) {
    sum += load<uint16_t>(p);
    p += 2;
    n -= 2;
  }
  if (n == 1) sum += *p;  // little-endian: the byte is the low one, as in memory order
  return sum;
}

inline uint16_t checksum_of(const void* data, size_t n, uint64_t sum = 0) {
  return static_cast<uint16_t>(~fold(sum_bytes(data, n, sum)));
}

// Pseudo-header of TCP and UDP over IPv4 (RFC 9293 section 3.1, RFC 768). `bytes`: L4 length.
inline uint64_t pseudo_sum(be32 source, be32 destination, uint8_t protocol, uint16_t bytes) {
  return uint64_t{source} + destination + to_be(uint16_t{protocol}) + to_be(bytes);
}

// A change to a checksum: eqn. 3 of RFC 1624 is HC' = ~(~HC + ~m + m'). A Delta gathers the
// sum of all ~m + m' so that one application covers every field changed.
class Delta {
 public:
  constexpr Delta() = default;
  explicit constexpr Delta(uint16_t folded) : sum_(folded) {}

  constexpr void change32(uint32_t from, uint32_t to) {
    sum_ += uint64_t{static_cast<uint32_t>(~from)} + to;
  }
  constexpr void change16(uint16_t from, uint16_t to) {
    sum_ += uint64_t{static_cast<uint16_t>(~from)} + to;
  }
  constexpr void add(uint64_t words) { sum_ += words; }
  // Of eight bytes at once, which could overflow the sum as they are.
  constexpr void add_wide(uint64_t words) { sum_ += (words >> 32) + static_cast<uint32_t>(words); }
  constexpr uint16_t folded() const { return fold(sum_); }
  constexpr void apply(be16& checksum) const {
    checksum = static_cast<uint16_t>(~fold(uint64_t{static_cast<uint16_t>(~checksum)} + sum_));
  }

 private:
  uint64_t sum_ = 0;
};

// A checksum after a change by a folded delta: ~(~HC + d) is HC - d with an end-around borrow.
constexpr be16 adjusted(be16 checksum, uint16_t delta) {
  uint16_t difference = 0;
  const bool borrow = __builtin_sub_overflow(checksum, delta, &difference);
  return static_cast<be16>(difference - (borrow ? 1 : 0));
}

// The same for UDP: HC + ~d, whose sum with an end-around carry is never 0, where ~(~HC + d) would
// be; UDP sends 0xffff for it (RFC 768). A checksum of 0 is none and must not come here.
constexpr be16 adjusted_udp(be16 checksum, uint16_t delta) {
  uint16_t sum = 0;
  const bool carry = __builtin_add_overflow(checksum, static_cast<uint16_t>(~delta), &sum);
  return static_cast<be16>(sum + (carry ? 1 : 0));
}

// What TTL - 1 adds to the sum: the TTL is the low byte, in memory order, of its word, so that
// ~m + m' is ~m + m - 1 whatever m is.
inline constexpr uint16_t kTtlMinusOne = 0xfffe;

inline void decrement_ttl(Ipv4& ip) {
  --ip.ttl;
  ip.checksum = adjusted(ip.checksum, kTtlMinusOne);
}

// Is a 64-bit sum that is not 0 a multiple of 0xffff, which is what folds to 0xffff? Multiplied by
// the inverse of 0xffff (mod 2^64) only multiples stay within the quotients.
constexpr bool folds_to_ones(uint64_t sum) {
  constexpr uint64_t kInverse = 0xfffefffefffeffff;
  static_assert(kInverse * 0xffff == 1);
  return sum * kInverse <= UINT64_MAX / 0xffff;
}

// True when the header of a packet without options, and no fragment, sums up: its first 8 bytes end
// in a 0 (memory order is the processor's), so that they and the last 4 add up without a carry.
inline bool plain_header_is_right(const Ipv4& ip) {
  const auto* words = reinterpret_cast<const uint8_t*>(&ip);
  const uint64_t outer = load<uint64_t>(words) + load<uint32_t>(words + 16);
  uint64_t sum = 0;
  const bool carry = __builtin_add_overflow(outer, load<uint64_t>(words + 8), &sum);
  return folds_to_ones(sum + (carry ? 1 : 0));
}

inline void set_ip_checksum(Ipv4& ip) {
  ip.checksum = 0;
  ip.checksum = checksum_of(&ip, ip.header_bytes());
}

// Checksum field of TCP or UDP as computed in full; UDP's 0 becomes 0xffff (RFC 768).
inline uint16_t l4_checksum(const Ipv4& ip, const void* l4, uint16_t bytes) {
  return checksum_of(l4, bytes, pseudo_sum(ip.source, ip.destination, ip.protocol, bytes));
}

// Applies a delta to UDP's checksum: 0 stays "none", and a result of 0 is sent as 0xffff.
inline void apply_udp(const Delta& delta, be16& checksum) {
  if (checksum == 0) return;
  delta.apply(checksum);
  if (checksum == 0) checksum = 0xffff;
}

}  // namespace sluice::net
