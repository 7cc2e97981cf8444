// Scenario `forward`: established traffic of one worker, beside the floor of the same port.
//
// Everything happens on one thread, inside the live loop: the port's receive callback plays a
// script of jobs (fill the table, check, warm up, then director and floor in turn) and stops the
// loop at its end. A floor job runs between two of the loop's turns.
#pragma once

#include <string>
#include <vector>

#include "director.h"
#include "generator.h"

namespace sluice::bench {

struct ForwardOptions {
  unsigned runs = 5;
  double seconds = 0.3;  // a run
  double warm_up_seconds = 0.3;
  uint64_t instructions = 0;  // not 0: that many packets a run, counted by callgrind
};

// Time by two clocks: the TSC, and what the kernel says the thread has run. They are the same where
// the core belongs to the benchmark alone; on a shared one the second leaves out the others' turns.
struct Run {
  uint64_t packets, cycles, cpu_ns;
};

struct ForwardResult {
  std::vector<Run> director, floor;
  uint64_t offered = 0;    // frames given to the director in its measured runs
  uint64_t accounted = 0;  // what its counters say has become of them
  uint64_t digest = 0;     // of everything read at transmission
  uint64_t huge_kib = 0;   // transparent huge pages in use when measuring began
  std::string failure;     // why the case is void; empty: it isn't
};

ForwardResult forward(const Case& c, const ForwardOptions& options, rte_mempool* mbufs);

}  // namespace sluice::bench
