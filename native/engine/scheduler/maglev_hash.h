// mh: consistent hashing through the Maglev table.
#pragma once

#include "lookup_tables.h"
#include "scheduler.h"
#include "siphash.h"

namespace sluice {

inline uint32_t schedule_mh(const ScheduleContext& c) {
  const uint32_t port = c.service.has(wire::kSchedulePort) ? from_be(c.client_port()) : 0;
  const uint32_t size = static_cast<uint32_t>(c.service.lookup.size());
  const uint32_t first = siphash_1_3(from_be(c.client()) + port, kMhOffsetKey) % size;
  uint32_t chosen = c.service.lookup[first];
  if (chosen == kNoServer) return kNone;
  if (c.usable(c.service.servers[chosen])) return chosen;
  if (!c.service.has(wire::kScheduleFallback)) return kNone;
  for (uint32_t i = 1; i < size; ++i) {
    chosen = c.service.lookup[(first + i) % size];
    if (c.usable(c.service.servers[chosen])) return chosen;
  }
  return kNone;
}

}  // namespace sluice
