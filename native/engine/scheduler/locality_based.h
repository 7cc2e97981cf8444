// lblc and lblcr: a destination's connections go where its last ones went, so that a cache sees the
// same ones again, until that server has more active connections than its weight while another has
// not half as many as its own. lblc then has another server for the destination; lblcr adds one to
// the destination's set, takes the least loaded of the set each time, and lets the most loaded go
// when the set has been as it is for a day.
//
// A service has one destination unless it is for a mark: for services of many.
#pragma once

#include "least_connection.h"
#include "localities.h"
#include "scheduler.h"

namespace sluice {

// LVS's measure of lc and wlc.
inline uint64_t load_of(const ScheduleContext& c, const Server& server) {
  return (c.active(server) << 8) + c.inactive(server);
}

// a carries less than b for its weight.
inline bool is_lighter(const ScheduleContext& c, const Server& a, const Server& b) {
  return load_of(c, a) * b.weight < load_of(c, b) * a.weight;
}

// More active connections than its weight, while another server has room.
inline bool is_overburdened(const ScheduleContext& c, const Server& server) {
  if (c.active(server) <= server.weight) return false;
  for (const Server& other : c.service.servers) {
    if (other.up && c.active(other) * 2 < other.weight) return true;
  }
  return false;
}

// Index of a server by its slot; kNone when the service has it no more.
inline uint32_t index_of(const Service& service, uint32_t slot) {
  for (uint32_t i = 0; i < service.servers.size(); ++i) {
    if (service.servers[i].slot == slot) return i;
  }
  return kNone;
}

inline uint32_t schedule_lblc(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  Locality* known =
      c.own.localities.find(c.destination(), c.service.slot, c.service.scheduler, c.own.now_ms);
  if (known != nullptr) {
    const uint32_t at = index_of(c.service, known->servers[0]);
    // A threshold that it has reached does not count, as in LVS.
    if (at != kNone && servers[at].available() && !is_overburdened(c, servers[at])) return at;
  }
  const uint32_t chosen = schedule_least<true>(c);
  if (chosen == kNone) return kNone;
  if (known != nullptr) {
    known->servers[0] = servers[chosen].slot;
  } else {
    c.own.localities.make(c.destination(), c.service.slot, c.service.scheduler,
                          servers[chosen].slot, c.own.now_ms);
  }
  return chosen;
}

// Of the set's servers the least loaded, or of those that may be let go the most loaded: its place
// in the set, kNone when there is none.
template <bool Least>
inline uint32_t extreme_of(const ScheduleContext& c, Locality& set) {
  const auto& servers = c.service.servers;
  uint32_t best = kNone;
  const Server* found = nullptr;
  for (uint32_t i = 0; i < set.count; ++i) {
    const Server& server = servers[index_of(c.service, set.servers[i])];
    if (Least ? !c.usable(server) : server.weight == 0) continue;
    if (found != nullptr &&
        !(Least ? is_lighter(c, server, *found) : is_lighter(c, *found, server))) {
      continue;
    }
    best = i;
    found = &server;
  }
  return best;
}

inline uint32_t schedule_lblcr(const ScheduleContext& c) {
  const auto& servers = c.service.servers;
  const uint64_t now = c.own.now_ms;
  Locality* set = c.own.localities.find(c.destination(), c.service.slot, c.service.scheduler, now);
  uint32_t chosen = kNone;
  if (set != nullptr) {
    for (unsigned i = set->count; i-- > 0;) {
      if (index_of(c.service, set->servers[i]) == kNone) set->remove(i);
    }
    const uint32_t least = extreme_of<true>(c, *set);
    if (least != kNone) chosen = index_of(c.service, set->servers[least]);
    if (set->count > 1 && now - set->changed_ms > Localities::kForgottenMs) {
      const uint32_t most = extreme_of<false>(c, *set);
      if (most != kNone) {
        set->remove(most);
        set->changed_ms = now;
      }
    }
    if (chosen != kNone && !is_overburdened(c, servers[chosen])) return chosen;
  }
  chosen = schedule_least<true>(c);
  if (chosen == kNone) return kNone;
  const uint32_t slot = servers[chosen].slot;
  if (set == nullptr) {
    c.own.localities.make(c.destination(), c.service.slot, c.service.scheduler, slot, now);
  } else if (std::ranges::find(set->members(), slot) == set->members().end()) {
    if (set->count == Locality::kMost) {
      const uint32_t most = extreme_of<false>(c, *set);
      if (most != kNone) set->remove(most);
    }
    set->add(slot, now);
  }
  return chosen;
}

}  // namespace sluice
