// rr: the next usable server after the last one chosen.
#pragma once

#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_rr(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  uint32_t at = c.state.position;
  for (size_t step = 0; step < servers.size(); ++step) {
    at = at == kNone || at + 1 >= servers.size() ? 0 : at + 1;
    if (c.usable(servers[at])) return c.state.position = at;
  }
  return kNone;
}

}  // namespace sluice
