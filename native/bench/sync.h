// Scenario `sync`: what telling another director of connections costs, and hearing of them. Parts:
//
//   send     the sync thread's: workers' ring → datagrams, sealed → the kernel (loopback interface)
//   receive  the sync thread's: kernel → checked, resolved → a worker's ring
//   adopt    a worker's: ring → a FullNAT connection in its table
//   tell     a worker's: a connection of its table → ring
//
//   --connections N             at once, of adopt and tell
//   --runs N --milliseconds N   of each part, and the length of each
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_sync();

}  // namespace sluice::bench
