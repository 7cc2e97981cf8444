// What a run is measured by.
#pragma once

#include <cstdint>
#include <vector>

#include "json.h"

namespace sluice::bench {

// Time by two clocks: the TSC, and what the kernel says the thread has run. They are the same where
// the core belongs to the benchmark alone; on a shared one the second leaves out the others' turns.
struct Run {
  uint64_t packets, cycles, cpu_ns;
};

// {"packets":…,"cycles":…,"cpuNs":…} each.
std::vector<Json> json_of(const std::vector<Run>& runs);

// CPU time of the calling thread.
uint64_t thread_ns();
// Transparent huge pages that this process uses, KiB.
uint64_t transparent_huge_kib();

}  // namespace sluice::bench
