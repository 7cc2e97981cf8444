// dh: the packet's destination picks one of 256 buckets, dealt out to the servers one by one in
// list order, whatever their weights. Meant for services of many addresses (a cache per address):
// where a service has one, all its clients go to one server. LVS's hash.
#pragma once

#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_dh(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  uint32_t up = 0;
  for (const Server& server : servers) up += server.up;
  if (up == 0) return kNone;
  // One that is down has no bucket, as if health checks had taken it out of the list.
  uint32_t turn = (from_be(c.destination()) * 0x61c88647u >> 24) % up;
  for (uint32_t i = 0; i < servers.size(); ++i) {
    if (!servers[i].up || turn-- != 0) continue;
    return c.usable(servers[i]) ? i : kNone;
  }
  return kNone;
}

}  // namespace sluice
