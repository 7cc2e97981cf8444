// wrr: rounds with a falling weight bar; a server is taken in each round whose bar its weight
// reaches. Interleaves rather than sending a server its whole share at once.
#pragma once

#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_wrr(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  if (c.service.max_weight == 0) return kNone;
  uint32_t at = c.state.position;
  uint32_t& bar = c.state.bar;
  const uint32_t gcd = c.service.weight_gcd;
  const uint32_t top = c.service.max_weight - (gcd - 1);
  // Bars are 1 above the multiples of the gcd, also after a change of weights.
  bar = bar > top ? top : (bar - 1) / gcd * gcd + 1;
  // Every bar is tried once at the most: then no server is usable.
  const uint64_t rounds = c.service.max_weight / gcd + 1;
  for (uint64_t steps = servers.size() * rounds + 1; steps != 0; --steps) {
    if (at == kNone) {
      at = 0;
    } else if (++at >= servers.size()) {
      at = 0;
      bar = bar > gcd ? bar - gcd : top;
    }
    if (servers[at].weight >= bar && c.usable(servers[at])) return c.state.position = at;
  }
  return kNone;
}

}  // namespace sluice
