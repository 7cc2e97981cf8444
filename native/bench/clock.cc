#include "clock.h"

#include <time.h>

#include <fstream>

namespace sluice::bench {

std::vector<Json> json_of(const std::vector<Run>& runs) {
  std::vector<Json> out;
  for (const Run& run : runs) {
    out.push_back(
        Json().add("packets", run.packets).add("cycles", run.cycles).add("cpuNs", run.cpu_ns));
  }
  return out;
}

uint64_t thread_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

uint64_t transparent_huge_kib() {
  std::ifstream file("/proc/self/smaps_rollup");
  for (std::string word; file >> word;) {
    uint64_t kib = 0;
    if (word == "AnonHugePages:" && file >> kib) return kib;
  }
  return 0;
}

}  // namespace sluice::bench
