// SCTP's checksum: CRC32c over header and chunks, its own field as 0, no pseudo-header (RFC 9260
// section 6.8 and appendix A). Addresses may change as they like; where a port does, the checksum
// is changed by what the ports' difference adds to the CRC, so that a wrong one stays as wrong as
// it was and no payload is read.
//
// A CRC is linear: crc(a ^ b) = crc(a) ^ L(b), where L has neither the initial nor the final
// complement. L of the difference is that of its four bytes with as many zero bytes behind as
// follow them in the packet, which is a product by x^(8 n) modulo the polynomial.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstdint>

#include "headers.h"

namespace sluice::net {

namespace crc32c {

// Bits are reflected: bit 31 is the coefficient of x^0. Castagnoli's polynomial without x^32.
inline constexpr uint32_t kPolynomial = 0x82f63b78;
inline constexpr uint32_t kOne = 0x80000000;

constexpr uint32_t times_x(uint32_t a) {
  return (a >> 1) ^ ((a & 1) != 0 ? kPolynomial : 0);
}
constexpr uint32_t product(uint32_t a, uint32_t b) {
  uint32_t sum = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1, a = times_x(a)) {
    if ((b & bit) != 0) sum ^= a;
  }
  return sum;
}
constexpr uint32_t power_of_x(unsigned exponent) {
  uint32_t power = kOne;
  for (; exponent != 0; --exponent) power = times_x(power);
  return power;
}

// [i]: x^(64 * 2^i - 33), which moves a CRC by 8 * 2^i bytes in shifted(): the carry-less product
// of two reflected words is theirs times x, and reducing it times x^32.
inline constexpr std::array<uint32_t, 13> kMoves = [] {
  std::array<uint32_t, 13> moves{};
  moves[0] = power_of_x(64 - 33);
  for (size_t i = 1; i < moves.size(); ++i) {
    moves[i] = product(product(moves[i - 1], moves[i - 1]), power_of_x(33));
  }
  return moves;
}();

// The CRC of what `crc` is of with `bytes` zero bytes behind. `bytes`: below 2^16.
inline uint32_t shifted(uint32_t crc, uint32_t bytes) {
  for (uint32_t i = bytes % 8; i != 0; --i) crc = _mm_crc32_u8(crc, 0);
  for (uint32_t eights = bytes / 8, i = 0; eights != 0; eights >>= 1, ++i) {
    if ((eights & 1) == 0) continue;
    const __m128i both = _mm_clmulepi64_si128(_mm_cvtsi32_si128(static_cast<int>(crc)),
                                              _mm_cvtsi32_si128(static_cast<int>(kMoves[i])), 0);
    crc = static_cast<uint32_t>(_mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(both))));
  }
  return crc;
}

}  // namespace crc32c

// What the checksum field of a packet of `bytes` has to be. The field itself may hold anything.
inline uint32_t sctp_checksum(const uint8_t* packet, uint32_t bytes) {
  uint64_t crc = 0xffffffff;
  const uint8_t* const end = packet + bytes;
  crc = _mm_crc32_u64(crc, load<uint64_t>(packet));
  crc = _mm_crc32_u32(static_cast<uint32_t>(crc), 0);
  const uint8_t* at = packet + sizeof(Sctp);
  for (; end - at >= 8; at += 8) crc = _mm_crc32_u64(crc, load<uint64_t>(at));
  auto rest = static_cast<uint32_t>(crc);
  for (; at != end; ++at) rest = _mm_crc32_u8(rest, *at);
  return ~rest;
}

// A local kernel that expects the device to finish it leaves the checksum 0; one in 2^32 right ones
// is, and stays so. False: there was nothing to complete.
inline bool complete_sctp_checksum(uint8_t* packet, uint32_t bytes) {
  auto* const sctp = reinterpret_cast<Sctp*>(packet);
  if (sctp->checksum != 0) return false;
  sctp->checksum = sctp_checksum(packet, bytes);
  return true;
}

// What a change of the ports, the first 4 of a packet's `bytes`, adds to its checksum. Ports as
// they lie in memory.
inline uint32_t sctp_port_change(uint32_t from, uint32_t to, uint32_t bytes) {
  if (from == to) return 0;
  return crc32c::shifted(_mm_crc32_u32(0, from ^ to), bytes - 4);
}

// Gives a packet, of which at least the header is there, other ports. `bytes`: of the whole.
inline void set_sctp_ports(uint8_t* packet, be16 source, be16 destination, uint32_t bytes) {
  const auto from = load<uint32_t>(packet);
  store(packet, source);
  store(packet + sizeof source, destination);
  reinterpret_cast<Sctp*>(packet)->checksum ^=
      sctp_port_change(from, load<uint32_t>(packet), bytes);
}

}  // namespace sluice::net
