// Scenario `flood`: what becomes of legitimate traffic when half-open TCP or one-way UDP of spoofed
// clients comes at a multiple of its rate and overfills a table that is small.
//
// First the director's capacity is measured with 20 packets of the flood for each legitimate one,
// as fast as it polls. The legitimate rate, the same for every factor, is the share of `load` that
// such a mix leaves it: with 50 %, half the capacity ÷ 21. Then packets arrive by Poisson at that
// rate, with the flood and without, on a receive ring of 1 024; what finds it full is lost. In
// between the clock is moved on until the flood's connections have expired.
//
//   --mode --protocol           the case; tcp is flooded by SYN, udp by datagrams
//   --factor N                  packets of the flood for each legitimate one
//   --flows N --connections N   established; room in the table
//   --load N                    percent of the capacity at factor 20
//   --runs N --milliseconds N   runs, and the length of each
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_flood();

}  // namespace sluice::bench
