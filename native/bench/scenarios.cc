#include "apply.h"
#include "connect.h"
#include "flood.h"
#include "forward.h"
#include "latency.h"
#include "scale.h"
#include "scenario.h"
#include "sync.h"
#include "sync_forward.h"

namespace sluice::bench {

std::span<const Registered> scenarios() {
  static constexpr Registered kAll[] = {
      {"apply", make_apply},     {"connect", make_connect},           {"flood", make_flood},
      {"forward", make_forward}, {"latency", make_latency},           {"scale", make_scale},
      {"sync", make_sync},       {"sync-forward", make_sync_forward},
  };
  return kAll;
}

}  // namespace sluice::bench
