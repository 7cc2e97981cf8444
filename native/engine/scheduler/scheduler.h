// The contract of a scheduler: choose a real server for a client's first packet, or none.
//
// State is a worker's own, a record a service slot; nothing is shared between workers, so lc and
// wlc see the connections of their worker. One scheduler a file; `schedule` chooses by the
// service's kind.
#pragma once

#include <cstdint>

#include "../counters.h"
#include "../snapshot.h"
#include "../table/connection.h"
#include "../types.h"
#include "localities.h"

namespace sluice {

// rr, wrr: where the last choice was made. Survives snapshots that leave the servers alone.
struct SchedulerState {
  SchedulerKind kind = SchedulerKind::rr;  // whose state this is
  uint64_t fingerprint = 0;                // Service::fingerprint that `position` belongs to
  uint32_t last_slot = kNone;
  uint32_t position = kNone;  // index into servers of the last choice; kNone: before the first
  uint32_t bar = 1;           // wrr: weight that this round asks for
};

// A worker's own, of all its services.
struct SchedulerOwn {
  SchedulerOwn(uint64_t seed, const uint64_t& now_ms)
      : localities(seed), random(seed), now_ms(now_ms) {}
  Localities localities;
  uint64_t random;         // mix64's state
  const uint64_t& now_ms;  // worker's clock
};

struct ScheduleContext {
  const Service& service;
  SchedulerState& state;
  Counters& counters;
  const uint32_t* overloaded;  // by server slot: upper threshold that it has reached, 0 for none
  const TupleOf<V4>& request;
  SchedulerOwn& own;

  be32 client() const { return request.source; }
  be16 client_port() const { return request.source_port; }
  // Of a service for a mark one of many.
  be32 destination() const { return request.destination; }

  // May this server get a new connection? LVS: weight above 0, and not over its upper threshold; a
  // threshold raised since counts at once.
  bool usable(const Server& server) const {
    const bool resting = server.upper != 0 && server.upper <= overloaded[server.slot];
    return server.available() && !resting;
  }
  uint64_t active(const Server& server) const { return counters.server(server.slot)[kActive]; }
  uint64_t inactive(const Server& server) const { return counters.server(server.slot)[kInactive]; }
};

// Index into service.servers, or kNone.
uint32_t schedule(const ScheduleContext& context);

// The next usable server after `at`, the last one chosen; kNone when none is.
inline uint32_t next_in_turn(const ScheduleContext& c, uint32_t at) {
  const auto count = static_cast<uint32_t>(c.service.servers.size());
  const Server* const servers = c.service.servers.data();
  for (uint32_t step = 0; step < count; ++step) {
    at = at + 1 < count ? at + 1 : 0;  // kNone, before the first, is followed by 0
    if (c.usable(servers[at])) return at;
  }
  return kNone;
}

// schedule(), with rr's usual case at hand: its state is of these very servers.
inline uint32_t schedule_at_once(const ScheduleContext& c) {
  SchedulerState& state = c.state;
  if (c.service.scheduler != SchedulerKind::rr || state.kind != SchedulerKind::rr ||
      state.fingerprint != c.service.fingerprint) {
    return schedule(c);
  }
  const uint32_t chosen = next_in_turn(c, state.position);
  if (chosen == kNone) return kNone;
  state.position = chosen;
  state.last_slot = c.service.servers[chosen].slot;
  return chosen;
}

}  // namespace sluice
