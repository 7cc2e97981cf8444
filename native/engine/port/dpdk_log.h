// What DPDK, libbpf and libxdp say. Their text is often the only reason given for a failure, so it
// is kept for error messages instead of being written to stderr.
#pragma once

#include <string>
#include <vector>

namespace sluice::dpdk_log {

struct Line {
  int level;  // RTE_LOG_…: 1 emergency … 8 debug
  std::string text;
};

// Takes DPDK's and libbpf's output over, once a process. Lines above `level` are not kept.
void capture(int level);
// libxdp's as well, once EAL has loaded its drivers.
void capture_libxdp();

// Lines since the last call, oldest first, bounded; what came after the bound was reached is lost.
std::vector<Line> take();

// The first lines of at least a warning's severity since `take` or `forget`, joined; "" if none.
std::string complaints();
void forget();

}  // namespace sluice::dpdk_log
