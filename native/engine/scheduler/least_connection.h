// lc and wlc: the server with the least load, where an active connection weighs 256 inactive ones
// (LVS's measure). Ties go to the first in list order.
#pragma once

#include "scheduler.h"

namespace sluice {

template <bool Weighted>
inline uint32_t schedule_least(const ScheduleContext& c) {
  uint32_t best = kNone;
  uint64_t best_load = 0;
  uint64_t best_weight = 1;
  for (uint32_t i = 0; i < c.service.servers.size(); ++i) {
    const Server& server = c.service.servers[i];
    if (!c.usable(server)) continue;
    const uint64_t load = (c.active(server) << 8) + c.inactive(server);
    const uint64_t weight = Weighted ? server.weight : 1;
    // load / weight < best_load / best_weight, without the division.
    if (best == kNone || load * best_weight < best_load * weight) {
      best = i;
      best_load = load;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace sluice
