// Resolve and note as one 64-bit word of a ring: nothing is allocated on a worker.
#pragma once

#include <cstdint>

#include "../sink.h"

namespace sluice {

struct Word {
  enum Tag : uint8_t { kResolve = 1, kNote = 2, kResolve6 = 3 };

  // tag 4 | port or note 8 | count 20 | address or slot 32
  static uint64_t resolve(uint16_t port, be32 address) {
    return uint64_t{kResolve} << 60 | uint64_t{port & 0xffu} << 52 | address;
  }
  // The part-th quarter of an IPv6 address: the count's place says which.
  static uint64_t resolve6(uint16_t port, unsigned part, uint32_t quarter) {
    return uint64_t{kResolve6} << 60 | uint64_t{port & 0xffu} << 52 | uint64_t{part} << 32 |
           quarter;
  }
  static uint64_t note(Note what, uint32_t count, uint32_t slot) {
    const uint64_t capped = count < kMaxCount ? count : kMaxCount;
    return uint64_t{kNote} << 60 | uint64_t{static_cast<uint8_t>(what)} << 52 | capped << 32 | slot;
  }

  static Tag tag(uint64_t word) { return static_cast<Tag>(word >> 60); }
  static uint8_t small(uint64_t word) { return static_cast<uint8_t>(word >> 52); }
  static uint32_t count(uint64_t word) { return static_cast<uint32_t>(word >> 32) & kMaxCount; }
  static uint32_t value(uint64_t word) { return static_cast<uint32_t>(word); }

 private:
  static constexpr uint32_t kMaxCount = (1u << 20) - 1;
};

}  // namespace sluice
