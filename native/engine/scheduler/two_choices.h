// twos: two servers are drawn, each with a chance in proportion to its weight, and the one that
// carries less for its weight is taken, the first of equals ("power of two choices").
#pragma once

#include "locality_based.h"
#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_twos(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  uint64_t total = 0;
  for (const Server& server : servers) {
    if (c.usable(server)) total += server.weight;
  }
  if (total == 0) return kNone;
  auto drawn = [&] {
    uint64_t mark =
        static_cast<uint64_t>(static_cast<unsigned __int128>(mix64(c.own.random)) * total >> 64);
    for (uint32_t i = 0;; ++i) {
      if (!c.usable(servers[i])) continue;
      if (mark < servers[i].weight) return i;
      mark -= servers[i].weight;
    }
  };
  const uint32_t first = drawn(), second = drawn();
  return is_lighter(c, servers[second], servers[first]) ? second : first;
}

}  // namespace sluice
