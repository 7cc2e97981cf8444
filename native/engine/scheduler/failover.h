// fo and ovf: the usable server of the highest weight, the first of equals. ovf goes on to the next
// when a server has more active connections than its weight.
#pragma once

#include "scheduler.h"

namespace sluice {

template <bool Overflow>
inline uint32_t schedule_failover(const ScheduleContext& c) {
  uint32_t best = kNone;
  for (uint32_t i = 0; i < c.service.servers.size(); ++i) {
    const Server& server = c.service.servers[i];
    if (!c.usable(server)) continue;
    if (Overflow && c.active(server) > server.weight) continue;
    if (best == kNone || server.weight > c.service.servers[best].weight) best = i;
  }
  return best;
}

}  // namespace sluice
