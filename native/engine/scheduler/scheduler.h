// The contract of a scheduler: choose a real server for a client's first packet, or none.
//
// State is a worker's own, a record a service slot; nothing is shared between workers, so lc and
// wlc see the connections of their worker. One scheduler a file; `schedule` chooses by the
// service's kind.
#pragma once

#include <cstdint>

#include "../counters.h"
#include "../snapshot.h"
#include "../types.h"

namespace sluice {

// rr, wrr: where the last choice was made. Survives snapshots that leave the servers alone.
struct SchedulerState {
  uint64_t fingerprint = 0;   // Service::fingerprint that `position` belongs to
  uint32_t last_slot = kNone;
  uint32_t position = kNone;  // index into servers of the last choice; kNone: before the first
  uint32_t bar = 1;           // wrr: weight that this round asks for
};

struct ScheduleContext {
  const Service& service;
  SchedulerState& state;
  Counters& counters;
  uint8_t* overloaded;  // by server slot: over its upper threshold, and not yet below the lower
  uint16_t workers;  // thresholds are shared out among them
  be32 client;
  be16 client_port;

  // May this server get a new connection? (LVS: weight above 0, not over its upper threshold.)
  // Connections are only added after this has been asked, so a flag kept here is never stale.
  bool usable(const Server& server) const {
    return server.available() && (server.upper == 0 || !is_overloaded(server));
  }
  uint64_t active(const Server& server) const { return counters.server(server.slot)[kActive]; }
  uint64_t inactive(const Server& server) const { return counters.server(server.slot)[kInactive]; }

 private:
  // Once over the upper threshold a server rests until it is below the lower one, or below three
  // quarters of the upper if there is no lower.
  bool is_overloaded(const Server& server) const {
    const uint64_t connections = (active(server) + inactive(server)) * workers;
    uint8_t& flag = overloaded[server.slot];
    if (connections >= server.upper) {
      flag = 1;
    } else if (server.lower != 0 ? connections < server.lower
                                 : connections * 4 < uint64_t{server.upper} * 3) {
      flag = 0;
    }
    return flag != 0;
  }
};

// Index into service.servers, or kNone.
uint32_t schedule(const ScheduleContext& context);

}  // namespace sluice
