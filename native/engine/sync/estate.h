// What a worker leaves to the process that takes over from this one (live/hand_over.h).
//
// Records are told in passes over the table, some at a time between bursts. A record that has been
// told is clean until something about it changes, so that each pass tells less than the one before,
// and the last one, when no packet comes any more, next to nothing. Eight notes are looked at in
// one comparison: a pass over a million clean records takes some 50 us.
#pragma once

#include <atomic>
#include <cstdint>

#include "record.h"
#include "spsc.h"

namespace sluice::sync {

// In place of a time: the worker that tells, and of how many.
constexpr uint32_t teller(uint16_t worker, uint16_t workers) {
  return uint32_t{workers} << 16 | worker;
}

// A family's: IPv6's table has passes of its own.
template <class Family>
struct EstateOf {
  static constexpr uint32_t kRing = 1u << 15;  // 2 MiB, IPv6's 4

  static constexpr uint32_t kCalls = 1u << 10;

  Spsc<RecordOf<Family>> out{kRing};  // the worker writes, the thread of the hand-over reads
  Spsc<Call> calls{kCalls};           // in IPv4's, of both families

  // The worker's.
  uint32_t at = 0;          // next record, or, with `templates`, next template
  bool templates = false;   // the first pass goes over them too
  uint32_t call = 0;        // next of the calls, which follow them
  bool is_last = false;     // the pass under way is the last one
  bool is_through = false;  // and it is through
  uint32_t pass = 0;        // that is under way
  uint64_t passed_ms = 0;   // when the one before was through
  std::atomic<uint64_t> told{0};
  std::atomic<uint64_t> lost{0};  // ends for which there was no room: these time out over there
};
using Estate = EstateOf<V4>;
using Estate6 = EstateOf<V6>;

}  // namespace sluice::sync
