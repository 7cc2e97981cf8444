// rr: the next usable server after the last one chosen.
#pragma once

#include "scheduler.h"

namespace sluice {

inline uint32_t schedule_rr(const ScheduleContext& c) {
  const uint32_t chosen = next_in_turn(c, c.state.position);
  if (chosen != kNone) c.state.position = chosen;
  return chosen;
}

}  // namespace sluice
