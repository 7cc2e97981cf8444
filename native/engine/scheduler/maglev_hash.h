// mh: consistent hashing through the Maglev table.
#pragma once

#include "../table/hash.h"
#include "lookup_tables.h"
#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_mh(const ScheduleContext& c) {
  const uint64_t port = c.service.has(wire::kSchedulePort) ? from_be(c.client_port) : 0;
  uint64_t state = (uint64_t{from_be(c.client)} << 16) | port;
  const uint64_t hash = mix64(state);
  const uint32_t size = static_cast<uint32_t>(c.service.lookup.size());
  const uint32_t first = static_cast<uint32_t>(hash % size);
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
