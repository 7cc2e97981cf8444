#include "scheduler.h"

#include <algorithm>

#include "destination_hash.h"
#include "failover.h"
#include "least_connection.h"
#include "locality_based.h"
#include "maglev_hash.h"
#include "round_robin.h"
#include "shortest_delay.h"
#include "source_hash.h"
#include "two_choices.h"
#include "weighted_round_robin.h"

namespace sluice {
namespace {

// After a change of the servers rr goes on behind its last choice, found again by slot, or at its
// successor if it is gone; wrr starts a walk over the list under the bar it had. As LVS does.
void follow(const ScheduleContext& c) {
  SchedulerState& state = c.state;
  if (state.fingerprint == c.service.fingerprint && state.kind == c.service.scheduler) return;
  if (state.kind != c.service.scheduler) {
    state = SchedulerState{};  // as if the service were new
    state.kind = c.service.scheduler;
  }
  state.fingerprint = c.service.fingerprint;
  const uint32_t before = state.position;
  state.position = kNone;
  if (c.service.scheduler != SchedulerKind::rr || before == kNone) return;
  if (before > 0) state.position = std::min<uint32_t>(before, c.service.servers.size()) - 1;
  for (uint32_t i = 0; i < c.service.servers.size(); ++i) {
    if (c.service.servers[i].slot == state.last_slot) state.position = i;
  }
}

uint32_t choose(const ScheduleContext& c) {
  switch (c.service.scheduler) {
    case SchedulerKind::rr:
      return schedule_rr(c);
    case SchedulerKind::wrr:
      return schedule_wrr(c);
    case SchedulerKind::lc:
      return schedule_least<false>(c);
    case SchedulerKind::wlc:
      return schedule_least<true>(c);
    case SchedulerKind::sh:
      return schedule_sh(c);
    case SchedulerKind::mh:
      return schedule_mh(c);
    case SchedulerKind::dh:
      return schedule_dh(c);
    case SchedulerKind::sed:
      return schedule_shortest_delay<false>(c);
    case SchedulerKind::nq:
      return schedule_shortest_delay<true>(c);
    case SchedulerKind::fo:
      return schedule_failover<false>(c);
    case SchedulerKind::ovf:
      return schedule_failover<true>(c);
    case SchedulerKind::twos:
      return schedule_twos(c);
    case SchedulerKind::lblc:
      return schedule_lblc(c);
    case SchedulerKind::lblcr:
      return schedule_lblcr(c);
  }
  return kNone;
}

}  // namespace

uint32_t schedule(const ScheduleContext& context) {
  follow(context);
  const uint32_t chosen = choose(context);
  if (chosen != kNone) context.state.last_slot = context.service.servers[chosen].slot;
  return chosen;
}

}  // namespace sluice
