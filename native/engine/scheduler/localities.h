// lblc and lblcr: to which servers a destination's connections have gone, of one worker. Bounded:
// four places a set, and what was used least lately gives way; what nobody has asked for in a day
// is not found any more (LVS's lblc_expiration).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "../table/hash.h"
#include "../table/memory.h"
#include "../types.h"

namespace sluice {

struct Locality {
  static constexpr unsigned kMost = 10;  // servers; LVS's sets have no limit
  be32 destination;
  uint16_t service;  // slot
  SchedulerKind kind;
  uint8_t count;                 // of servers; 0: an empty place
  uint64_t used_ms, changed_ms;  // worker's clock
  uint32_t servers[kMost];       // slots, newest first

  std::span<uint32_t> members() { return {servers, count}; }
  void remove(unsigned at) {
    std::copy(servers + at + 1, servers + count, servers + at);
    --count;
  }
  // Where there is no room the last one gives way.
  void add(uint32_t server, uint64_t now_ms) {
    if (count < kMost) ++count;
    std::copy_backward(servers, servers + count - 1, servers + count);
    servers[0] = server;
    changed_ms = now_ms;
  }
};
static_assert(sizeof(Locality) == 64, "one cache line");

class Localities {
 public:
  static constexpr uint64_t kForgottenMs = 24 * 3600 * 1000ull;

  explicit Localities(uint64_t seed) : places_(kPlaces), secret_(mix64(seed)) {}

  // nullptr: there is none. One that is found has been used now.
  Locality* find(be32 destination, uint32_t service, SchedulerKind kind, uint64_t now_ms) {
    Locality* const set = set_of(destination, service);
    for (Locality* one = set; one != set + kWays; ++one) {
      if (one->destination != destination || one->service != service || one->kind != kind ||
          !is_live(*one, now_ms)) {
        continue;
      }
      one->used_ms = now_ms;
      return one;
    }
    return nullptr;
  }

  // Of a destination that find() has not found.
  void make(be32 destination, uint32_t service, SchedulerKind kind, uint32_t server,
            uint64_t now_ms) {
    Locality* const set = set_of(destination, service);
    Locality* oldest = set;
    for (Locality* one = set; one != set + kWays; ++one) {
      if (!is_live(*one, now_ms)) {
        oldest = one;
        break;
      }
      if (one->used_ms < oldest->used_ms) oldest = one;
    }
    *oldest = {destination, static_cast<uint16_t>(service), kind, 0, now_ms, now_ms, {}};
    oldest->add(server, now_ms);
  }

 private:
  static constexpr unsigned kWays = 4;
  static constexpr uint64_t kPlaces = 16384;  // 1 MiB, committed with its first use

  static bool is_live(const Locality& one, uint64_t now_ms) {
    return one.count != 0 && now_ms - one.used_ms < kForgottenMs;
  }
  Locality* set_of(be32 destination, uint32_t service) {
    const uint64_t h = mum((uint64_t{destination} << 32 | service) ^ secret_, 0x9e3779b97f4a7c15u);
    return &places_[(h & (kPlaces / kWays - 1)) * kWays];
  }

  TableMemory<Locality> places_;
  uint64_t secret_;
};

}  // namespace sluice
