// sed and nq: the server where a client has the least to wait for, that is, the fewest active
// connections with its own counted, for the weight. nq takes an idle server at once where it meets
// one, however slow. Ties go to the first in list order.
#pragma once

#include "scheduler.h"

namespace sluice {

template <bool NeverQueue>
inline uint32_t schedule_shortest_delay(const ScheduleContext& c) {
  uint32_t best = kNone;
  uint64_t best_load = 0;
  uint64_t best_weight = 1;
  for (uint32_t i = 0; i < c.service.servers.size(); ++i) {
    const Server& server = c.service.servers[i];
    if (!c.usable(server)) continue;
    const uint64_t load = c.active(server) + 1;
    if (NeverQueue && load == 1) return i;
    // load / weight < best_load / best_weight, without the division.
    if (best == kNone || load * best_weight < best_load * server.weight) {
      best = i;
      best_load = load;
      best_weight = server.weight;
    }
  }
  return best;
}

}  // namespace sluice
