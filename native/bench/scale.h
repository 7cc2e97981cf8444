// Scenario `scale`: FullNAT connections of UDP, as many as the machine holds. What one costs in
// memory, all included, is the growth from a million to that many, each number in a director of its
// own that was started for it; then packets of flows in random order.
//
//   --connections N             at most; fewer where memory ends. Without it, as many as there can
//   be
//   --runs N --milliseconds N   director's runs, and the length of each
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_scale();

}  // namespace sluice::bench
