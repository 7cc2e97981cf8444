// What the two addons of scenario `boundary` show to JavaScript: words as a worker's counters are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::bench {

inline constexpr size_t kWords = 1 << 17;  // 1 MiB
inline constexpr size_t kNamed = 16;       // words in the object

inline uint64_t* counters() {
  alignas(64) static uint64_t words[kWords];
  static const bool filled = [] {
    for (size_t i = 0; i < kWords; ++i) words[i] = i * 3 + 1;
    return true;
  }();
  (void)filled;
  return words;
}

inline uint64_t counter(size_t index) {
  return __atomic_load_n(&counters()[index % kWords], __ATOMIC_RELAXED);
}

inline constexpr const char* kNames[kNamed] = {
    "received", "forwarded", "answered", "dropped",  "connections", "active", "inactive", "expired",
    "inPkts",   "outPkts",   "inBytes",  "outBytes", "errors",      "loops",  "sleeps",   "punted"};

}  // namespace sluice::bench
