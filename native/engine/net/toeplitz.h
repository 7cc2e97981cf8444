// The hash that NICs spread packets over their queues with (RSS): each bit of the input that is set
// adds (exclusive or) the 32 bits of the key that begin at its place. So it is linear: the hash of
// a tuple is the exclusive or of what its bytes contribute, found here in a table a byte.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "../table/connection.h"

namespace sluice::net {

class Toeplitz {
 public:
  // Of an IPv4 tuple: both addresses and both ports, as they follow one another in a packet.
  static constexpr unsigned kInput = 12;        // bytes
  static constexpr unsigned kKey = kInput + 4;  // bytes of a key that count
  using Key = std::array<uint8_t, 40>;          // as NICs take it; its rest is for IPv6

  explicit Toeplitz(std::span<const uint8_t, kKey> key) {
    for (unsigned bit = 0; bit < 8 * kInput; ++bit) {
      uint32_t window = 0;
      for (unsigned i = bit; i < bit + 32; ++i)
        window = window << 1 | (key[i / 8] >> (7 - i % 8) & 1);
      const unsigned value = 0x80u >> (bit % 8);
      for (unsigned byte = 0; byte < 256; ++byte) {
        if (byte & value) table_[bit / 8][byte] ^= window;
      }
    }
  }

  uint32_t operator()(const TupleOf<V4>& tuple) const {
    const auto addresses = load<uint64_t>(&tuple);
    const auto ports = load<uint32_t>(&tuple.source_port);
    uint32_t hash = 0;
    for (unsigned i = 0; i < 8; ++i) hash ^= table_[i][addresses >> (8 * i) & 0xff];
    for (unsigned i = 0; i < 4; ++i) hash ^= table_[8 + i][ports >> (8 * i) & 0xff];
    return hash;
  }
  // What the destination port alone contributes; host order.
  uint32_t of_destination_port(uint16_t port) const {
    return table_[10][port >> 8] ^ table_[11][port & 0xff];
  }

 private:
  uint32_t table_[kInput][256] = {};
};

}  // namespace sluice::net
