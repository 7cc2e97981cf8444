// Callgrind's client requests; nothing outside valgrind, and nothing at all without its headers.
#pragma once

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define SLUICE_HAS_CALLGRIND 1
#else
#define SLUICE_HAS_CALLGRIND 0
#endif

namespace sluice::bench::callgrind {

#if SLUICE_HAS_CALLGRIND
inline bool is_running() {
  return RUNNING_ON_VALGRIND != 0;
}
inline void start() {
  CALLGRIND_START_INSTRUMENTATION;
}
inline void stop() {
  CALLGRIND_STOP_INSTRUMENTATION;
}
// Ends a part: what has been counted since the last one, under this name.
inline void dump(const char* name) {
  CALLGRIND_DUMP_STATS_AT(name);
}
#else
inline bool is_running() {
  return false;
}
inline void start() {}
inline void stop() {}
inline void dump(const char*) {}
#endif

}  // namespace sluice::bench::callgrind
