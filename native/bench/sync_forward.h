// Scenario `sync-forward`: what connection sync costs a worker that forwards. FullNAT UDP, flat
// out: packets of established flows in random order, and among them new connections, 200 000 a
// second of the worker's time, that send a second packet some 50 ms later and so are told. First
// without sync, then with it and the same mix: the live sync thread, sealing and sending on another
// CPU. At last everything is swept, as for a backup that joins, while packets go on.
//
//   --connections N             established
//   --runs N --milliseconds N   of each half, and their length
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_sync_forward();

}  // namespace sluice::bench
