// Scenario `apply`: what a publication costs, and what a worker notices of it.
//
// A worker lcore forwards FullNAT UDP of established flows all the while. The calling thread takes
// snapshots from stdin, each a 32-bit little-endian length and so many bytes, publishes them as
// Engine::publish does, and answers each with a line of JSON. A length of 0 says that the change
// begins now, in somebody's JavaScript: the worst gap between two of the worker's turns is looked
// for from there on. At the end of stdin comes the object with the accounts.
//
//   --services N --servers N    limits, as the configuration has them
//   --flows N
#pragma once

#include <memory>

#include "scenario.h"

namespace sluice::bench {

std::unique_ptr<Scenario> make_apply();

}  // namespace sluice::bench
