// Scenario `connect`: new connections at a constant fill of the table, each beginning as another
// expires. UDP connections are a packet; TCP's are whole, from SYN to the last ACK.
//
// The clock is virtual: it moves with the connections that begin, so that `connections` of them
// are as many as a timeout lets live. Timeouts are the defaults, and all that expiry does happens
// in the measured turns of the loop.
//
//   --mode --protocol           the case
//   --connections N             resting until their timeout; those in hand come on top
//   --runs N --milliseconds N   director's runs, and the length of each
//   --instructions N            under callgrind: that many packets a run
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_connect();

}  // namespace sluice::bench
