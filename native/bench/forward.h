// Scenario `forward`: established traffic of one worker, beside the floor of the same port.
//
// Everything happens on one thread, inside the live loop: the port's receive callback plays a
// script of jobs (fill the table, check, warm up, then director and floor in turn) and stops the
// loop at its end. A floor job runs between two of the loop's turns.
//
//   --mode --protocol --flows --bytes --direction    the case
//   --runs N --milliseconds N                        director's runs, and the length of each
//   --instructions N --cases mode/protocol/direction[/flows[/bytes]],…
//                                                    under callgrind: that many packets a run
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_forward();

}  // namespace sluice::bench
