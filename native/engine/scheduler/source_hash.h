// sh: the client's address (and port, if the service says so) picks one of 256 buckets.
//
// The hash is LVS's, a multiplication by the golden ratio, so that clients keep their server when
// they move over from it.
#pragma once

#include "lookup_tables.h"
#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_sh(const ScheduleContext& c) {
  const uint32_t port = c.service.has(wire::kSchedulePort) ? from_be(c.client_port()) : 0;
  auto bucket = [&](uint32_t offset) {
    const uint32_t hash = (port + from_be(c.client())) * 0x61c88647u;
    return (offset + (hash >> 24)) & (kShSize - 1);
  };
  const uint32_t first = bucket(0);
  uint32_t chosen = c.service.lookup[first];
  if (chosen == kNoServer) return kNone;
  if (c.usable(c.service.servers[chosen])) return chosen;
  if (!c.service.has(wire::kScheduleFallback)) return kNone;
  for (uint32_t i = 0; i < kShSize; ++i) {
    chosen = c.service.lookup[bucket((first + i) & (kShSize - 1))];
    if (c.usable(c.service.servers[chosen])) return chosen;
  }
  return kNone;
}

}  // namespace sluice
