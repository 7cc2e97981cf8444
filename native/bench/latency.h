// Scenario `latency`: how long a packet stays in the director, from its arrival to its
// transmission, at a share of the capacity that is measured first; and what polling costs when
// little or nothing comes, with the worker's back-off and without.
//
// Established flows in random order, arriving by Poisson whether or not the worker polls: the wait
// for its next turn is part of the latency.
//
//   --mode --protocol --flows      the case
//   --load N --pps N               percent of the capacity, or packets a second where given
//   --after N --sleep N            microseconds, as `idle` of the configuration; sleep 0 polls
//   always
//   --runs N --milliseconds N      runs, and the length of each
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_latency();

}  // namespace sluice::bench
